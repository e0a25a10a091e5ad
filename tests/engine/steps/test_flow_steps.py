"""flow, flow_loop and switch."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from engine.errors import StepFailed
from engine.models.flow import NOTHING, Exit, FlowReference, StepReference, SubflowResult


def echo(path: str, input: Any) -> SubflowResult:
    return SubflowResult({"path": path, "got": input}, False, [])


def fail_on_negative(path: str, input: Any) -> SubflowResult:
    failed = input < 0
    return SubflowResult(
        {"n": input}, failed, [{"step": "s", "error": f"step 's': {input} is negative"}] if failed else []
    )


def test_flow_gives_the_sub_flows_data(fake_run: Any, read_step: Any) -> None:
    run = fake_run({"ticket": {"id": 1}}, flows=echo)

    assert read_step("flow", path="a.yml", data_key="ticket").options.run(run) == {"path": "a.yml", "got": {"id": 1}}


def test_flow_without_data_key_passes_on_all_names(fake_run: Any, read_step: Any) -> None:
    run = fake_run({"__input__": {"a": 1, "b": 1}, "__job_id__": "j", "b": 2}, flows=echo)

    assert read_step("flow", path="a.yml").options.run(run)["got"] == {"a": 1, "b": 2}


def test_flow_fails_with_the_sub_flows_first_error(fake_run: Any, read_step: Any) -> None:
    run = fake_run({"n": -1}, flows=fail_on_negative)

    with pytest.raises(StepFailed, match=r"sub-flow 'a.yml' failed: step 's': -1 is negative"):
        read_step("flow", path="a.yml", data_key="n").options.run(run)


def test_flow_loop_gives_results_in_order(fake_run: Any, read_step: Any) -> None:
    run = fake_run({"items": [3, 1]}, flows=fail_on_negative)

    assert read_step("flow_loop", path="a.yml", data_key="items").options.run(run) == [{"n": 3}, {"n": 1}]


def test_flow_loop_fails_after_all_items_and_shows_what_there_is(fake_run: Any, read_step: Any) -> None:
    run = fake_run({"items": [3, -2, 1, -1]}, flows=fail_on_negative)

    with pytest.raises(StepFailed, match=r"2 of 4 items failed; the first: item 2: step 's': -2 is negative") as raised:
        read_step("flow_loop", path="a.yml", data_key="items").options.run(run)

    assert [value.get("n", value.get("__index__")) for value in raised.value.value] == [3, 2, 1, 4]
    assert raised.value.value[1] == {
        "__index__": 2,
        "status": "failed",
        "errors": [{"step": "s", "error": "step 's': -2 is negative"}],
    }


@pytest.mark.parametrize(("value", "kind"), [({}, "an object"), ("x", "a text"), (None, "null"), (True, "a boolean")])
def test_flow_loop_needs_a_list(fake_run: Any, read_step: Any, value: Any, kind: str) -> None:
    with pytest.raises(StepFailed, match=f"'items' must lead to a list, and leads to {kind}"):
        read_step("flow_loop", path="a.yml", data_key="items").options.run(fake_run({"items": value}))


def test_flows_are_referred_to(read_step: Any) -> None:
    assert list(read_step("flow", path="a.yml").options.references()) == [FlowReference("a.yml")]
    assert list(read_step("flow_loop", path="a.yml", data_key="d").options.references()) == [FlowReference("a.yml")]


CASES = [
    {"when": "P[12]", "step": {"type": "set_fact", "set_fact": {"value": "urgent"}}},
    {"when": 200, "step": {"type": "set_fact", "set_fact": {"value": "ok"}}},
    {"when": True, "step": {"type": "set_fact", "set_fact": {"value": "yes"}}},
    {"when": r"\[1,.*\]", "step": {"type": "exit", "exit": {"message": "a list"}}},
]


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ("P1", "urgent"),
        (200, "ok"),
        ("200", "ok"),
        (True, "yes"),
        ([1, 2], Exit("a list")),
        ("P11", NOTHING),
        (None, NOTHING),
    ],
)
def test_switch_runs_the_first_case_that_fits(fake_run: Any, read_step: Any, value: Any, result: Any) -> None:
    assert read_step("switch", data_key="v", cases=CASES).options.run(fake_run({"v": value})) == result


def test_switch_runs_the_default_when_no_case_fits(fake_run: Any, read_step: Any) -> None:
    step = read_step("switch", data_key="v", cases=CASES, default={"type": "set_fact", "set_fact": {"value": "other"}})

    assert step.options.run(fake_run({"v": "?"})) == "other"


def test_switch_refers_to_what_its_steps_refer_to(read_step: Any) -> None:
    cases = [{"when": "a", "step": {"type": "flow", "flow": {"path": "a.yml"}, "on_error_goto": "clean up"}}]
    step = read_step("switch", data_key="v", cases=cases, default={"type": "goto", "goto": {"step_name": "end"}})

    assert list(step.options.references()) == [FlowReference("a.yml"), StepReference("clean up"), StepReference("end")]


def test_switch_acts_when_one_of_its_steps_does(read_step: Any) -> None:
    assert not read_step("switch", data_key="v", cases=CASES).options.acts
    assert read_step(
        "switch", data_key="v", cases=CASES, default={"type": "rest", "rest": {"uri": "http://x"}}
    ).options.acts


@pytest.mark.parametrize(
    "case", [{"when": "(", "step": {"type": "debug"}}, {"when": "a", "step": {"type": "nope"}}, {"when": "a"}]
)
def test_a_case_is_checked_with_the_document(read_step: Any, case: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        read_step("switch", data_key="v", cases=[case])
