"""Faults of a job's process, by their numbers: it eats memory, hangs, hears no signal, loses its forkserver."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
from contextlib import closing, suppress
from pathlib import Path
from threading import Thread

import pytest
from faults import fault
from fixed_answers import Answer, peer
from flows import SLOW, step
from services import children_of, flow, is_alive, until

ENDLESS = "name: endless\nsteps:\n  - name: spin\n    type: jq\n    jq: {expression: 'def f: f; f'}\n"
JSON = {"Content-Type": "application/json"}
GOOD = "name: good\nsteps:\n  - {name: v, type: set_fact, set_fact: {value: 1}}\n"


ABORTED = (
    "step 'eat': the job's process was killed by SIGABRT, as jq does when memory runs out; "
    "a job may take 256 MiB (JOB_MEMORY_MB)"
)


@pytest.mark.parametrize(
    ("expression", "timeout_seconds", "reason", "sentence"),
    [
        ("def f: 1+f; f", 60, "limit", ABORTED),
        ('"x" | . * 2000000000', 60, "limit", ABORTED),
        ("[range(1e9)]", 60, "limit", ABORTED),
        ("last(range(infinite))", 2, "timeout", "The job timed out after 2 seconds."),
    ],
)
def test_row_10_a_jq_that_eats_its_process_costs_its_own_job_only(
    data, start, expression, timeout_seconds, reason, sentence
):
    flow(data, "evil.yml", f"name: evil\nsteps:\n  - name: eat\n    type: jq\n    jq: {{expression: '{expression}'}}\n")
    flow(data, "good.yml", "name: good\nsteps:\n  - {name: v, type: set_fact, set_fact: {value: 1}}\n")
    service = start(JOB_MEMORY_MB="256")

    evil = service.launch("evil.yml", timeout_seconds=timeout_seconds)
    good = service.run("good.yml")
    job = service.finished(evil)

    assert good["status"] == "success"
    assert (job["status"], job["reason"]) == ("failed", reason)
    assert job["errors"] == [{"step": "eat", "type": "jq", "error": sentence}]
    assert service.run("good.yml")["status"] == "success"


def test_row_11_an_endless_jq_is_stopped_by_its_deadline_while_the_api_goes_on_answering(data, start):
    flow(data, "endless.yml", ENDLESS)
    service = start()
    service.get("/api/jobs")

    job_id = service.launch("endless.yml", timeout_seconds=1)
    service.running_step(job_id, "spin")
    answered = 0
    while service.job(job_id)["state"] != "finished":
        assert service.get("/api/jobs").status_code == 200
        answered += 1
    job = service.job(job_id)

    assert (job["status"], job["reason"]) == ("failed", "timeout")
    assert job["errors"][0]["step"] == "spin"
    assert "timed out after 1 seconds" in job["errors"][0]["error"]
    assert 1 <= job["duration_seconds"] < 5
    assert answered > 3  # If jq held the service up, the first answer would come when all is over.


def test_row_11_a_timeout_runs_the_finally_step_over_what_the_finished_steps_left(data, start):
    flow(
        data,
        "endless.yml",
        ENDLESS.replace("name: endless", "name: endless\nfinally_step: tidy").replace(
            "steps:\n", "steps:\n  - {name: first, type: set_fact, set_fact: {value: 41}}\n"
        )
        + "  - {name: tidy, type: file, file: {path: output/tidy.json, mode: write, type: json, data_key: first}}\n",
    )
    service = start()

    job = service.run("endless.yml", timeout_seconds=1)

    assert (job["status"], job["reason"]) == ("failed", "timeout")
    assert (data / "output" / "tidy.json").read_text().strip() == "41"
    assert [step["name"] for step in job["steps"]] == ["first", "spin", "tidy"]
    assert job["steps"][-1]["is_finally"]
    assert job["result"]["first"] == 41


def test_row_12_a_step_that_waits_for_a_peer_is_stopped_by_its_deadline(data, start):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        call = step("rest", "call", uri=f"http://127.0.0.1:{silent.getsockname()[1]}/", timeout_seconds=60)
        flow(data, "silent.yml", json.dumps({"name": "silent", "steps": [call]}))
        service = start()

        job = service.run("silent.yml", timeout_seconds=3)

    assert (job["status"], job["reason"]) == ("failed", "timeout")
    assert job["duration_seconds"] < 20
    assert job["errors"] == [{"step": "call", "type": "rest", "error": "The job timed out after 3 seconds."}]


def test_row_12_a_finally_step_calls_its_peer_after_the_deadline(data, start):
    with socket.create_server(("127.0.0.1", 0)) as silent, peer(Answer(200, b"7", JSON)) as (address, asked):
        call = step("rest", "call", uri=f"http://127.0.0.1:{silent.getsockname()[1]}/")
        tell = step("rest", "tell", uri=address)
        flow(data, "tells.yml", json.dumps({"name": "tells", "finally_step": "tell", "steps": [call, tell]}))
        service = start()

        job = service.run("tells.yml", timeout_seconds=1)

    assert (job["status"], job["reason"]) == ("failed", "timeout")
    assert [(each["name"], each["status"]) for each in job["steps"]] == [("call", "stopped"), ("tell", "success")]
    assert (job["result"]["tell"], len(asked)) == (7, 1)


class Told(BaseException):
    """What a thread is told, to make it end."""


def test_row_13_a_thread_that_waits_in_c_hears_no_exception_hence_jobs_are_processes():
    def wait() -> None:
        with suppress(Told):
            theirs.recv(1)

    ours, theirs = socket.socketpair()
    thread = Thread(target=wait)
    with closing(ours), closing(theirs):
        thread.start()
        until(lambda: ") S " in Path(f"/proc/self/task/{thread.native_id}/stat").read_text())
        told = ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(Told))
        thread.join(0.3)
        is_deaf = thread.is_alive()
        ours.send(b"x")
        thread.join(5)

    assert told == 1
    assert is_deaf
    assert not thread.is_alive()


def test_row_14_a_process_that_hears_no_sigterm_is_killed_with_what_it_started(data, start):
    flow(data, "slow.yml", SLOW)
    flow(data, "good.yml", GOOD)
    service = start(**fault("engine.steps.sleep:Sleep.run", "stubborn"))
    job_id = service.launch("slow.yml", timeout_seconds=2)
    (grandchild,) = until(lambda: [pid for job in service.job_processes() for pid in children_of(job)])

    job = service.finished(job_id)
    until(lambda: not is_alive(grandchild), 5)

    assert (job["status"], job["reason"]) == ("failed", "timeout")
    assert job["duration_seconds"] < 10
    assert service.run("good.yml")["status"] == "success"


def test_row_15_a_dead_forkserver_is_replaced_and_no_job_is_lost(data, start):
    flow(data, "good.yml", "name: good\nsteps:\n  - {name: v, type: set_fact, set_fact: {value: 1}}\n")
    service = start()
    assert service.run("good.yml")["status"] == "success"
    dead = service.forkservers()

    for pid in dead:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not [pid for pid in dead if is_alive(pid)])
    jobs = [service.run("good.yml") for _ in range(3)]

    assert dead
    assert [job["status"] for job in jobs] == ["success"] * 3
    assert service.forkservers() != dead


def test_row_15_a_forkserver_that_dies_takes_its_jobs_along_and_each_says_so(data, start):
    flow(data, "slow.yml", SLOW)
    flow(data, "good.yml", GOOD)
    service = start()
    job_id = service.launch("slow.yml")
    service.running_step(job_id, "wait")
    jobs = service.job_processes()

    for pid in service.forkservers():
        os.kill(pid, signal.SIGKILL)
    job = service.finished(job_id)

    assert (job["status"], job["reason"]) == ("failed", "process_died")
    until(lambda: not [pid for pid in jobs if is_alive(pid)], 5)
    assert service.run("good.yml")["status"] == "success"
