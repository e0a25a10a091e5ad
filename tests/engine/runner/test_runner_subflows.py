"""A flow inside a flow: its input, its value, its errors, its end."""

from __future__ import annotations

import pytest

from engine.models.limits import RunLimits
from engine.runner import run_job

CALL = "{name: sub, type: flow, flow: {path: sub.yml}}"
CALL_WITH_KEY = "{name: sub, type: flow, flow: {path: sub.yml, data_key: ticket}}"
AFTER = "{name: after, type: set_fact, set_fact: {value: 1}}"
ONE_STEP = {"sub.yml": "steps: [{name: only, type: debug, debug: {}}]"}


def test_its_value_is_its_data_without_its_input(run):
    ran = run(
        f"steps: [{CALL_WITH_KEY}]",
        {"ticket": {"id": 7}},
        flows={"sub.yml": "steps: [{name: seen, type: jq, jq: {expression: '.id'}}]"},
    )

    assert ran.data["sub"] == {
        "__job_id__": "job-1",
        "__flow_path__": "sub.yml",
        "__timestamp__": "20240523120000",
        "__loop_index__": None,
        "__errors__": [],
        "seen": 7,
    }


def test_its_data_is_its_own(run):
    ran = run(
        f"steps: [{{name: mine, type: set_fact, set_fact: {{value: 1}}}}, {CALL_WITH_KEY}]",
        {"ticket": {"id": 7}},
        flows={"sub.yml": "steps: [{name: mine, type: set_fact, set_fact: {value: '{{ mine is defined }}'}}]"},
    )

    assert (ran.data["mine"], ran.data["sub"]["mine"]) == (1, False)


def test_a_jq_expression_sees_the_sub_flows_data(run):
    ran = run(
        "steps: [{name: sub, type: flow, flow: {path: sub.yml}, jq_expression: .seen}]",
        flows={"sub.yml": "steps: [{name: seen, type: set_fact, set_fact: {value: 5}}]"},
    )

    assert ran.stored == {"sub": 5}


def test_its_failure_is_the_steps_error(run):
    ran = run(
        f"steps: [{CALL}, {AFTER}]",
        flows={"sub.yml": "steps: [{name: bad, type: set_fact, set_fact: {value: '{{ no }}'}}]"},
    )

    assert (ran.status, ran.end.reason) == ("failed", "step_error")
    assert ran.error.startswith("step 'sub': sub-flow 'sub.yml' failed: step 'bad': 'no' is not defined")
    assert ran.end.errors[0]["type"] == "flow"
    assert ran.course == [("sub", "failed")]
    assert ran.stored == {}


def test_its_failure_may_be_ignored(run):
    ran = run(
        f"steps: [{CALL.replace('type: flow', 'type: flow, ignore_errors: not defined')}, {AFTER}]",
        flows={"sub.yml": "steps: [{name: bad, type: set_fact, set_fact: {value: '{{ no }}'}}]"},
    )

    assert (ran.status, ran.stored) == ("success", {"after": 1})
    assert [entry["step"] for entry in ran.data["__errors__"]] == ["sub"]


def test_errors_it_ignored_stay_in_its_own_data(run):
    ran = run(
        f"steps: [{CALL}]",
        flows={"sub.yml": "steps: [{name: bad, type: set_fact, ignore_errors: '.', set_fact: {value: '{{ no }}'}}]"},
    )

    assert ran.data["__errors__"] == []
    assert [entry["step"] for entry in ran.data["sub"]["__errors__"]] == ["bad"]


@pytest.mark.parametrize("leave", ["type: exit, exit: {message: enough}", "type: goto, goto: {step_name: __exit__}"])
def test_its_exit_ends_only_itself(run, leave):
    ran = run(
        f"steps: [{CALL}, {AFTER}]",
        flows={"sub.yml": f"steps: [{{name: leave, {leave}}}, {{name: never, type: debug, debug: {{}}}}]"},
    )

    assert (ran.status, ran.end.message) == ("success", None)
    assert [step.name for step in ran.steps] == ["sub", "leave", "after"]
    assert ran.data["after"] == 1


def test_its_goto_start_is_its_own_start(run):
    ran = run(
        f"steps: [{CALL}]",
        flows={
            "sub.yml": """
                steps:
                  - {name: n, type: jq, jq: {expression: .n + 1}}
                  - {name: again, type: goto, when: n < 3, goto: {step_name: __start__}}
                """
        },
    )

    assert ran.data["sub"]["n"] == 3


