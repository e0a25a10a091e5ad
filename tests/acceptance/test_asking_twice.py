"""A caller that waits for the end, and one that asks again because an answer was lost."""

from __future__ import annotations

import json
import socket
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier
from urllib.parse import urlsplit

from services import TOKEN, flow, until

QUICK = "name: quick\nsteps:\n  - {name: v, type: set_fact, set_fact: {value: 1}}\n"
SLOW = "name: slow\nsteps:\n  - {name: wait, type: sleep, sleep: {seconds: 60}}\n"
FAILING = "name: failing\nsteps:\n  - {name: no, type: jq, jq: {expression: 'error(\"no\")'}}\n"


def test_a_launch_that_waits_is_answered_with_the_job_as_it_ended(data, start):
    flow(data, "quick.yml", QUICK)
    flow(data, "failing.yml", FAILING)
    service = start()

    for path, status in (("quick.yml", "success"), ("failing.yml", "failed")):
        answer = service.post("/api/jobs", {"path": path}, headers={"Prefer": "wait=30"})

        assert (answer.status_code, answer.headers["Preference-Applied"]) == (200, "wait=30")
        assert answer.json()["status"] == status
        assert answer.json() == service.job(answer.json()["id"])


def test_when_the_time_is_over_the_answer_says_where_the_job_is(data, start):
    flow(data, "slow.yml", SLOW)
    service = start()

    answer = service.post("/api/jobs", {"path": "slow.yml"}, headers={"Prefer": "wait=1"})

    assert (answer.status_code, answer.headers["Location"]) == (202, f"jobs/{answer.json()['job_id']}")
    assert service.job(answer.json()["job_id"])["state"] == "running"


def test_a_stop_lets_go_of_those_who_wait(data, start):
    flow(data, "slow.yml", SLOW)
    service = start()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(service.post, "/api/jobs", {"path": "slow.yml"}, headers={"Prefer": "wait=60"})
        until(lambda: service.get("/api/jobs?state=running").json()["jobs"])

        assert service.stop() == 0

    # As the job has ended by the stop, or as one that is still on its way.
    assert waiting.result().status_code in (200, 202)


def test_of_fifty_launches_at_once_under_one_key_over_two_services_all_get_the_one_job(data, start):
    flow(data, "slow.yml", SLOW)
    services = [start(), start()]
    barrier = Barrier(50)

    def launch(number):
        barrier.wait(60)
        return services[number % 2].post("/api/jobs", {"path": "slow.yml"}, headers={"Idempotency-Key": "one"})

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(launch, range(50)))

    assert {answer.status_code for answer in answers} == {202}
    assert {answer.json()["job_id"] for answer in answers} == {
        job["id"] for job in services[0].get("/api/jobs").json()["jobs"]
    }
    assert sum(answer.headers.get("Idempotent-Replayed") == "true" for answer in answers) == 49


def test_a_launch_whose_answer_was_lost_with_the_service_is_not_made_twice(data, start):
    flow(data, "quick.yml", QUICK)
    service = start()
    assert service.get("/api/jobs").json()["jobs"] == []
    body = json.dumps({"path": "quick.yml", "data": {"n": 1}})
    with closing(socket.create_connection(("127.0.0.1", urlsplit(service.url).port))) as connection:
        connection.sendall(
            f"POST /api/jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
            f"Idempotency-Key: lost\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        until(lambda: ids_in(data))
        service.kill()
    restarted = start()

    answer = restarted.post("/api/jobs", {"data": {"n": 1}, "path": "quick.yml"}, headers={"Idempotency-Key": "lost"})

    assert (answer.status_code, answer.headers["Idempotent-Replayed"]) == (202, "true")
    assert ids_in(data) == [answer.json()["job_id"]]
    assert restarted.finished(answer.json()["job_id"], 60)["state"] == "finished"


def ids_in(data):
    with closing(sqlite3.connect(f"file:{data}/jobs.sqlite?mode=ro", uri=True, timeout=10)) as connection:
        return [id for (id,) in connection.execute("SELECT id FROM jobs")]
