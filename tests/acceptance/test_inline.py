"""Services that run jobs within requests, for hosts that give no processor time between them."""

from __future__ import annotations

import http.client
import json
import os
import signal
import time
from contextlib import closing, suppress
from threading import Thread

import pytest
from services import TOKEN, flow, until

from engine.orchestrator import Orchestrator
from engine.settings import Settings

QUICK = "name: quick\nsteps:\n  - {name: v, type: set_fact, set_fact: {value: '{{ word }}'}}\n"
FAILING = "name: failing\nsteps:\n  - {name: no, type: jq, jq: {expression: 'error(1)'}}\n"
SLOW = (
    "name: slow\nfinally_step: tidy\nsteps:\n"
    "  - {name: wait, type: sleep, sleep: {seconds: 60}}\n"
    "  - {name: tidy, type: sleep, sleep: {seconds: 0.5}}\n"
)
BRIEF = "name: brief\nsteps:\n  - {name: wait, type: sleep, sleep: {seconds: 1}}\n"


@pytest.fixture(params=["serve", "functions-framework"])
def service(request, data, start):
    for name, text in (("quick", QUICK), ("failing", FAILING), ("slow", SLOW), ("two", SLOW), ("brief", BRIEF)):
        flow(data, f"{name}.yml", text)
    return start(request.param, EXECUTOR="inline", FLOW_MAX_WORKERS="2", THREADS="8")


def launching(service, path):
    """A request that launches, under way in a thread of its own: the job has come to `wait`."""
    answers = []
    connection = http.client.HTTPConnection(service.url.removeprefix("http://"), timeout=60)

    def launch():
        with closing(connection), suppress(ConnectionError):
            body = json.dumps({"path": path})
            connection.request("POST", "/api/jobs", body, {"Authorization": f"Bearer {TOKEN}"})
            answer = connection.getresponse()
            answers.append((answer.status, json.loads(answer.read())))

    thread = Thread(target=launch)
    thread.start()
    job = until(lambda: service.get(f"/api/jobs?path={path}").json()["jobs"], 20, service.text)[0]
    service.running_step(job["id"], "wait")
    return thread, answers, job["id"]


def queue(data, path):
    """A pending job that another process has left; its id."""
    engine = Orchestrator(Settings(data_path=data, flow_max_workers=0))
    id = engine.launch(path)
    engine.close()
    return id


def test_a_launch_is_answered_with_the_job_that_has_ended(service):
    good = service.post("/api/jobs", {"path": "quick.yml", "data": {"word": "hello"}})
    older = service.post("/api/flows/launch", {"path": "failing.yml"})

    assert (good.status_code, older.status_code) == (200, 200)
    assert good.json() == service.job(good.json()["id"])
    assert (good.json()["status"], good.json()["source"], good.json()["result"]["v"]) == ("success", "api", "hello")
    assert (older.json()["state"], older.json()["status"]) == ("finished", "failed")


def test_so_many_jobs_run_at_once_as_are_set_and_one_more_is_refused(service):
    begun = [launching(service, path) for path in ("slow.yml", "two.yml")]

    refused = service.post("/api/jobs", {"path": "quick.yml"})
    for _, _, job_id in begun:
        assert service.post(f"/api/jobs/{job_id}/cancel").status_code == 202
    for thread, _, _ in begun:
        thread.join(20)
    later = service.post("/api/jobs", {"path": "quick.yml", "data": {"word": 1}})

    assert (refused.status_code, refused.json()["code"], refused.headers["Retry-After"]) == (503, "busy", "1")
    assert "FLOW_MAX_WORKERS" in refused.json()["error"]
    assert [[(status, job["status"]) for status, job in answers] for _, answers, _ in begun] == [
        [(200, "cancelled")]
    ] * 2
    assert later.json()["status"] == "success"


def test_a_job_runs_on_when_its_client_goes_away(service):
    with closing(http.client.HTTPConnection(service.url.removeprefix("http://"), timeout=20)) as client:
        client.request("POST", "/api/jobs", '{"path": "brief.yml"}', {"Authorization": f"Bearer {TOKEN}"})
        job = until(lambda: service.get("/api/jobs?path=brief.yml").json()["jobs"])[0]

    assert service.finished(job["id"])["status"] == "success"


def test_a_tick_is_answered_when_what_waited_has_ended(data, service):
    waiting = [queue(data, path) for path in ("brief.yml", "failing.yml")]

    untouched = [service.job(id)["state"] for id in waiting]
    tick = service.post("/api/tick")
    jobs = [service.job(id) for id in waiting]

    assert untouched == ["pending", "pending"]
    assert (tick.status_code, tick.json()["dispatched"], tick.json()["errors"]) == (200, 2, [])
    assert [(job["state"], job["status"]) for job in jobs] == [("finished", "success"), ("finished", "failed")]


def test_a_tick_runs_the_finally_step_of_a_job_whose_service_was_killed(data, service, start):
    thread, answers, job_id = launching(service, "slow.yml")
    service.kill()
    thread.join(20)
    again = start(EXECUTOR="inline")

    before = again.job(job_id)["state"]
    tick = again.post("/api/tick")
    job = again.job(job_id)

    assert (answers, before) == ([], "running")
    assert tick.json()["swept"] == 1
    assert (job["state"], job["status"], job["reason"]) == ("finished", "failed", "worker_lost")
    assert [(step["name"], step["status"]) for step in job["steps"]] == [("wait", "stopped"), ("tidy", "success")]


def test_a_service_that_is_frozen_after_its_answer_holds_nothing(data, service):
    first = service.post("/api/jobs", {"path": "quick.yml", "data": {"word": 1}})

    os.killpg(service.process.pid, signal.SIGSTOP)
    queued = queue(data, "brief.yml")
    os.killpg(service.process.pid, signal.SIGCONT)
    second = service.post("/api/jobs", {"path": "quick.yml", "data": {"word": 2}})

    assert [answer.json()["status"] for answer in (first, second)] == ["success", "success"]
    assert service.job(queued)["state"] == "pending"


def test_a_service_that_leaves_answers_with_the_job_that_it_has_stopped(service):
    thread, answers, _ = launching(service, "slow.yml")

    begun = time.monotonic()
    code = service.stop()
    seconds = time.monotonic() - begun
    thread.join(20)

    ((status, job),) = answers
    assert (code, status) == (0, 200)
    assert seconds < 15
    assert (job["state"], job["status"], job["reason"]) == ("finished", "failed", "shutdown")
    assert [(step["name"], step["status"]) for step in job["steps"]] == [("wait", "stopped"), ("tidy", "success")]
