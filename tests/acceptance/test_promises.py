"""What the documents say of the service as a whole: its defaults, its folders, its times."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from services import Service, answers, flow, start_service, until

from engine.settings import Settings

DATA = "/somewhere/data"
PRINTED = {
    "DATA_PATH": "data",
    "LOG_PATH": f"{DATA}/logs",
    "LOG_FILE_NAME": "spooler_service.log",
    "LOG_LEVEL": "INFO",
    "FLOWS_PATH": f"{DATA}/flows",
    "TEMPLATES_PATH": f"{DATA}/templates",
    "SECRETS_PATH": f"{DATA}/secrets.yml",
    "CONFIG_FILE": f"{DATA}/config.yml",
    "JOBS_DB_PATH": f"{DATA}/jobs.sqlite",
    "API_PORT": "5000",
    "API_PROTOCOL": "http",
    "API_TOKEN": "default_token",
    "HASHICORP_VAULT_TOKEN": "None",
    "HASHICORP_VAULT_CACHE_TTL": "60",
    "FLOW_TIMEOUT_SECONDS": "600",
    "TIMEZONE": "UTC",
}
KOLKATA = ZoneInfo("Asia/Kolkata")
MOMENT = re.compile(r'"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[^"]*)"')
QUICK = (
    "name: quick\nsteps:\n  - {name: v, type: set_fact, set_fact: {value: 1}}\n  - {name: d, type: debug, debug: {}}\n"
)


@pytest.mark.parametrize("variable", PRINTED)
def test_a_variable_has_the_default_that_is_printed(variable, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    environment = {} if variable == "DATA_PATH" else {"DATA_PATH": DATA}

    value = str(getattr(Settings.from_environment(environment), variable.lower()))

    assert value.removeprefix(f"{tmp_path}/") == PRINTED[variable]


def test_the_folders_are_made_where_there_are_none(tmp_path):
    service = start_service(tmp_path / "deep" / "data", cwd=_made(tmp_path / "deep"))
    try:
        until(lambda: answers(service, "/healthz"), 30, service.text)
        job = service.run(flow(service.data, "quick.yml", QUICK))
    finally:
        service.session.close()
        service.kill()

    assert job["status"] == "success"
    assert {"flows", "templates", "logs", "jobs.sqlite"} <= {path.name for path in service.data.iterdir()}


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.fixture
def there(data, start) -> Iterator[Service]:
    """A service in a zone whose hours are half of another's."""
    flow(data, "quick.yml", QUICK)
    return start(TIMEZONE="Asia/Kolkata")


def test_every_time_in_an_answer_has_the_offset_of_the_timezone(there):
    job = there.run("quick.yml")
    schedule = there.post("/api/schedules", {"path": "quick.yml", "every_seconds": 1}).json()["schedule_id"]
    until(lambda: there.post("/api/tick") and there.get(f"/api/schedules/{schedule}/slots").json()["slots"])
    paths = [f"/api/jobs/{job['id']}", f"/api/jobs/{job['id']}/logs", "/api/jobs", "/api/flows", "/api/keys"]
    paths += [
        "/api/schedules",
        f"/api/schedules/{schedule}",
        f"/api/schedules/{schedule}/slots",
        "/api/schedules/forecast",
    ]

    for path in paths:
        answer = there.get(path)
        times = MOMENT.findall(answer.text)

        assert answer.status_code == 200, (path, answer.text)
        assert times or path == "/api/keys", path
        assert [each for each in times if not each.endswith("+05:30")] == [], path


@pytest.mark.parametrize("written", ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%d %B %Y %H:%M"])
def test_a_time_that_names_no_zone_is_meant_in_the_timezone(there, written):
    job = there.run("quick.yml")
    begun = datetime.fromisoformat(job["start_time"]).astimezone(KOLKATA)

    def found(moment: datetime, *, name: str = "start_time_from") -> list[str]:
        listed: dict[str, Any] = there.get("/api/jobs", params={name: moment.strftime(written)}).json()
        return [each["id"] for each in listed["jobs"]]

    assert found(begun - timedelta(minutes=2)) == [job["id"]]
    assert found(begun + timedelta(minutes=2)) == []
    assert found(begun + timedelta(minutes=2), name="end_time_to") == [job["id"]]
    assert found(begun - timedelta(minutes=2), name="end_time_to") == []


def test_steps_are_executed_in_the_order_of_the_document(data, start):
    names = ["third", "first", "second"]
    steps = [{"name": name, "type": "set_fact", "set_fact": {"value": 1}} for name in names]
    path = flow(data, "ordered.yml", json.dumps({"name": "ordered", "steps": steps}))
    service = start()

    job = service.run(path)

    assert [step["name"] for step in job["steps"]] == names
    assert [key for key in job["result"] if key in names] == names
    times = [step["start_time"] for step in job["steps"]]
    assert times == sorted(times)
