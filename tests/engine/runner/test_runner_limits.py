"""What a job may use up: each limit is a clear error that no `ignore_errors` forgives, and the process goes on."""

from __future__ import annotations

import re
from threading import Barrier

import pytest

from engine.models.job import LogLine, StepStarted
from engine.runner.flow import MAX_ERROR

FOREVER = (
    "{name: a, type: debug, debug: {}, ignore_errors: '.*', on_error_goto: a}, "
    "{name: go, type: goto, goto: {step_name: a}}"
)


def test_a_goto_that_never_ends_is_ended_by_the_limit_of_step_runs(run):
    ran = run(f"steps: [{FOREVER}]", max_step_runs=20)

    assert (ran.status, ran.end.reason) == ("failed", "limit")
    assert ran.error == "The job ran 20 steps, which is the limit (MAX_STEP_RUNS)."
    assert len(ran.course) == 20
    assert ran.data["__errors__"] == ran.end.errors


def test_skipped_steps_and_the_steps_of_sub_flows_count_too(run):
    ran = run(
        "steps: [{name: a, type: debug, debug: {}, when: 'no'}, {name: b, type: flow, flow: {path: sub.yml}}, "
        "{name: c, type: debug, debug: {}}]",
        flows={"sub.yml": "steps: [{name: d, type: debug, debug: {}}]"},
        max_step_runs=3,
    )

    assert (ran.end.reason, [step.name for step in ran.steps]) == ("limit", ["a", "b", "d"])


def test_a_limit_inside_a_sub_flow_ends_the_job_although_the_step_ignores_errors(run):
    ran = run(
        "steps: [{name: sub, type: flow, ignore_errors: '.*', on_error_goto: z, flow: {path: s.yml}}, "
        "{name: z, type: debug, debug: {}}]",
        flows={"s.yml": f"steps: [{FOREVER}]"},
        max_step_runs=20,
    )

    assert (ran.status, ran.end.reason) == ("failed", "limit")
    assert "MAX_STEP_RUNS" in ran.error
    assert ran.course == [("sub", "failed")]


def test_the_finally_steps_of_threads_that_reach_the_limit_have_numbers_of_their_own(run, host):
    host.when_logged["meet"] = Barrier(2, timeout=10).wait

    ran = run(
        "steps: [{name: loop, type: flow_loop, flow_loop: {path: sub.yml, data_key: __input__}}]",
        ["meet", "meet"],
        host=host,
        flows={
            "sub.yml": """
                finally_step: say
                steps:
                  - {name: wait, type: sleep, sleep: {seconds: 0}}
                  - {name: say, type: debug, debug: {data_key: __input__, type: text}}
                """
        },
        max_step_runs=1,
    )

    assert ran.end.reason == "limit"
    numbers = [step.started.number for step in ran.steps if step.name == "say"]
    assert len(numbers) == len(set(numbers)) == 2
    assert [step.status for step in ran.steps if step.name == "say"] == ["success", "success"]


def test_all_that_runs_in_threads_has_ended_when_a_limit_leads_to_the_finally_step(run, host):
    """Item 1 reaches a limit while item 2 is in the middle of its steps."""
    meet = Barrier(2, timeout=10)
    host.when_logged["meet"] = meet.wait

    ran = run(
        """
        finally_step: tidy
        steps:
          - {name: loop, type: flow_loop, flow_loop: {path: sub.yml, data_key: rows}}
          - {name: tidy, type: debug, debug: {type: json}}
        """,
        {"rows": [{"word": "meet", "items": [1, 2, 3]}, {"word": "meet", "items": [1]}]},
        host=host,
        flows={
            "sub.yml": """
                steps:
                  - {name: say, type: debug, debug: {data_key: word, type: text}}
                  - {name: nap, type: sleep, sleep: {seconds: "{{ 0.1 if items | length == 1 else 0 }}"}}
                  - {name: inner, type: flow_loop, flow_loop: {path: leaf.yml, data_key: items}}
                """,
            "leaf.yml": "steps: [{name: leaf, type: debug, debug: {data_key: __job_id__}}]",
        },
        max_loop_items=2,
    )

    assert (ran.status, ran.end.reason) == ("failed", "limit")
    assert "A loop over 3 items is over the limit of 2 (MAX_LOOP_ITEMS)." in ran.error
    assert [step.name for step in ran.steps][-1] == "tidy"
    assert [step.status for step in ran.steps if step.name == "leaf"] == ["success"]