def test_its_templates_are_found(run):
    ran = run(
        f"steps: [{CALL}]",
        flows={"sub.yml": "steps: [{name: text, type: jinja, jinja: {path: t.j2}}]"},
        templates={"t.j2": "from {{ __flow_path__ }}"},
    )

    assert ran.data["sub"]["text"] == "from sub.yml"


def test_the_same_sub_flow_may_run_twice(run):
    ran = run(
        f"steps: [{CALL}, {CALL.replace('name: sub', 'name: again')}]",
        flows={"sub.yml": "steps: [{name: v, type: set_fact, set_fact: {value: 1}}]"},
    )

    assert (ran.data["sub"]["v"], ran.data["again"]["v"]) == (1, 1)


def test_its_steps_name_the_steps_that_they_are_in(run):
    ran = run(
        "steps: [{name: outer, type: flow, flow: {path: mid.yml}}]",
        {"items": ["a", "b"]},
        flows={
            "mid.yml": "steps: [{name: each, type: flow_loop, flow_loop: {path: low.yml, data_key: items}}]",
            "low.yml": "steps: [{name: last, type: debug, debug: {}}]",
        },
    )

    assert [(step.name, step.started.parent) for step in ran.steps] == [
        ("outer", None),
        ("each", "outer"),
        ("last", "outer > each[1]"),
        ("last", "outer > each[2]"),
    ]


def test_what_is_stored_inside_has_no_row_of_its_own_but_its_whole_has(run):
    ran = run(f"steps: [{CALL}]", flows={"sub.yml": "steps: [{name: v, type: set_fact, set_fact: {value: 1}}]"})

    assert ran.step("v").ended.output is None
    assert ran.step("sub").ended.result_key == "sub"
    assert ran.step("sub").output == ran.data["sub"]


def switch(step):
    return f"{{name: sw, type: switch, switch: {{data_key: __job_id__, cases: [{{when: '.*', step: {step}}}]}}}}"


@pytest.mark.parametrize(
    ("step", "status"),
    [
        ("{type: set_fact, name: inner, set_fact: {value: 1}}", "success"),
        ("{type: set_fact, name: inner, when: 'no', set_fact: {value: 1}}", "skipped"),
        ("{type: set_fact, name: inner, ignore_errors: '.', set_fact: {value: '{{ no }}'}}", "ignored"),
        ("{type: set_fact, name: inner, on_error_goto: __end__, set_fact: {value: '{{ no }}'}}", "failed"),
        ("{type: set_fact, name: inner, set_fact: {value: '{{ no }}'}}", "failed"),
    ],
)
def test_the_step_inside_a_switch_has_a_row_that_names_the_switch(run, step, status):
    ran = run(f"steps: [{switch(step)}]")

    assert [(run.name, run.started.number, run.started.parent) for run in ran.steps] == [
        ("sw", 1, None),
        ("inner", 2, "sw"),
    ]
    assert ran.step("inner").status == status
    assert ran.step("inner").ended.result_key is None


def test_a_step_inside_a_switch_of_a_sub_flow_names_both(run):
    inner = "{type: set_fact, name: inner, set_fact: {value: 1}}"

    ran = run(f"steps: [{CALL}]", flows={"sub.yml": f"steps: [{switch(inner)}]"})

    assert [step.started.parent for step in ran.steps] == [None, "sub", "sub > sw"]


def test_a_step_inside_a_switch_is_told_of_like_the_switch(run):
    inner = "{type: set_fact, name: inner, set_fact: {value: 1}}"

    above = run(f"steps: [{switch(inner)}]", max_recorded_steps=0)
    below = run(f"steps: [{CALL}]", flows={"sub.yml": f"steps: [{switch(inner)}]"}, max_recorded_steps=1)

    assert [event.name for event in above.host.urgent] == ["sw", "inner"]
    assert [step.name for step in above.steps] == ["sw", "inner"]
    assert [event.name for event in below.host.urgent] == ["sub"]
    assert [step.name for step in below.steps] == ["sub", "sw"]


@pytest.mark.parametrize(
    ("step", "kind"),
    [("type: flow, flow: {path: sub.yml}", "flow 'sub.yml'"), ("type: jinja, jinja: {path: t.j2}", "template 't.j2'")],
)
def test_what_was_not_there_at_the_launch_is_not_run(message, data_path, host, step, kind):
    sent = message(f"steps: [{{name: a, {step}}}]", flows=ONE_STEP, templates={"t.j2": ""})
    sent["documents"][sent["revision"]]["parts"] = {}

    end = run_job(sent, b"null", host, RunLimits(data_path=str(data_path)))

    assert [entry["error"] for entry in end.errors] == [f"step 'a': {kind} is not part of this flow's revision"]
