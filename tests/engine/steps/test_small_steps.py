"""sleep, exit, goto, set_fact and debug."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from engine.errors import StepFailed
from engine.models.flow import NOTHING, Exit, Goto, StepReference


@pytest.mark.parametrize(("seconds", "slept"), [(1, 1), (0.5, 0.5), ("{{ n }}", 2), ("{{ n }}.5", 2.5), ("3", 3)])
def test_sleep_waits_so_many_seconds_and_has_no_value(
    fake_run: Any, read_step: Any, seconds: Any, slept: float
) -> None:
    run = fake_run({"n": 2})

    assert read_step("sleep", seconds=seconds).options.run(run) is NOTHING
    assert run.slept == [slept]


@pytest.mark.parametrize("seconds", ["soon", "{{ -1 }}", "nan", "inf", "1e300", "{{ true }}", "{{ [1] }}"])
def test_sleep_refuses_what_is_no_time(fake_run: Any, read_step: Any, seconds: str) -> None:
    with pytest.raises(StepFailed, match="is not a number from 0 to"):
        read_step("sleep", seconds=seconds).options.run(fake_run())


@pytest.mark.parametrize("seconds", [-1, True, None, float("inf"), [1]])
def test_sleep_is_checked_before_it_runs(read_step: Any, seconds: Any) -> None:
    with pytest.raises(ValidationError):
        read_step("sleep", seconds=seconds)


def test_exit_ends_the_flow_with_a_rendered_message(fake_run: Any, read_step: Any) -> None:
    step = read_step("exit", message="{{ count }} tickets, nothing to do")

    assert step.options.run(fake_run({"count": 0})) == Exit("0 tickets, nothing to do")


def test_goto_names_a_step(fake_run: Any, read_step: Any) -> None:
    step = read_step("goto", step_name="step {{ n }}")

    assert step.options.run(fake_run({"n": 2})) == Goto("step 2")


def test_goto_refers_to_a_step_when_it_names_it_plainly(read_step: Any) -> None:
    assert list(read_step("goto", step_name="the end").options.references()) == [StepReference("the end")]
    assert list(read_step("goto", step_name="{{ next }}").options.references()) == []


def test_set_fact_renders_strings_and_keeps_types(fake_run: Any, read_step: Any) -> None:
    step = read_step(
        "set_fact", value={"count": "{{ tickets | length }}", "text": "n={{ 1 }}", "plain": [True, None, 1.5]}
    )

    value = step.options.run(fake_run({"tickets": [1, 2]}))

    assert value == {"count": 2, "text": "n=1", "plain": [True, None, 1.5]}


def test_set_fact_can_be_null(fake_run: Any, read_step: Any) -> None:
    assert read_step("set_fact", value=None).options.run(fake_run()) is None


@pytest.mark.parametrize(
    ("type", "value", "text"),
    [
        ("yaml", {"a": [1, "é"]}, "a:\n- 1\n- é"),
        ("yaml", "text", "text"),
        ("json", {"a": "é"}, '{\n  "a": "é"\n}'),
        ("text", "as it is", "as it is"),
        ("text", {"a": 1}, '{"a": 1}'),
    ],
)
def test_debug_logs_the_data(fake_run: Any, read_step: Any, type: str, value: Any, text: str) -> None:
    run = fake_run({"ticket": value})

    assert read_step("debug", data_key="ticket", type=type).options.run(run) is NOTHING
    assert run.logged == [("info", text)]


def test_debug_shows_a_value_that_is_there_twice_twice(fake_run: Any, read_step: Any) -> None:
    shared = [1]
    run = fake_run({"v": {"a": shared, "b": shared}})

    read_step("debug", data_key="v").options.run(run)

    assert run.logged == [("info", "a:\n- 1\nb:\n- 1")]


def test_debug_cuts_what_is_too_long_to_read(fake_run: Any, read_step: Any) -> None:
    run = fake_run({"v": "x" * 100_010})

    read_step("debug", data_key="v", type="text").options.run(run)

    assert run.logged[0][1].endswith("x... (10 more characters)")


@pytest.mark.parametrize("text", [" ".join(["a-word-of-a-secret"] * 20), ' "quoted" é\x07' * 20])
def test_debug_folds_no_line_in_which_a_secret_may_be(fake_run: Any, read_step: Any, text: str) -> None:
    run = fake_run({"v": text})

    read_step("debug", data_key="v").options.run(run)

    [(_, said)] = run.logged
    assert "\n" not in said
