"""`finally_step`: once, last, always."""

from __future__ import annotations

import json

import pytest

from engine.models.job import StepEnded, StepStarted

TIDY = "{name: tidy, type: jq, jq: {expression: '[.a, (.__errors__ | length)]'}}"


@pytest.fixture
def tidied(run):
    """Runs these steps with `tidy` as the `finally_step`, which the list holds in the middle."""

    def run_with(*steps, input=None, **names):
        return run(f"finally_step: tidy\nsteps: [{', '.join((*steps, TIDY))}]", input, **names)

    return run_with


def test_it_runs_last_and_not_in_its_place(run):
    ran = run(
        f"""
        finally_step: tidy
        steps:
          - {TIDY}
          - {{name: a, type: set_fact, set_fact: {{value: 1}}}}
          - {{name: b, type: debug, debug: {{}}}}
        """
    )

    assert ran.course == [("a", "success"), ("b", "success"), ("tidy", "success")]
    assert ran.data["tidy"] == [1, 0]
    assert [step.started.is_finally for step in ran.steps] == [False, False, True]


def test_it_runs_after_a_failure_and_sees_the_error(tidied):
    ran = tidied("{name: a, type: set_fact, set_fact: {value: '{{ no }}'}}", "{name: b, type: debug, debug: {}}")

    assert (ran.status, ran.end.reason) == ("failed", "step_error")
    assert ran.course == [("a", "failed"), ("tidy", "success")]
    assert ran.data["tidy"] == [None, 1]
    assert [entry["step"] for entry in ran.end.errors] == ["a"]


def test_it_runs_after_an_exit_and_the_exit_stays_one(tidied):
    ran = tidied("{name: a, type: exit, exit: {message: enough}}", "{name: b, type: debug, debug: {}}")

    assert (ran.status, ran.end.message) == ("exit", "enough")
    assert ran.course == [("a", "success"), ("tidy", "success")]


@pytest.mark.parametrize(("target", "status"), [("__end__", "success"), ("__exit__", "exit"), ("tidy", "success")])
def test_it_runs_once_after_a_goto_to_the_end_or_to_itself(tidied, target, status):
    ran = tidied(f"{{name: a, type: goto, goto: {{step_name: {target}}}}}", "{name: b, type: debug, debug: {}}")

    assert (ran.status, ran.course) == (status, [("a", "success"), ("tidy", "success")])


def test_it_runs_once_after_an_error_that_leads_to_it(tidied):
    ran = tidied(
        "{name: a, type: set_fact, on_error_goto: tidy, set_fact: {value: '{{ no }}'}}",
        "{name: b, type: debug, debug: {}}",
    )

    assert (ran.status, ran.course) == ("success", [("a", "failed"), ("tidy", "success")])


def test_it_is_the_only_step(run):
    ran = run(f"finally_step: tidy\nsteps: [{TIDY}]")

    assert (ran.status, ran.course) == ("success", [("tidy", "success")])


def test_it_is_skipped_when_its_condition_does_not_hold(run):
    ran = run("finally_step: tidy\nsteps: [{name: tidy, type: debug, debug: {}, when: 'no'}]")

    assert (ran.status, ran.course) == ("success", [("tidy", "skipped")])


def test_its_failure_fails_a_job_that_had_succeeded(run):
    ran = run(
        """
        finally_step: tidy
        steps:
          - {name: a, type: set_fact, set_fact: {value: 1}}
          - {name: tidy, type: set_fact, set_fact: {value: "{{ no }}"}}
        """
    )

    assert (ran.status, ran.end.reason) == ("failed", "step_error")
    assert [entry["step"] for entry in ran.end.errors] == ["tidy"]
    assert ran.stored == {"a": 1}


def test_its_failure_fails_a_job_that_had_exited(run):
    ran = run(
        """
        finally_step: tidy
        steps:
          - {name: a, type: exit, exit: {message: enough}}
          - {name: tidy, type: set_fact, set_fact: {value: "{{ no }}"}}
        """
    )

    assert (ran.status, ran.end.message) == ("failed", "enough")


def test_its_failure_does_not_hide_the_first_error(run):
    ran = run(
        """
        finally_step: tidy
        steps:
          - {name: a, type: set_fact, set_fact: {value: "{{ first }}"}}
          - {name: tidy, type: set_fact, set_fact: {value: "{{ second }}"}}
        """
    )

    assert (ran.status, ran.end.reason) == ("failed", "step_error")
    assert [entry["step"] for entry in ran.end.errors] == ["a", "tidy"]
    assert [entry["step"] for entry in ran.data["__errors__"]] == ["a", "tidy"]


def test_its_failure_may_be_ignored(run):
    ran = run("finally_step: t\nsteps: [{name: t, type: set_fact, ignore_errors: no, set_fact: {value: '{{ no }}'}}]")

    assert (ran.status, ran.course) == ("success", [("t", "ignored")])