def test_items_of_a_loop_that_had_not_begun_when_a_limit_was_reached_do_not_run(run):
    ran = run(
        "steps: [{name: loop, type: flow_loop, flow_loop: {path: sub.yml, data_key: __input__, max_workers: 2}}]",
        [[0] * 201, *[[1]] * 199],
        flows={
            "sub.yml": """
                steps:
                  - {name: inner, type: flow_loop, flow_loop: {path: leaf.yml, data_key: __input__}}
                  - {name: nap, type: sleep, sleep: {seconds: 0.001}}
                """,
            "leaf.yml": "steps: [{name: leaf, type: debug, debug: {data_key: __job_id__}}]",
        },
        max_loop_items=200,
    )

    assert "MAX_LOOP_ITEMS" in ran.error
    assert len(ran.host.logged) < 150


def test_a_limit_in_a_loop_does_not_wait_for_items_that_never_began(run):
    ran = run(
        "finally_step: z\nsteps: [{name: loop, type: flow_loop, flow_loop: {path: sub.yml, data_key: __input__}}, "
        "{name: z, type: debug, debug: {}}]",
        list(range(1000)),
        flows={"sub.yml": "steps: [{name: wait, type: sleep, sleep: {seconds: 0}}]"},
        max_step_runs=50,
    )

    assert (ran.end.reason, ran.course) == ("limit", [("loop", "failed"), ("z", "success")])


def test_a_loop_over_too_many_items_runs_none(run):
    ran = run(
        "steps: [{name: loop, type: flow_loop, ignore_errors: '.*', flow_loop: {path: sub.yml, data_key: __input__}}]",
        [1, 2, 3],
        flows={"sub.yml": "steps: [{name: a, type: debug, debug: {}}]"},
        max_loop_items=2,
    )

    assert (ran.status, ran.end.reason) == ("failed", "limit")
    assert ran.error == "A loop over 3 items is over the limit of 2 (MAX_LOOP_ITEMS)."
    assert [step.name for step in ran.steps] == ["loop"]


CHAIN = {
    "one.yml": "steps: [{name: to two, type: flow, flow: {path: two.yml}}]",
    "two.yml": "steps: [{name: to three, type: flow, flow: {path: three.yml}}]",
    "three.yml": "steps: [{name: end, type: debug, debug: {}}]",
}


def test_sub_flows_may_be_nested_as_deep_as_the_limit(run):
    ran = run("steps: [{name: to one, type: flow, flow: {path: one.yml}}]", flows=CHAIN, max_flow_depth=3)

    assert ran.status == "success"
    assert ran.step("end").started.parent == "to one > to two > to three"


def test_a_sub_flow_below_the_depth_limit_is_refused_with_the_chain(run):
    ran = run("steps: [{name: to one, type: flow, flow: {path: one.yml}}]", flows=CHAIN, max_flow_depth=2)

    assert (ran.status, ran.end.reason) == ("failed", "limit")
    assert ran.error == (
        "Flows are nested deeper than 2, which is the limit (MAX_FLOW_DEPTH): to one > to two > to three."
    )
    assert [step.name for step in ran.steps] == ["to one", "to two", "to three"]


def test_a_rendered_text_over_the_limit_is_the_steps_error(run):
    step = {"name": "t", "type": "jinja", "jinja": {"template": "{% for i in range(200) %}{{ i }},{% endfor %}"}}

    over, under = run([step], max_rendered_bytes=100), run([step], max_rendered_bytes=1000)

    assert (over.status, over.end.reason) == ("failed", "step_error")
    assert "over 100 characters" in over.error
    assert under.status == "success"


def test_a_log_ends_with_a_line_that_says_so(run):
    ran = run(
        """
        steps:
          - {name: n, type: jq, jq: {expression: .n + 1}}
          - {name: say, type: debug, debug: {data_key: n, type: json}}
          - {name: go, type: goto, when: n < 9, goto: {step_name: __start__}}
        """,
        max_log_lines=4,
    )

    lines = [event for event in ran.host.events if isinstance(event, LogLine)]
    assert [line.message for line in lines] == [
        "1", "2", "3", "4 lines were logged, which is the limit (MAX_LOG_LINES); no more are kept.",
    ]  # fmt: skip
    assert [line.level for line in lines] == ["info", "info", "info", "warning"]
    assert ran.status == "success"


