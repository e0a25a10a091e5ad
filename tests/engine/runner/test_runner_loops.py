"""`flow_loop`: one sub-flow for each item, at the same time where that helps, results in the order of the items."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event, active_count

import pytest

from engine.models.job import StepStarted

LOOP = "{name: loop, type: flow_loop, flow_loop: {path: sub.yml, data_key: items}}"
AFTER = "{name: after, type: set_fact, set_fact: {value: 1}}"
PURE = "steps: [{name: n, type: jq, jq: {expression: '.__input__ * 2'}}]"
WAITING = (
    "steps: [{name: wait, type: sleep, sleep: {seconds: 0}}, {name: n, type: jq, jq: {expression: '.__input__ * 2'}}]"
)
PICKY = """
    steps:
      - {name: n, type: jq, jq: {expression: 'if .__input__ < 0 then error("negative") else .__input__ end'}}
    """
PICKY_AND_WAITING = PICKY.replace("steps:\n", "steps:\n      - {name: wait, type: sleep, sleep: {seconds: 0}}\n")


def threads_of(ran, name):
    """The names of the threads that the runs of a step were told of from."""
    told = zip(ran.host.told, ran.host.threads, strict=True)
    return {thread for event, thread in told if isinstance(event, StepStarted) and event.name == name}


@pytest.mark.parametrize("sub", [PURE, WAITING])
@pytest.mark.parametrize("count", [0, 1, 2, 7, 300])
def test_results_are_in_the_order_of_the_items(run, sub, count):
    ran = run(f"steps: [{LOOP}]", {"items": list(range(count))}, flows={"sub.yml": sub})

    assert [item["n"] for item in ran.data["loop"]] == [2 * n for n in range(count)]
    assert [item["__loop_index__"] for item in ran.data["loop"]] == list(range(1, count + 1))


def test_a_flow_that_only_computes_gets_no_threads(run):
    ran = run(f"steps: [{LOOP}]", {"items": [1, 2, 3]}, flows={"sub.yml": PURE})

    assert threads_of(ran, "n") == {"MainThread"}


@pytest.mark.parametrize(
    "waiting",
    [
        "type: sleep, sleep: {seconds: 0}",
        "type: file, when: 'no', file: {path: out.txt, mode: write, data_key: n}",
        "type: rest, when: 'no', rest: {uri: 'http://127.0.0.1:9'}",
        "type: flow, flow: {path: deeper.yml}",
    ],
)
def test_a_flow_that_waits_anywhere_gets_threads(run, host, waiting):
    meet = Barrier(3, timeout=10)
    host.when_logged["meet"] = meet.wait
    ran = run(
        f"steps: [{LOOP}]",
        {"items": ["meet"] * 3},
        host=host,
        flows={
            "sub.yml": f"""
                steps:
                  - {{name: w, {waiting}}}
                  - {{name: say, type: debug, debug: {{data_key: __input__, type: text}}}}
                """,
            "deeper.yml": "steps: [{name: nap, type: sleep, sleep: {seconds: 0}}]",
        },
    )

    assert ran.status == "success"
    assert len(threads_of(ran, "say")) == 3
    assert all(name.startswith("loop") for name in threads_of(ran, "say"))


def test_no_more_items_run_at_once_than_asked_for(run, host):
    meet = Barrier(2, timeout=10)
    host.when_logged["meet"] = meet.wait
    loop = LOOP.replace("data_key: items", "data_key: items, max_workers: 2")

    ran = run(
        f"steps: [{loop}]",
        {"items": ["meet"] * 6},
        host=host,
        flows={
            "sub.yml": """
                steps:
                  - {name: wait, type: sleep, sleep: {seconds: 0}}
                  - {name: say, type: debug, debug: {data_key: __input__, type: text}}
                """
        },
    )

    assert len(ran.data["loop"]) == 6
    assert len(threads_of(ran, "say")) == 2


def test_one_worker_is_no_thread(run):
    loop = LOOP.replace("data_key: items", "data_key: items, max_workers: 1")

    ran = run(f"steps: [{loop}]", {"items": [1, 2]}, flows={"sub.yml": WAITING})

    assert threads_of(ran, "n") == {"MainThread"}


def test_no_thread_is_left_and_the_process_stays_clean(run):
    before = active_count()

    ran = run(f"steps: [{LOOP}]", {"items": [1, 2, 3]}, flows={"sub.yml": WAITING})

    assert (active_count(), ran.end.unclean) == (before, False)


@pytest.mark.parametrize("sub", [PICKY, PICKY_AND_WAITING])
def test_a_failed_item_fails_the_step_after_all_have_ended_and_keeps_the_others_in_their_places(run, sub):
    ran = run(f"steps: [{LOOP}, {AFTER}]", {"items": [1, -2, 3, -4]}, flows={"sub.yml": sub})

    assert (ran.status, ran.end.reason) == ("failed", "step_error")
    assert ran.error.startswith("step 'loop': 2 of 4 items failed; the first: item 2: step 'n': negative")
    assert ran.course == [("loop", "failed")]
    one, two, three, four = ran.data["loop"]
    assert (one["n"], three["n"]) == (1, 3)
    assert (two["__index__"], two["status"], four["__index__"], four["status"]) == (2, "failed", 4, "failed")
    assert [error["step"] for error in two["errors"]] == ["n"]
    assert [step.status for step in ran.steps if step.name == "n"].count("success") == 2
    assert ran.step("loop").output == ran.data["loop"]


def test_the_errors_of_failed_items_are_noted_one_by_one(run):
    ran = run(f"steps: [{LOOP}]", {"items": [1, -2, 3, -4]}, flows={"sub.yml": PICKY})

    noted = ran.data["__errors__"]
    assert [(entry["step"], entry["type"]) for entry in noted] == [
        ("loop[2] > n", "jq"),
        ("loop[4] > n", "jq"),
        ("loop", "flow_loop"),
    ]
    assert noted[0]["error"].startswith("step 'n': negative")
    assert [entry["step"] for entry in ran.end.errors] == ["loop"]


def test_an_ignored_failure_of_a_loop_keeps_the_whole_list(run):
    loop = LOOP.replace("type: flow_loop", "type: flow_loop, ignore_errors: items failed", 1)

    ran = run(f"steps: [{loop}, {AFTER}]", {"items": [1, -2, 3]}, flows={"sub.yml": PICKY_AND_WAITING})

    assert (ran.status, ran.end.errors) == ("success", [])
    assert ran.course == [("loop", "ignored"), ("after", "success")]
    assert [item.get("n", item.get("status")) for item in ran.data["loop"]] == [1, "failed", 3]
    assert {entry["ignored"] for entry in ran.data["__errors__"]} == {"items failed"}
    assert ran.step("loop").output == ran.data["loop"]
    assert ran.step("loop").ended.result_key == "loop"


def test_a_failed_loop_leaves_no_errors_to_the_next_one(run):
    loop = LOOP.replace("type: flow_loop", "type: flow_loop, ignore_errors: items failed", 1)
    bad = "{name: bad, type: set_fact, ignore_errors: defined, set_fact: {value: '{{ no }}'}}"

    ran = run(f"steps: [{loop}, {bad}]", {"items": [-1]}, flows={"sub.yml": PICKY})

    assert [entry["step"] for entry in ran.data["__errors__"]] == ["loop[1] > n", "loop", "bad"]


def test_an_ignored_failure_of_a_loop_inside_a_switch_keeps_the_whole_list(run):
    loop = "{type: flow_loop, name: inner, ignore_errors: failed, flow_loop: {path: sub.yml, data_key: items}}"

    ran = run(
        f"steps: [{{name: sw, type: switch, switch: {{data_key: __job_id__, cases: [{{when: '.*', step: {loop}}}]}}}}]",
        {"items": [1, -2]},
        flows={"sub.yml": PICKY},
    )

    assert ran.status == "success"
    assert [item.get("n", item.get("status")) for item in ran.data["sw"]] == [1, "failed"]


def test_an_exit_of_one_item_ends_that_item_only(run):
    ran = run(
        f"steps: [{LOOP}, {AFTER}]",
        {"items": [1, 2]},
        flows={
            "sub.yml": """
                steps:
                  - {name: leave, type: exit, when: __input__ == 1, exit: {message: one}}
                  - {name: n, type: jq, jq: {expression: .__input__}}
                """
        },
    )

    assert (ran.status, ran.data["after"]) == ("success", 1)
    assert [(item.get("leave"), item.get("n")) for item in ran.data["loop"]] == [("one", None), (None, 2)]


def test_items_that_are_no_list_are_an_error(run):
    ran = run(f"steps: [{LOOP}]", {"items": {"a": 1}}, flows={"sub.yml": PURE})

    assert ran.error == "step 'loop': data_key 'items' must lead to a list, and leads to an object"


def test_a_jq_expression_sees_the_whole_list(run):
    loop = LOOP.replace("type: flow_loop", "type: flow_loop, jq_expression: '[.[].n]'", 1)

    ran = run(f"steps: [{loop}]", {"items": [1, 2]}, flows={"sub.yml": PURE})

    assert ran.stored == {"loop": [2, 4]}


def test_a_loop_inside_a_loop_keeps_its_order_too(run):
    ran = run(
        f"steps: [{LOOP}]",
        {"items": [[1, 2], [3], []]},
        flows={
            "sub.yml": "steps: [{name: row, type: flow_loop, flow_loop: {path: cell.yml, data_key: __input__}}]",
            "cell.yml": WAITING,
        },
    )

    assert [[cell["n"] for cell in item["row"]] for item in ran.data["loop"]] == [[2, 4], [6], []]


def test_a_value_too_deep_for_json_does_not_take_the_job_with_it(run):
    """The item that failed shows the others' values, and one of these cannot be written."""
    ran = run(
        f"finally_step: after\nsteps: [{LOOP}, {AFTER}]",
        {"items": [3000, -1]},
        flows={
            "sub.yml": """
                steps:
                  - {name: deep, type: jq, jq: {expression: 'reduce range(.__input__) as $i (0; [.])'}}
                  - name: n
                    type: jq
                    jq: {data_key: __input__, expression: 'if . < 0 then error("negative") else . end'}
                """
        },
    )

    assert ran.course == [("loop", "failed"), ("after", "success")]
    assert "1 of 2 items failed" in ran.error
    assert "its value is not JSON" in ran.error
    assert ran.stored == {"after": 1}


def test_a_loop_whose_threads_cannot_be_started_fails_in_good_order(run, monkeypatch):
    submit, left = ThreadPoolExecutor.submit, Event()

    def starve(self, function, *args):
        if args != (0,):
            left.set()
            raise RuntimeError("can't start new thread")
        return submit(self, function, *args)

    monkeypatch.setattr(ThreadPoolExecutor, "submit", starve)
    ran = run(f"finally_step: after\nsteps: [{LOOP}, {AFTER}]", {"items": [1, 2, 3]}, flows={"sub.yml": WAITING})

    assert left.is_set()
    assert "can't start new thread" in ran.error
    assert ran.course == [("loop", "failed"), ("after", "success")]
    assert [step.status for step in ran.steps if step.name == "n"] == ["success"]
    assert ran.end.unclean