@pytest.mark.parametrize(
    "step",
    ["type: goto, goto: {step_name: __start__}", "type: exit, exit: {message: m}", "type: goto, goto: {step_name: t}"],
)
def test_it_steers_nothing(run, step):
    ran = run(f"finally_step: t\nsteps: [{{name: a, type: debug, debug: {{}}}}, {{name: t, {step}}}]")

    assert (ran.status, ran.end.message) == ("success", None)
    assert ran.course == [("a", "success"), ("t", "success")]


def test_it_may_be_a_sub_flow_with_a_finally_step_of_its_own(run):
    ran = run(
        "finally_step: tidy\nsteps: [{name: tidy, type: flow, flow: {path: sub.yml}}]",
        flows={
            "sub.yml": "finally_step: z\n"
            "steps: [{name: y, type: debug, debug: {}}, {name: z, type: set_fact, set_fact: {value: 1}}]"
        },
    )

    assert [step.name for step in ran.steps] == ["tidy", "y", "z"]
    assert ran.data["tidy"]["z"] == 1


def test_a_sub_flows_finally_step_runs_after_its_failure(run):
    ran = run(
        "steps: [{name: sub, type: flow, ignore_errors: not defined, flow: {path: sub.yml}}]",
        flows={
            "sub.yml": "finally_step: z\n"
            "steps: [{name: y, type: set_fact, set_fact: {value: '{{ no }}'}}, {name: z, type: debug, debug: {}}]"
        },
    )

    assert [(step.name, step.status) for step in ran.steps] == [("sub", "ignored"), ("y", "failed"), ("z", "success")]


def test_it_runs_over_a_limit_and_its_row_has_a_number_of_its_own(run):
    ran = run(
        "finally_step: tidy\nsteps: [{name: a, type: debug, debug: {}}, "
        f"{{name: go, type: goto, goto: {{step_name: a}}}}, {TIDY}]",
        max_step_runs=5,
    )

    assert (ran.status, ran.end.reason) == ("failed", "limit")
    assert ran.course[-1] == ("tidy", "success")
    numbers = [step.started.number for step in ran.steps]
    assert len(set(numbers)) == len(numbers)
    assert ran.data["tidy"] == [None, 1]


def test_every_finally_step_over_the_limit_has_a_number_of_its_own(run):
    ran = run(
        "finally_step: z\nsteps: [{name: sub, type: flow, flow: {path: a.yml}}, {name: z, type: debug, debug: {}}]",
        flows={
            "a.yml": "finally_step: y\n"
            "steps: [{name: sub, type: flow, flow: {path: b.yml}}, {name: y, type: debug, debug: {}}]",
            "b.yml": "finally_step: x\nsteps: [{name: w, type: debug, debug: {}}, {name: x, type: debug, debug: {}}]",
        },
        max_step_runs=2,
    )

    assert [(step.name, step.status) for step in ran.steps if step.started.is_finally] == [
        ("x", "success"), ("y", "success"), ("z", "success"),
    ]  # fmt: skip
    numbers = [event.number for event in ran.host.events if isinstance(event, StepStarted)]
    assert len(set(numbers)) == len(numbers) == 5
    assert sorted(numbers) == sorted(event.number for event in ran.host.events if isinstance(event, StepEnded))


# After a process that was lost: only the `finally_step`


def test_alone_it_runs_over_the_data_that_was_left(run):
    left = {
        "__input__": {"foo": "bar"}, "__job_id__": "job-1", "__flow_path__": "main.yml", "__timestamp__": "earlier",
        "__loop_index__": None, "a": 41, "__errors__": [{"step": "b", "type": "sleep", "error": "lost"}],
    }  # fmt: skip
    errors = [{"step": "b", "type": "sleep", "error": "lost"}]

    ran = run(
        """
        finally_step: tidy
        steps:
          - {name: a, type: debug, debug: {}}
          - name: tidy
            type: set_fact
            set_fact: {value: "{{ a }} {{ foo }} {{ __errors__[0].error }} {{ __timestamp__ }}"}
        """,
        left,
        members={"finally_only": True, "errors": errors, "first_number": 3},
    )

    assert ran.course == [("tidy", "success")]
    assert ran.data == {**left, "tidy": "41 bar lost earlier"}
    assert ran.steps[0].started.number == 3
    assert ran.steps[0].started.is_finally
    assert ran.end.errors == errors


def test_alone_its_failure_comes_after_the_error_that_was_there(run):
    ran = run(
        "finally_step: t\nsteps: [{name: t, type: set_fact, set_fact: {value: '{{ no }}'}}]",
        {"__input__": None, "__errors__": []},
        members={"finally_only": True, "errors": [{"step": "b", "type": "sleep", "error": "lost"}]},
    )

    assert ran.status == "failed"
    assert [entry["step"] for entry in ran.end.errors] == ["b", "t"]


def test_alone_it_runs_beyond_the_limit_of_step_runs(run):
    ran = run(
        f"finally_step: tidy\nsteps: [{TIDY}]",
        json.loads('{"__input__": null, "a": 1, "__errors__": []}'),
        members={"finally_only": True, "first_number": 6},
        max_step_runs=5,
    )

    assert ran.course == [("tidy", "success")]
