"""A step's error: it ends the flow, or it is forgiven, or there is a way round; `__errors__` tells of all three."""

from __future__ import annotations

import pytest

from engine.runner.flow import MAX_ERROR

FAILS = {"name": "bad", "type": "set_fact", "set_fact": {"value": "{{ not_there }}"}}
AFTER = {"name": "after", "type": "set_fact", "set_fact": {"value": 1}}


def test_an_error_ends_the_flow_and_names_step_type_and_text(run):
    ran = run([FAILS, AFTER])

    assert (ran.status, ran.end.reason) == ("failed", "step_error")
    [entry] = ran.end.errors
    assert (entry["step"], entry["type"]) == ("bad", "set_fact")
    assert entry["error"].startswith("step 'bad': 'not_there' is not defined")
    assert ran.course == [("bad", "failed")]
    assert ran.step("bad").ended.error == entry["error"]
    assert ran.data["__errors__"] == [entry]
    assert ran.stored == {}


@pytest.mark.parametrize("patterns", ["is not defined", ["no such", "not_there.*defined"], "^'not_there'"])
def test_an_error_that_a_pattern_finds_is_ignored_and_noted(run, patterns):
    ran = run([{**FAILS, "ignore_errors": patterns}, AFTER])

    assert (ran.status, ran.end.reason, ran.end.errors) == ("success", None, [])
    assert ran.course == [("bad", "ignored"), ("after", "success")]
    assert ran.stored == {"after": 1}
    [entry] = ran.data["__errors__"]
    assert entry["step"] == "bad"
    assert entry["type"] == "set_fact"
    assert entry["error"] == ran.step("bad").ended.error
    assert entry["ignored"] == (patterns if isinstance(patterns, str) else patterns[1])


def test_an_error_that_no_pattern_finds_ends_the_flow_and_is_not_marked_as_ignored(run):
    ran = run([{**FAILS, "ignore_errors": ["timeout", "^not_there$"]}, AFTER])

    assert ran.course == [("bad", "failed")]
    assert ran.data["__errors__"] == ran.end.errors
    assert "ignored" not in ran.data["__errors__"][0]


def test_a_steps_own_name_is_not_part_of_the_text_that_is_searched(run):
    ran = run([{**FAILS, "name": "expect 404", "ignore_errors": ["404", "step"]}])

    assert ran.status == "failed"


@pytest.mark.parametrize("pattern", ["out of stock", "^409$|\\b409\\b", "Conflict|/order"])
def test_the_status_and_the_body_of_an_answer_are_searched(run, peer, pattern):
    uri = peer(409, '{"detail": "' + "x" * 500 + 'out of stock"}')

    ran = run([{"name": "order", "type": "rest", "ignore_errors": pattern, "rest": {"uri": f"{uri}/order"}}])

    assert ran.course == [("order", "ignored")]
    assert ran.data["__errors__"][0]["ignored"] == pattern


def test_later_steps_see_the_errors_so_far(run):
    ran = run(
        [
            {**FAILS, "ignore_errors": ".*"},
            {"name": "seen", "type": "jq", "jq": {"expression": "[.__errors__[] | .step, .ignored]"}},
        ]
    )

    assert ran.data["seen"] == ["bad", ".*"]


def test_an_error_may_lead_to_another_step(run):
    ran = run(
        """
        steps:
          - {name: bad, type: set_fact, on_error_goto: repair, set_fact: {value: "{{ not_there }}"}}
          - {name: passed over, type: debug, debug: {}}
          - {name: repair, type: jq, jq: {expression: ".__errors__ | length"}}
          - {name: after, type: debug, debug: {}}
        """
    )

    assert (ran.status, ran.end.errors) == ("success", [])
    assert ran.course == [("bad", "failed"), ("repair", "success"), ("after", "success")]
    assert ran.stored == {"repair": 1}
    assert "is not defined" in ran.step("bad").ended.error
    assert ran.data["__errors__"] == [{"step": "bad", "type": "set_fact", "error": ran.step("bad").ended.error}]


def test_an_ignored_error_does_not_lead_elsewhere(run):
    ran = run([{**FAILS, "ignore_errors": "defined", "on_error_goto": "__exit__"}, AFTER])

    assert (ran.status, ran.course) == ("success", [("bad", "ignored"), ("after", "success")])


