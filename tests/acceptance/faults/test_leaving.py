"""Faults of leaving, by their numbers: what services still answer then, how long they take, what cuts it short."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import time
from contextlib import closing

import pytest
from faults import row
from services import TOKEN, children_of, flow, is_alive, until
from vault_server import TOKEN as VAULT_TOKEN
from vault_server import VaultServer

pytestmark = pytest.mark.parametrize("kind", ["serve", "functions-framework"])
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


def slow(tidy_seconds: float) -> str:
    return (
        "name: slow\nfinally_step: tidy\nsteps:\n"
        "  - {name: wait, type: sleep, sleep: {seconds: 60}}\n"
        f"  - {{name: tidy, type: sleep, sleep: {{seconds: {tidy_seconds}}}}}\n"
    )


def is_stopping(data, job_id):
    return row(data, "SELECT state FROM jobs WHERE id = ?", job_id) == "stopping"


def is_tidying(data, job_id):
    return row(data, "SELECT 1 FROM steps WHERE job_id = ? AND name = 'tidy'", job_id)


def kept_alive(service):
    """An open connection over which a request was answered."""
    host, _, port = service.url.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=20)
    ask(connection, "GET", "/healthz")
    return connection


def ask(connection, method, path, body=None):
    connection.request(method, path, None if body is None else json.dumps(body), HEADERS)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read()), answer.headers


def ended_step(job, name):
    return next(step["status"] for step in job["steps"] if step["name"] == name)


def test_row_7_while_its_jobs_end_a_service_answers_and_refuses_launches(data, start, kind):
    flow(data, "slow.yml", slow(3))
    flow(data, "other.yml", slow(1))
    service = start(kind)
    job_id = service.launch("slow.yml")
    service.running_step(job_id, "wait")
    with (
        closing(kept_alive(service)) as first,
        closing(kept_alive(service)) as second,
        closing(kept_alive(service)) as third,
    ):
        service.process.terminate()
        until(lambda: is_stopping(data, job_id))

        launch, tick = ask(first, "POST", "/api/jobs", {"path": "other.yml"}), ask(second, "POST", "/api/tick")
        job = ask(third, "GET", f"/api/jobs/{job_id}")
    code = service.process.wait(20)

    for status, answer, headers in (launch, tick):
        assert (status, answer["code"], headers["Retry-After"]) == (503, "draining", "1")
        assert answer["error"] == "This process is on its way out and takes no new jobs."
    assert (job[0], job[1]["state"], job[1]["reason"]) == (200, "stopping", "shutdown")
    assert code == 0
    assert row(data, "SELECT count(*) FROM jobs") == 1


def test_row_7_a_finally_step_that_takes_longer_than_its_grace_is_cut_short(data, start, kind):
    flow(data, "slow.yml", slow(60))
    service = start(kind, GRACE_SECONDS="1")
    job_id = service.launch("slow.yml")
    service.running_step(job_id, "wait")
    processes = [*service.forkservers(), *service.job_processes()]

    begun = time.monotonic()
    code = service.stop()
    seconds = time.monotonic() - begun
    left = row(data, "SELECT status || ' ' || reason FROM jobs")
    job = start(kind).job(job_id)

    assert code == 0
    assert seconds < 15
    assert left == "failed shutdown"
    assert not any(map(is_alive, processes))
    assert ended_step(job, "tidy") == "stopped"
    assert "the finally_step was stopped: it may take 1 seconds" in json.dumps(job["errors"])


def test_row_8_a_second_sigterm_changes_nothing(data, start, kind):
    flow(data, "slow.yml", slow(1))
    service = start(kind)
    job_id = service.launch("slow.yml")
    service.running_step(job_id, "wait")

    service.process.terminate()
    until(lambda: is_tidying(data, job_id))
    os.killpg(service.process.pid, signal.SIGTERM)
    code = service.process.wait(20)
    job = start(kind).job(job_id)

    assert code == 0
    assert (job["status"], job["reason"], ended_step(job, "tidy")) == ("failed", "shutdown", "success")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT], ids=lambda number: number.name)
def test_row_8_sigint_or_sigquit_cuts_it_short_and_the_next_start_closes_the_row(data, start, kind, number):
    flow(data, "slow.yml", slow(30))
    service = start(kind, GRACE_SECONDS="30")
    job_id = service.launch("slow.yml")
    service.running_step(job_id, "wait")
    processes = [*service.workers(), *service.forkservers(), *service.job_processes()]

    service.process.terminate()
    until(lambda: is_tidying(data, job_id))
    begun = time.monotonic()
    service.process.send_signal(number)
    code = service.process.wait(20)
    seconds = time.monotonic() - begun
    until(lambda: not any(map(is_alive, processes)), 5)
    left = row(data, "SELECT state FROM jobs")
    job = start(kind).finished(job_id)

    assert code == 0
    assert seconds < 10
    assert left == "stopping"
    assert (job["status"], job["reason"], ended_step(job, "tidy")) == ("failed", "shutdown", "stopped")


def test_row_7_a_stop_does_not_wait_for_a_vault_that_does_not_answer(data, start, kind):
    with closing(VaultServer()) as vault:
        uri = vault.put("secret/data/slow", token="canary")
        vault.behaviours["secret/data/slow"] = "slow"
        (data / "secrets.yml").write_text(json.dumps([{"name": "slow", "type": "hashicorp-vault", "uri": uri}]))
        asks = "{uri: 'http://127.0.0.1:1/', authentication: {type: token, secret: slow}}"
        steps = (
            f"  - {{name: ask, type: rest, rest: {asks}}}\n  - {{name: tidy, type: sleep, sleep: {{seconds: 0.1}}}}\n"
        )
        flow(data, "asks.yml", f"name: asks\nfinally_step: tidy\nsteps:\n{steps}")
        service = start(kind, HASHICORP_VAULT_TOKEN=VAULT_TOKEN)
        job_id = service.launch("asks.yml")
        assert vault.came.acquire(timeout=20)

        begun = time.monotonic()
        code = service.stop()
        seconds = time.monotonic() - begun
    job = start(kind).job(job_id)

    assert code == 0
    assert seconds < 9, "a read from Vault may take 10 s"
    assert (job["status"], job["reason"]) == ("failed", "shutdown")
    assert (ended_step(job, "ask"), ended_step(job, "tidy")) == ("stopped", "success")


def test_row_7_a_client_that_does_not_finish_its_request_keeps_no_service(data, start, kind):
    service = start(kind, GRACE_SECONDS="1")
    service.get("/api/jobs")
    host, _, port = service.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as client:
        head = (
            f"POST /api/jobs HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 100\r\n\r\n"
        )
        client.sendall(head.encode() + b"{")
        (worker,) = service.workers()
        service.get("/api/jobs")  # Taken after the other: one thread accepts all connections in their order.

        begun = time.monotonic()
        code = service.stop()
        seconds = time.monotonic() - begun

    assert code == 0
    assert seconds < 15
    assert not is_alive(worker)
    assert children_of(service.process.pid) == []
