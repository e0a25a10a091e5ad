"""The operations on jobs, the tick, and health: what they ask of the engine and how they answer."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urljoin

import pytest

from engine import __version__
from engine.errors import DatabaseDown
from engine.models.job import State, Status


def test_a_job_in_a_list_is_a_summary(client):
    answer = client.get("/api/jobs?limit=1")

    assert answer.json["jobs"] == [
        {
            "id": "job-1",
            "path": "hello.yml",
            "name": "hello",
            "revision": "abc",
            "state": "finished",
            "status": "success",
            "reason": None,
            "message": None,
            "priority": 0,
            "source": "api",
            "schedule_id": None,
            "timeout_seconds": 600.0,
            "queued_time": "2026-03-15T13:00:00.000+01:00",
            "start_time": "2026-03-15T13:00:00.000+01:00",
            "end_time": "2026-03-15T13:00:01.500+01:00",
            "duration_seconds": 1.5,
            "errors": [],
        }
    ]


@pytest.mark.parametrize(
    ("query", "ids", "following"),
    [
        ("limit=2", ["job-1", "job-2"], 2),
        ("limit=2&offset=2", ["job-3"], None),
        ("limit=3", ["job-1", "job-2", "job-3"], None),
        ("limit=1&offset=9", [], None),
    ],
)
def test_pages(client, query, ids, following):
    page = client.get("/api/jobs?" + query).json

    assert [job["id"] for job in page["jobs"]] == ids
    assert page["next"] == following
    assert "total" not in page


def test_a_total_is_counted_when_asked_for(client):
    page = client.get("/api/jobs?limit=1&count=true").json

    assert (page["limit"], page["offset"], page["total"]) == (1, 0, 3)


def test_a_job_alone_has_its_data_result_and_steps(client):
    job = client.get("/api/jobs/job-1").json

    assert (job["data"], job["result"]) == ({"a": 1}, {"b": 2})
    assert job["steps"] == [
        {
            "number": 1,
            "name": "greet",
            "type": "jinja",
            "status": "success",
            "parent": None,
            "start_time": "2026-03-15T13:00:00.000+01:00",
            "end_time": "2026-03-15T13:00:01.000+01:00",
            "duration_seconds": 1.0,
            "error": None,
            "result_key": "greet",
            "output": "hi",
            "is_finally": False,
        }
    ]


def test_a_job_that_runs_has_no_end_yet(client, engine):
    engine.held["job-1"] = replace(engine.held["job-1"], state=State.RUNNING, status=None, end_time=None)

    job = client.get("/api/jobs/job-1").json

    assert (job["state"], job["status"], job["end_time"], job["duration_seconds"]) == ("running", None, None, None)


def test_a_job_that_is_not_there(client):
    answer = client.get("/api/jobs/job-9")

    assert (answer.status_code, answer.json) == (404, {"error": "There is no job 'job-9'.", "code": "job_not_found"})


def test_logs(client, engine):
    answer = client.get("/api/jobs/job-1/logs?after=3&limit=10")

    assert engine.asked[-1] == ("logs", "job-1", 3, 10)
    assert answer.json == {
        "logs": [
            {"time": "2026-03-15T13:00:00.000+01:00", "level": "info", "step": "greet", "message": "hello"},
        ],
        "next": 7,
    }


def test_a_launch_is_answered_with_the_id_and_the_place_of_its_job(client):
    answer = client.post("/api/jobs", json={"path": "hello.yml"})

    assert (answer.status_code, answer.json) == (202, {"job_id": "job-new"})
    assert urljoin("http://host/prefix/api/jobs", answer.headers["Location"]) == "http://host/prefix/api/jobs/job-new"


def test_a_launch_that_has_waited_for_the_end_is_answered_with_the_whole_job(client, engine):
    engine.settings = replace(engine.settings, executor="inline")
    engine.held["job-new"] = replace(engine.held["job-1"], id="job-new", status=Status.FAILED)

    answer = client.post("/api/jobs", json={"path": "hello.yml"})

    assert (answer.status_code, answer.json["status"]) == (200, "failed")
    assert answer.json == client.get("/api/jobs/job-new").json


def test_cancel(client):
    answer = client.post("/api/jobs/job-1/cancel")

    assert (answer.status_code, answer.json) == (202, {"job_id": "job-1", "state": "stopping"})


def test_delete_one(client, engine):
    answer = client.delete("/api/jobs/job-1")

    assert (answer.status_code, answer.json) == (200, {"deleted": 1})
    assert "job-1" not in engine.held


def test_delete_many(client, engine):
    answer = client.delete("/api/jobs?status=failed")

    assert (answer.status_code, answer.json) == (200, {"deleted": 2})


def test_tick(client):
    answer = client.post("/api/tick")

    assert answer.status_code == 200
    assert answer.json["fired"] == 3


def test_healthz_says_the_version_and_asks_nobody(app_of, engine):
    answer = app_of("api").test_client().get("/healthz")

    assert (answer.status_code, answer.json) == (200, {"status": "ok", "version": __version__})
    assert engine.asked == []


def test_readyz_asks_the_engine(app_of, engine):
    answer = app_of("api").test_client().get("/readyz")

    last_tick = "2026-03-15T13:00:00.000+01:00"
    assert answer.status_code == 200
    assert answer.json == {"status": "ok", "database": "ok", "data": "ok", "last_tick": last_tick}


def test_readyz_says_what_is_missing(app_of, engine):
    engine.error = DatabaseDown("The database cannot be reached.")

    answer = app_of("api").test_client().get("/readyz")

    assert answer.status_code == 503
    assert answer.json == {"error": "The database cannot be reached.", "code": "database_down"}
