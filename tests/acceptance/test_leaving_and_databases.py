"""A service that is told to leave closes what it runs, on every database it can keep its jobs in."""

from __future__ import annotations

import time

import pytest
from services import flow

SLOW = (
    "name: slow\nfinally_step: tidy\nsteps:\n"
    "  - {name: first, type: set_fact, set_fact: {value: 41}}\n"
    "  - {name: wait, type: sleep, sleep: {seconds: 60}}\n"
    "  - {name: tidy, type: file, file: {path: output/tidy.json, mode: append, type: json, data_key: first}}\n"
)


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def database_settings(request):
    """The settings that name the database; SQLite is what is there without any."""
    if request.param == "sqlite":
        return {}
    return {"SQLALCHEMY_DATABASE_URI": request.getfixturevalue(f"{request.param}_uri")}


@pytest.mark.parametrize("kind", ["serve", "functions-framework"])
def test_a_stop_runs_the_finally_step_and_closes_the_row_within_fifteen_seconds(data, start, kind, database_settings):
    flow(data, "slow.yml", SLOW)
    service = start(kind, **database_settings)
    job_id = service.launch("slow.yml")
    service.running_step(job_id, "wait")

    begun = time.monotonic()
    code = service.stop()
    seconds = time.monotonic() - begun
    job = start(**database_settings).job(job_id)

    assert code == 0
    assert seconds < 15
    assert (job["state"], job["status"], job["reason"]) == ("finished", "failed", "shutdown")
    assert [(step["name"], step["status"]) for step in job["steps"]] == [
        ("first", "success"),
        ("wait", "stopped"),
        ("tidy", "success"),
    ]
    assert (data / "output" / "tidy.json").read_text() == "41\n"


def test_a_job_runs_and_is_listed_on_every_database(data, start, database_settings):
    flow(data, "f.yml", "name: f\nsteps:\n  - {name: s, type: set_fact, set_fact: {value: 'é ☃ 😀'}}\n")
    service = start(**database_settings)

    job = service.run("f.yml", {"deep": [1, {"two": None}]})
    listed = service.get("/api/jobs?limit=1&path=f.yml").json()["jobs"]

    assert (job["status"], job["result"]["s"]) == ("success", "é ☃ 😀")
    assert job["result"]["__input__"] == {"deep": [1, {"two": None}]}
    assert [entry["id"] for entry in listed] == [job["id"]]
    assert service.get("/readyz").json()["database"] == "ok"
