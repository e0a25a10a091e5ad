"""`when`: evaluated before anything else of a step; a step that is skipped leaves no trace but its row."""

from __future__ import annotations

import pytest

FACT = {"name": "v", "type": "set_fact", "set_fact": {"value": 1}}
WORDS = {"n": 2, "empty": [], "nothing": None}


@pytest.mark.parametrize("condition", ["n > 1", "{{ n > 1 }}", "{{ n }}", "yes", True, 1, "n == 2 and n", "'x'"])
def test_a_step_runs_when_its_condition_holds(run, condition):
    ran = run([{**FACT, "when": condition}], WORDS)

    assert (ran.course, ran.stored) == ([("v", "success")], {"v": 1})


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        ("n > 2", False),
        ("{{ n > 2 }}", False),
        ("{{ '0' }}", "0"),
        ("false", "false"),
        ("no", "no"),
        ("No", "No"),
        ("0", "0"),
        ("", ""),
        (" ", " "),
        (False, False),
        (0, 0),
        (None, None),
        ("empty", []),
        ("nothing", None),
    ],
)
def test_a_step_whose_condition_does_not_hold_is_skipped_and_says_why(run, condition, value):
    ran = run([{**FACT, "when": condition}], WORDS)

    assert (ran.status, ran.stored) == ("success", {})
    assert ran.course == [("v", "skipped")]
    assert ran.step("v").output == {"when": condition, "value": value}
    assert ran.step("v").ended.result_key is None


def test_all_conditions_of_a_list_must_hold_and_the_first_that_does_not_is_recorded(run):
    conditions = ["n == 2", "n == 3", "not_reached.at.all"]

    skipped = run([{**FACT, "when": conditions}], WORDS)
    ran = run([{**FACT, "when": conditions[:1]}], WORDS)

    assert skipped.step("v").output == {"when": "n == 3", "value": False}
    assert ran.stored == {"v": 1}


def test_a_skipped_step_leaves_the_value_that_was_there(run):
    ran = run(
        """
        steps:
          - {name: v, type: set_fact, set_fact: {value: before}}
          - {name: again, type: set_fact, result_key: v, when: "false", set_fact: {value: after}}
        """
    )

    assert ran.stored == {"v": "before"}


def test_the_options_of_a_skipped_step_are_not_rendered(run):
    ran = run([{"name": "v", "type": "set_fact", "when": "no", "set_fact": {"value": "{{ not_there }}"}}])

    assert ran.course == [("v", "skipped")]


def test_the_secret_of_a_skipped_step_is_not_fetched_and_nothing_is_waited_for(run):
    rest = {"uri": "http://127.0.0.1:9/", "authentication": {"type": "token", "secret": "key"}}

    ran = run([{"name": "call", "type": "rest", "when": "no", "rest": rest}])

    assert ran.course == [("call", "skipped")]
    assert [told for told in ran.host.told if isinstance(told, str)] == []


def test_the_sub_flow_of_a_skipped_step_does_not_run(run):
    ran = run(
        [{"name": "sub", "type": "flow", "when": "no", "flow": {"path": "sub.yml"}}],
        flows={"sub.yml": "steps: [{name: inner, type: debug, debug: {}}]"},
    )

    assert [step.name for step in ran.steps] == ["sub"]


def test_a_skip_inside_a_sub_flow_says_why_too(run):
    ran = run(
        "steps: [{name: sub, type: flow, flow: {path: sub.yml}}]",
        flows={"sub.yml": "steps: [{name: inner, type: debug, debug: {}, when: 1 > 2}]"},
    )

    assert ran.step("inner").output == {"when": "1 > 2", "value": False}
    assert ran.step("inner").ended.result_key is None


@pytest.mark.parametrize("condition", ["n >", "not_there > 1", "{{ n"])
def test_a_condition_that_cannot_be_evaluated_is_the_steps_error(run, condition):
    ran = run([{**FACT, "when": condition}], WORDS)

    assert ran.status == "failed"
    assert ran.error.startswith("step 'v': ")
    assert ran.stored == {}


def test_an_error_in_a_condition_may_be_ignored(run):
    ran = run([{**FACT, "when": "not_there", "ignore_errors": "not defined"}])

    assert (ran.status, ran.course, ran.stored) == ("success", [("v", "ignored")], {})


def test_a_condition_sees_whether_a_name_is_there(run):
    ran = run(
        """
        steps:
          - {name: v, type: set_fact, when: not_there is defined, set_fact: {value: 1}}
          - {name: w, type: set_fact, when: n is defined, set_fact: {value: 1}}
        """,
        WORDS,
    )

    assert ran.stored == {"w": 1}


def test_the_skip_of_a_nested_step_leaves_its_switch_without_a_value(run):
    inner = {"type": "set_fact", "when": "no", "set_fact": {"value": 1}}
    switch = {"data_key": "n", "cases": [{"when": "2", "step": inner}]}

    ran = run([{"name": "sw", "type": "switch", "switch": switch}], WORDS)

    assert (ran.course, ran.stored) == ([("sw", "success")], {})