@pytest.mark.parametrize(("target", "status"), [("__end__", "success"), ("__exit__", "exit")])
def test_an_error_may_lead_to_the_end(run, target, status):
    ran = run([{**FAILS, "on_error_goto": target}, AFTER])

    assert (ran.status, ran.course, ran.end.errors) == (status, [("bad", "failed")], [])


def test_an_error_may_begin_the_flow_again(run):
    ran = run(
        """
        steps:
          - {name: tries, type: jq, jq: {expression: .tries + 1}}
          - name: flaky
            type: jq
            on_error_goto: __start__
            jq: {expression: 'if .tries < 3 then error("no") else "yes" end'}
        """
    )

    assert ran.stored == {"tries": 3, "flaky": "yes"}
    assert len(ran.data["__errors__"]) == 2


def test_a_fault_that_nobody_foresaw_is_an_error_of_its_step(run, monkeypatch):
    from engine.steps.set_fact import SetFact

    def fault(self, run):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(SetFact, "run", fault)
    ran = run([AFTER])

    assert ran.error == "step 'after': unexpected ZeroDivisionError: division by zero"


def test_its_sentence_is_cut_like_any_other(run, monkeypatch):
    from engine.steps.set_fact import SetFact

    def fault(self, run):
        raise ValueError("x" * 100_000)

    monkeypatch.setattr(SetFact, "run", fault)
    ran = run([AFTER])

    assert ran.error.startswith("step 'after': unexpected ValueError: xxx")
    assert ran.error.endswith("x... (100023 characters)")
    assert len(ran.error) < MAX_ERROR + 100
    assert (ran.status, ran.end.reason) == ("failed", "step_error")


def test_a_missing_file_and_a_missing_secret_are_errors_of_their_steps(run):
    file = run([{"name": "read", "type": "file", "file": {"path": "no.json"}}])
    rest = {"uri": "http://127.0.0.1:9/", "authentication": {"type": "token", "secret": "key"}}
    secret = run([{"name": "call", "type": "rest", "rest": rest}])

    assert file.error.startswith("step 'read': ")
    assert "no.json" in file.error
    assert secret.error == "step 'call': secret 'key' is not in secrets.yml"


# A step inside a switch


def switch(step, **keys):
    return {
        "name": "sw",
        "type": "switch",
        **keys,
        "switch": {"data_key": "__job_id__", "cases": [{"when": ".*", "step": step}]},
    }


def test_the_step_inside_a_switch_may_ignore_its_own_error(run):
    ran = run([switch({**FAILS, "ignore_errors": "defined"}), AFTER])

    assert (ran.course, ran.stored) == ([("sw", "success"), ("after", "success")], {"after": 1})
    [entry] = ran.data["__errors__"]
    assert (entry["step"], entry["ignored"]) == ("bad", "defined")


def test_the_step_inside_a_switch_may_ignore_an_error_of_its_condition(run):
    ran = run([switch({**AFTER, "when": "not_there", "ignore_errors": "defined"})])

    assert ran.course == [("sw", "success")]


def test_the_step_inside_a_switch_may_lead_elsewhere_after_its_error(run):
    ran = run([switch({**FAILS, "on_error_goto": "__exit__"}), AFTER])

    assert (ran.status, ran.course) == ("exit", [("sw", "success")])


@pytest.mark.parametrize("keys", [{}, {"ignore_errors": "something else"}])
def test_an_error_inside_a_switch_is_the_switchs_and_is_noted_once(run, keys):
    ran = run([switch({**FAILS, **keys}), AFTER])

    assert ran.course == [("sw", "failed")]
    assert [entry["step"] for entry in ran.data["__errors__"]] == ["sw"]


def test_a_switch_may_ignore_the_error_of_the_step_inside(run):
    ran = run([switch(FAILS, ignore_errors="defined"), AFTER])

    assert ran.course == [("sw", "ignored"), ("after", "success")]


def test_the_step_inside_a_switch_has_a_result_key_of_its_own(run):
    ran = run([switch({**AFTER, "result_key": "inner", "jq_expression": ". + 1"}, jq_expression="[.]")])

    assert ran.stored == {"inner": 2, "sw": [2]}


def test_an_ignored_error_inside_a_switch_does_not_lead_elsewhere(run):
    ran = run([switch({**FAILS, "ignore_errors": ".", "on_error_goto": "__exit__"}), AFTER])

    assert (ran.status, ran.stored) == ("success", {"after": 1})


def test_the_value_of_a_step_inside_a_switch_is_stored_once(run):
    ran = run([switch(AFTER)])

    assert ran.stored == {"sw": 1}