def loop_of(sub, items, **limits):
    loop = "{name: loop, type: flow_loop, ignore_errors: failed, flow_loop: {path: sub.yml, data_key: __input__}}"
    return f"steps: [{loop}]", items, {"flows": {"sub.yml": sub}, **limits}


def test_rows_inside_sub_flows_end_at_their_limit_and_results_do_not(run):
    flow, items, names = loop_of("steps: [{name: n, type: jq, jq: {expression: .__input__}}]", list(range(20)))

    ran = run(flow, items, **names, max_recorded_steps=5)

    assert len([step for step in ran.steps if step.name == "n"]) == 5
    assert [item["n"] for item in ran.data["loop"]] == items


@pytest.mark.parametrize("keys", ["", "on_error_goto: __end__,"])
def test_failures_go_on_being_recorded_beyond_it(run, keys):
    flow, items, names = loop_of(
        f"steps: [{{name: n, type: jq, {keys} jq: {{expression: 'if .__input__ < 0 then error(\"no\") else 1 end'}}}}]",
        [1, 1, 1, -1, 1, -1],
    )

    ran = run(flow, items, **names, max_recorded_steps=2)

    inner = [step for step in ran.steps if step.name == "n"]
    assert [(step.started.number, step.status) for step in inner] == [
        (2, "success"), (3, "success"), (5, "failed"), (7, "failed"),
    ]  # fmt: skip
    assert inner[-1].ended.error.startswith("step 'n': no")
    events = [event for event in ran.host.events if not isinstance(event, LogLine)]
    assert [type(event) is StepStarted for event in events if event.number == 7] == [True, False]


def test_steps_of_the_flow_itself_are_always_recorded(run):
    ran = run("steps: [{name: a, type: debug, debug: {}}, {name: b, type: debug, debug: {}}]", max_recorded_steps=0)

    assert ran.course == [("a", "success"), ("b", "success")]


def test_memory_that_runs_out_is_a_limit_that_nothing_forgives(run, monkeypatch):
    from engine.steps.jq import Jq

    def eat(self, run):
        raise MemoryError

    monkeypatch.setattr(Jq, "run", eat)
    ran = run(
        """
        finally_step: tidy
        steps:
          - {name: eat, type: jq, ignore_errors: ".*", on_error_goto: tidy, jq: {expression: .}}
          - {name: tidy, type: set_fact, set_fact: {value: "{{ __errors__ | length }}"}}
        """
    )

    assert (ran.status, ran.end.reason) == ("failed", "limit")
    assert ran.error == "step 'eat': the job's memory limit was reached (JOB_MEMORY_MB)"
    assert ran.course == [("eat", "failed"), ("tidy", "success")]
    assert ran.data["tidy"] == 1


@pytest.mark.parametrize("keys", ["", "ignore_errors: x,"])
def test_an_error_of_a_hundred_kilobytes_is_cut_wherever_it_is_kept(run, keys):
    ran = run(f"steps: [{{name: bad, type: jq, {keys} jq: {{expression: '\"x\" * 100000 | error'}}}}]")

    (noted,) = ran.data["__errors__"]
    kept = [noted["error"], ran.step("bad").ended.error, *(entry["error"] for entry in ran.end.errors)]
    assert {text[:12] for text in kept} == {"step 'bad': "}
    assert all(re.search(r"xxx\.\.\. \(100\d\d\d characters\)$", text) for text in kept)
    assert max(map(len, kept)) < MAX_ERROR + 100
    assert len(ran.end.data_json) < MAX_ERROR + 1000


@pytest.mark.parametrize(("more", "end"), [(0, "(in `error`)"), (1, f"... ({MAX_ERROR + 1} characters)")])
def test_an_error_of_the_most_that_is_kept_is_kept_whole(run, more, end):
    text = "x" * (MAX_ERROR + more - len(" (in `error`)"))

    ran = run([{"name": "bad", "type": "jq", "jq": {"expression": "error", "data_key": "__input__"}}], text)

    assert ran.error.startswith(f"step 'bad': {text}")
    assert ran.error.endswith(end)


def test_files_are_read_and_written_up_to_the_limit(run, data_path):
    (data_path / "in.txt").write_text("x" * 100)
    step = {"name": "f", "type": "file", "file": {"path": "in.txt"}}

    over, under = run([step], max_file_bytes=99), run([step], max_file_bytes=100)

    assert over.status == "failed"
    assert under.data["f"] == "x" * 100
