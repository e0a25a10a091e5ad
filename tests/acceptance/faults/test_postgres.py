"""Faults of a PostgreSQL server, by their numbers, as the callers of a service meet them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flows import QUICK, step
from own_postgres import PASSWORD, OwnPostgres, own_postgres
from services import Service, answers, flow, start_service, until


@pytest.fixture
def postgres() -> Iterator[OwnPostgres]:
    with own_postgres() as server:
        yield server


@pytest.fixture
def stored_there(data: Path, postgres: OwnPostgres) -> Iterator[Service]:
    """A service whose jobs are in that server."""
    flow(data, "quick.yml", QUICK)
    started = start_service(data, SQLALCHEMY_DATABASE_URI=postgres.url)
    try:
        until(lambda: answers(started, "/healthz"), 30, started.text)
        yield started
        assert not [each for each in (PASSWORD, "Traceback") if each in started.text()]
    finally:
        started.session.close()
        started.kill()


def test_row_27_without_its_server_a_service_says_so_at_once_and_serves_again_when_it_is_back(stored_there, postgres):
    assert stored_there.run("quick.yml")["status"] == "success"

    postgres.crash()
    begun = time.monotonic()
    refused = [
        stored_there.ask("POST", "/api/jobs", {"path": "quick.yml"}),
        stored_there.ask("POST", "/api/tick"),
        stored_there.ask("GET", "/api/jobs"),
    ]
    seconds = time.monotonic() - begun
    postgres.start()

    assert [answer.status_code for answer in refused] == [503] * 3
    assert {answer.json()["code"] for answer in refused} == {"database_down"}
    assert all(answer.headers["Retry-After"] for answer in refused)
    assert seconds < 15
    assert not [each for each in (PASSWORD, str(postgres.port), "Traceback") if each in str([a.text for a in refused])]
    assert stored_there.run("quick.yml")["status"] == "success"


def test_row_28_a_server_that_crashes_under_a_job_costs_it_nothing(stored_there, postgres, data):
    mark = step("file", "mark", path="marks.txt", mode="append", type="text", data_key="__flow_path__")
    steps = [step("sleep", "wait", seconds=1), mark, step("sleep", "last", seconds=1)]
    job_id = stored_there.launch(flow(data, "soon.yml", json.dumps({"name": "soon", "steps": steps})))
    stored_there.running_step(job_id, "wait")

    postgres.crash()
    until(lambda: f"job {job_id}" in stored_there.text(), 20, stored_there.text)
    marked = (data / "marks.txt").exists()
    postgres.start()
    job = stored_there.finished(job_id)

    assert not marked  # What acts on the world waits until its beginning is in the database.
    assert (job["status"], job["reason"]) == ("success", None)
    assert [(each["name"], each["status"]) for each in job["steps"]] == [
        ("wait", "success"),
        ("mark", "success"),
        ("last", "success"),
    ]
    assert len((data / "marks.txt").read_text().splitlines()) == 1
