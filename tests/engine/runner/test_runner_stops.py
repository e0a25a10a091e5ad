"""A stop in the middle: the steps end, the `finally_step` runs over the data so far, and is not disturbed."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from threading import Barrier, Event, Timer

import pytest

from engine.models.job import StepStarted

INPUT = {"stop": "stop", "go on": "go on"}
STOP = "{name: stopper, type: debug, debug: {data_key: stop, type: text}}"
A = "{name: a, type: set_fact, set_fact: {value: 1}}"
LOOP = "{name: loop, type: flow_loop, flow_loop: {path: sub.yml, data_key: w}}"
AFTER = "{name: after, type: set_fact, set_fact: {value: 2}}"
TIDY = "{name: tidy, type: set_fact, set_fact: {value: '{{ a }}'}}"


@pytest.fixture
def stopping_host(host):
    """A host that is told to stop when a step logs `stop`."""
    host.when_logged["stop"] = host.stop
    return host


def order(host, *words):
    """Those words and the beginnings of steps, as the host was told."""
    return [
        told.name if isinstance(told, StepStarted) else told
        for told in host.told
        if isinstance(told, StepStarted) or told in words
    ]


def test_a_stop_ends_the_step_and_runs_the_finally_step_over_the_data_so_far(run, stopping_host):
    ran = run(f"finally_step: tidy\nsteps: [{A}, {STOP}, {AFTER}, {TIDY}]", INPUT, host=stopping_host)

    assert (ran.status, ran.end.reason, ran.end.errors) == ("failed", "stopped", [])
    assert ran.course == [("a", "success"), ("stopper", "stopped"), ("tidy", "success")]
    assert ran.stored == {"a": 1, "tidy": 1}


def test_a_stop_is_heard_and_said_before_the_finally_step(run, stopping_host):
    run(f"finally_step: tidy\nsteps: [{A}, {STOP}, {TIDY}]", INPUT, host=stopping_host)

    assert order(stopping_host, "stopping") == ["a", "stopper", "stopping", "tidy"]


def test_a_stop_needs_no_finally_step(run, stopping_host):
    ran = run(f"steps: [{A}, {STOP}, {AFTER}]", INPUT, host=stopping_host)

    assert (ran.status, ran.end.reason, ran.stored) == ("failed", "stopped", {"a": 1})
    assert order(stopping_host, "stopping") == ["a", "stopper", "stopping"]


def test_no_ignore_errors_and_no_way_round_keeps_a_stop_off(run, stopping_host):
    step = STOP.replace("type: debug", "type: debug, ignore_errors: '.*', on_error_goto: after", 1)

    ran = run(f"steps: [{step}, {AFTER}]", INPUT, host=stopping_host)

    assert (ran.end.reason, ran.course) == ("stopped", [("stopper", "stopped")])
    assert ran.data["__errors__"] == []


def test_a_stop_that_came_before_the_first_step_runs_only_the_finally_step(run, host):
    host.stopped.set()

    ran = run(f"finally_step: tidy\nsteps: [{AFTER}, {{name: tidy, type: debug, debug: {{}}}}]", host=host)

    assert (ran.end.reason, ran.course) == ("stopped", [("tidy", "success")])


def test_a_stop_while_a_steps_beginning_is_told_leaves_no_step_running(run, host):
    note = host.emit

    def emit(event, *, urgent=False):
        note(event, urgent=urgent)
        if isinstance(event, StepStarted) and event.name == "a":
            host.stop()

    host.emit = emit
    ran = run(f"steps: [{A}, {AFTER}]", host=host)

    assert (ran.end.reason, ran.course) == ("stopped", [("a", "stopped")])


def test_a_stop_while_a_steps_end_is_told_keeps_its_value(run, host):
    note = host.emit

    def emit(event, *, urgent=False):
        note(event, urgent=urgent)
        if event.number == 1 and not isinstance(event, StepStarted):
            host.stop()

    host.emit = emit
    ran = run(f"steps: [{A}, {AFTER}]", host=host)

    assert (ran.end.reason, ran.course, ran.stored) == ("stopped", [("a", "success")], {"a": 1})


def test_a_failure_of_the_finally_step_after_a_stop_is_kept_and_the_reason_stays(run, stopping_host):
    ran = run(f"finally_step: tidy\nsteps: [{STOP}, {TIDY}]", INPUT, host=stopping_host)

    assert (ran.status, ran.end.reason) == ("failed", "stopped")
    assert [entry["step"] for entry in ran.end.errors] == ["tidy"]


def test_a_stop_during_the_finally_step_does_not_break_it(run, stopping_host):
    ran = run(f"finally_step: stopper\nsteps: [{A}, {STOP}]", INPUT, host=stopping_host)

    assert stopping_host.stopped.is_set()
    assert (ran.status, ran.end.reason) == ("success", None)
    assert ran.course == [("a", "success"), ("stopper", "success")]


def test_a_second_stop_during_the_finally_step_does_not_break_it(run, stopping_host):
    ran = run(
        f"finally_step: tidy\nsteps: [{STOP}, {AFTER}, {{name: tidy, type: flow, flow: {{path: sub.yml}}}}]",
        INPUT,
        host=stopping_host,
        flows={"sub.yml": f"steps: [{STOP}, {AFTER}, {{name: nap, type: sleep, sleep: {{seconds: 0.01}}}}]"},
    )

    assert ran.course == [("stopper", "stopped"), ("tidy", "success")]
    assert ran.data["tidy"]["after"] == 2


def test_a_sleep_in_a_finally_step_lasts_although_the_stop_was_heard(run, stopping_host):
    begun = time.monotonic()

    ran = run(
        f"finally_step: nap\nsteps: [{STOP}, {{name: nap, type: sleep, sleep: {{seconds: 0.1}}}}]",
        INPUT,
        host=stopping_host,
    )

    assert ran.course == [("stopper", "stopped"), ("nap", "success")]
    assert time.monotonic() - begun >= 0.1


def test_a_stop_in_a_sub_flow_runs_every_finally_step_on_the_way_out(run, stopping_host):
    ran = run(
        f"finally_step: tidy\nsteps: [{A}, {{name: sub, type: flow, flow: {{path: mid.yml}}}}, {AFTER}, {TIDY}]",
        INPUT,
        host=stopping_host,
        flows={
            "mid.yml": "finally_step: m\n"
            "steps: [{name: sub, type: flow, flow: {path: low.yml}}, {name: m, type: debug, debug: {}}]",
            "low.yml": f"finally_step: l\nsteps: [{STOP}, {AFTER}, {{name: l, type: jq, jq: {{expression: .a}}}}]",
        },
    )

    assert (ran.status, ran.end.reason, ran.end.errors) == ("failed", "stopped", [])
    assert [(step.name, step.status) for step in ran.steps] == [
        ("a", "success"), ("sub", "stopped"), ("sub", "stopped"), ("stopper", "stopped"),
        ("l", "success"), ("m", "success"), ("tidy", "success"),
    ]  # fmt: skip
    assert order(stopping_host, "stopping")[4:6] == ["stopping", "l"]
    assert ran.stored == {"a": 1, "tidy": 1}


def test_a_stop_during_a_sub_flows_finally_step_lets_it_end_and_stops_the_flow_after_it(run, stopping_host):
    ran = run(
        f"finally_step: tidy\nsteps: [{A}, {{name: sub, type: flow, flow: {{path: sub.yml}}}}, {AFTER}, {TIDY}]",
        INPUT,
        host=stopping_host,
        flows={"sub.yml": f"finally_step: stopper\nsteps: [{STOP}]"},
    )

    assert [(step.name, step.status) for step in ran.steps] == [
        ("a", "success"), ("sub", "success"), ("stopper", "success"), ("tidy", "success"),
    ]  # fmt: skip
    assert (ran.status, ran.end.reason) == ("failed", "stopped")


def test_a_stop_ends_the_loop_that_runs_in_turn(run, stopping_host):
    ran = run(
        f"finally_step: tidy\nsteps: [{A}, {LOOP}, {TIDY}]",
        {"w": ["go on", "stop", "go on"]},
        host=stopping_host,
        flows={"sub.yml": "steps: [{name: say, type: debug, debug: {data_key: __input__, type: text}}]"},
    )

    assert [line.message for line in stopping_host.logged] == ["go on", "stop"]
    assert (ran.end.reason, ran.stored) == ("stopped", {"a": 1, "tidy": 1})
    assert ran.course == [("a", "success"), ("loop", "stopped"), ("tidy", "success")]


def test_a_stop_ends_the_threads_of_a_loop_with_their_finally_steps(run, host):
    """Both threads are in the middle of their sub-flows when one of them hears the stop."""
    both = Barrier(2, timeout=10)

    def meet_and_stop():
        both.wait()
        host.stop()

    host.when_logged["stop"] = meet_and_stop
    begun = time.monotonic()
    ran = run(
        f"finally_step: tidy\nsteps: [{A}, {LOOP}, {TIDY}]",
        {"w": ["stop", "stop"]},
        host=host,
        flows={
            "sub.yml": """
                finally_step: item done
                steps:
                  - {name: say, type: debug, debug: {data_key: __input__, type: text}}
                  - {name: wait, type: sleep, sleep: {seconds: 60}}
                  - {name: item done, type: debug, debug: {}}
                """
        },
    )

    assert time.monotonic() - begun < 10
    assert (ran.end.reason, ran.stored) == ("stopped", {"a": 1, "tidy": 1})
    assert [step.status for step in ran.steps if step.name == "item done"] == ["success", "success"]
    assert [step.name for step in ran.steps][-1] == "tidy"
    assert ran.end.unclean


def test_a_stopped_loop_does_not_wait_for_items_that_never_began(run, host, monkeypatch):
    monkeypatch.setattr("engine.runner.loops.STOP_SECONDS", 30)
    host.when_logged["stop"] = host.stop
    begun = time.monotonic()

    ran = run(
        "steps: [{name: loop, type: flow_loop, flow_loop: {path: sub.yml, data_key: __input__, max_workers: 2}}]",
        ["stop"] * 100,
        host=host,
        flows={
            "sub.yml": """
                steps:
                  - {name: say, type: debug, debug: {data_key: __input__, type: text}}
                  - {name: wait, type: sleep, sleep: {seconds: 60}}
                """
        },
    )

    assert time.monotonic() - begun < 15
    assert ran.end.reason == "stopped"
    assert len(host.logged) <= 2


def test_a_stopped_loop_waits_only_so_long_for_a_thread_that_does_not_see_it(run, host, monkeypatch):
    monkeypatch.setattr("engine.runner.loops.STOP_SECONDS", 0.1)
    both, released = Barrier(2, timeout=10), Event()

    def meet_and_stop():
        both.wait()
        host.stop()

    def meet_and_hang():
        both.wait()
        released.wait(20)

    host.when_logged = {"stop": meet_and_stop, "hang": meet_and_hang}
    begun = time.monotonic()
    ran = run(
        f"finally_step: tidy\nsteps: [{A}, {LOOP}, {TIDY}]",
        {"w": ["stop", "hang"]},
        host=host,
        flows={
            "sub.yml": """
                steps:
                  - {name: wait, type: sleep, sleep: {seconds: 0}}
                  - {name: say, type: debug, debug: {data_key: __input__, type: text}}
                  - {name: look, type: debug, debug: {data_key: __job_id__}}
                """
        },
    )
    waited = time.monotonic() - begun
    released.set()

    assert waited < 10
    assert (ran.end.reason, ran.data["tidy"], ran.end.unclean) == ("stopped", 1, True)


def test_a_stop_wakes_the_sleeping_threads_of_a_loop(run, host):
    timer = Timer(0.1, host.stop)
    timer.start()
    begun = time.monotonic()

    ran = run(
        "steps: [{name: loop, type: flow_loop, flow_loop: {path: sub.yml, data_key: __input__}}]",
        [1, 2, 3],
        host=host,
        flows={"sub.yml": "steps: [{name: wait, type: sleep, sleep: {seconds: 60}}]"},
    )
    timer.join()

    assert time.monotonic() - begun < 10
    assert ran.end.reason == "stopped"
    assert ran.course == [("loop", "stopped")]


def test_calls_of_a_loop_that_the_end_of_the_jobs_time_has_ended_wait_for_the_stop(run, host):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        call = f"{{name: call, type: rest, rest: {{uri: 'http://127.0.0.1:{silent.getsockname()[1]}/'}}}}"
        stop = Timer(0.7, host.stopped.set)
        stop.start()
        ran = run(
            f"steps: [{LOOP.replace('data_key: w', 'data_key: w, max_workers: 2')}]",
            {"w": [1, 2]},
            host=host,
            flows={"sub.yml": f"steps: [{call}]"},
            members={"timeout_seconds": 0.2},
        )
        stop.join()

    assert (ran.end.reason, ran.course) == ("stopped", [("loop", "stopped")])
    assert [step.status for step in ran.steps if step.name == "call"] == ["stopped", "stopped"]


def test_a_stop_ends_the_calls_of_a_loop_and_not_those_of_a_finally_step(run, host, peer, monkeypatch):
    monkeypatch.setattr("engine.runner.loops.STOP_SECONDS", 60)
    with socket.create_server(("127.0.0.1", 0)) as silent, ExitStack() as called:

        def stop_once_called():
            called.enter_context(silent.accept()[0])
            host.stop()

        host.when_logged["stop"] = stop_once_called
        begun = time.monotonic()
        ran = run(
            f"steps: [{LOOP}]",
            {"w": ["stop", "go on"]},
            host=host,
            flows={
                "sub.yml": f"""
                    finally_step: item done
                    steps:
                      - {{name: say, type: debug, debug: {{data_key: __input__, type: text}}}}
                      - {{name: call, type: rest, rest: {{uri: 'http://127.0.0.1:{silent.getsockname()[1]}/'}}}}
                      - {{name: item done, type: rest, rest: {{uri: '{peer(200, "{}")}'}}}}
                    """
            },
        )

    assert time.monotonic() - begun < 20
    assert ran.end.reason == "stopped"
    assert [step.status for step in ran.steps if step.name == "call"] == ["stopped"]
    assert [step.status for step in ran.steps if step.name == "item done"] == ["success", "success"]


def test_a_finally_step_calls_a_peer_although_the_jobs_time_is_over(run, stopping_host, peer):
    ran = run(
        "finally_step: tell\nsteps: [{name: nap, type: sleep, sleep: {seconds: 0.3}}, "
        f"{STOP}, {{name: tell, type: rest, rest: {{uri: '{peer(200, '7')}'}}}}]",
        INPUT,
        host=stopping_host,
        members={"timeout_seconds": 0.1},
    )

    assert (ran.end.reason, ran.course[-1], ran.stored["tell"]) == ("stopped", ("tell", "success"), 7)
