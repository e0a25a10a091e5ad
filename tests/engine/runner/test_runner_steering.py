"""Where a flow goes: `goto`, `exit`, and nothing else."""

from __future__ import annotations

import json

import pytest


def goto(step_name, **keys):
    return {"name": "go", "type": "goto", **keys, "goto": {"step_name": step_name}}


def fact(name, value=1, **keys):
    return {"name": name, "type": "set_fact", **keys, "set_fact": {"value": value}}


def test_goto_goes_on_with_the_step_it_names(run):
    ran = run([goto("c"), fact("b"), fact("c"), fact("d")])

    assert (ran.status, ran.course) == ("success", [("go", "success"), ("c", "success"), ("d", "success")])


def test_goto_may_go_back_and_has_no_value(run):
    ran = run(
        [
            {"name": "n", "type": "jq", "jq": {"expression": ".n + 1"}},
            goto("n", when="n < 3"),
            fact("last", "{{ n }}"),
        ]
    )

    assert ran.stored == {"n": 3, "last": 3}
    assert [name for name, status in ran.course if status != "skipped"] == ["n", "go", "n", "go", "n", "last"]


def test_goto_start_begins_with_the_first_step_and_keeps_the_data(run):
    ran = run([{"name": "n", "type": "jq", "jq": {"expression": ".n + 1"}}, goto("__start__", when="n < 4")])

    assert (ran.status, ran.stored) == ("success", {"n": 4})


def test_goto_end_is_success(run):
    ran = run([fact("a"), goto("__end__"), fact("b")])

    assert (ran.status, ran.end.reason, ran.end.message) == ("success", None, None)
    assert ran.stored == {"a": 1}


def test_goto_exit_is_an_exit_whose_message_names_the_step(run):
    ran = run([fact("a"), goto("__exit__"), fact("b")])

    assert (ran.status, ran.end.reason, ran.stored) == ("exit", None, {"a": 1})
    assert "'go'" in ran.end.message


def test_the_target_of_a_goto_may_be_rendered(run):
    ran = run([goto(" {{ target }} "), fact("b"), fact("c")], {"target": "c"})

    assert ran.course == [("go", "success"), ("c", "success")]


def test_a_goto_to_a_step_that_is_not_there_fails_its_step(run):
    ran = run([goto("{{ target }}"), fact("b")], {"target": "nowhere"})

    assert (ran.status, ran.end.reason) == ("failed", "step_error")
    assert ran.error == "step 'go': there is no step 'nowhere' to go to (there are: go, b)"
    assert ran.course == [("go", "failed")]
    assert ran.data["__errors__"] == ran.end.errors


def test_a_goto_to_a_step_that_is_not_there_may_be_ignored(run):
    ran = run([goto("{{ target }}", ignore_errors="no step"), fact("b")], {"target": "nowhere"})

    assert ran.course == [("go", "ignored"), ("b", "success")]


@pytest.mark.parametrize("value", [{"goto": "c"}, {"goto": "__exit__"}, {"exit": "now"}, {"step_name": "c"}])
def test_data_that_looks_like_steering_steers_nothing(run, peer, value):
    ran = run(
        [
            fact("a", value),
            {"name": "asked", "type": "rest", "rest": {"uri": peer(200, json.dumps(value))}},
            fact("b"),
            fact("c"),
        ],
        value,
    )

    assert ran.status == "success"
    assert ran.stored == {"a": value, "asked": value, "b": 1, "c": 1}


def test_exit_ends_the_flow_with_a_message_that_is_stored_too(run):
    ran = run(
        [
            {"name": "leave", "type": "exit", "result_key": "why", "exit": {"message": "No data in {{ place }}."}},
            fact("b"),
        ],
        {"place": "the queue"},
    )

    assert (ran.status, ran.end.reason, ran.end.errors) == ("exit", None, [])
    assert ran.end.message == "No data in the queue."
    assert ran.stored == {"why": "No data in the queue."}
    assert ran.course == [("leave", "success")]


def test_a_message_that_looks_like_data_stays_a_text(run):
    ran = run([{"name": "leave", "type": "exit", "exit": {"message": "{{ [1] }}"}}])

    assert (ran.end.message, ran.stored) == ("[1]", {"leave": "[1]"})


def test_an_exit_with_a_condition_that_does_not_hold_ends_nothing(run):
    ran = run([{"name": "leave", "type": "exit", "when": "no", "exit": {"message": "m"}}, fact("b")])

    assert (ran.status, ran.end.message, ran.stored) == ("success", None, {"b": 1})


def test_a_switch_may_steer(run):
    cases = [
        {"when": "up", "step": {"type": "goto", "goto": {"step_name": "c"}}},
        {"when": "out", "step": {"type": "exit", "exit": {"message": "out"}}},
    ]
    flow = [{"name": "sw", "type": "switch", "switch": {"data_key": "way", "cases": cases}}, fact("b"), fact("c")]

    up, out = run(flow, {"way": "up"}), run(flow, {"way": "out"})

    assert up.course == [("sw", "success"), ("c", "success")]
    assert (out.status, out.end.message, out.stored) == ("exit", "out", {"sw": "out"})
