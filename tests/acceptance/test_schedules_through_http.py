"""Schedules of a real service: made, fired by ticks, paused, kept over a restart, listed in config.yml."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flows import QUICK, SLOW
from services import BIN, TOKEN, Service, answers, flow, free_port, until


def make(service: Service, path: str, **fields: Any) -> str:
    """Make a schedule that must be accepted; its id."""
    answer = service.post("/api/schedules", {"path": path, **fields})
    assert answer.status_code == 201, answer.text
    assert list(answer.json()) == ["schedule_id"]
    return answer.json()["schedule_id"]


def tick(service: Service) -> dict[str, Any]:
    answer = service.post("/api/tick")
    assert answer.status_code == 200, answer.text
    return answer.json()


def schedule(service: Service, id: str) -> dict[str, Any]:
    return service.get(f"/api/schedules/{id}").json()


def slots(service: Service, id: str) -> list[dict[str, Any]]:
    return service.get(f"/api/schedules/{id}/slots").json()["slots"]


def ticked(service: Service, look: Any) -> Any:
    """What is found by looking after one tick more, as soon as it is."""

    def once_more() -> Any:
        tick(service)
        return look()

    return until(once_more, explain=service.text)


def listed(service: Service) -> list[tuple[str, Any, str]]:
    found = service.get("/api/schedules").json()["schedules"]
    return sorted((each["path"], each["cron"] or each["every_seconds"], each["source"]) for each in found)


def test_a_schedule_runs_its_flow_and_says_what_became_of_each_time(data, start):
    flow(data, "quick.yml", QUICK)
    service = start()

    id = make(service, "quick.yml", every_seconds=1, timeout_seconds=20, data={"n": 1})
    fired = ticked(service, lambda: [each for each in slots(service, id) if each["verdict"] == "fired"])
    job = service.finished(fired[0]["job_id"])

    assert (job["status"], job["source"], job["schedule_id"]) == ("success", "schedule", id)
    assert (job["timeout_seconds"], job["result"]["__input__"]) == (20, {"n": 1})
    shown = schedule(service, id)
    assert shown["last_job_id"] in [each["job_id"] for each in slots(service, id)]
    assert shown["last_slot"]["verdict"] in ("fired", "skipped_running", "coalesced")
    assert shown["last_error"] is None
    assert service.get(f"/api/jobs?schedule_id={id}").json()["jobs"]


def test_a_paused_schedule_rests_until_it_is_resumed(data, start):
    flow(data, "quick.yml", QUICK)
    service = start()
    id = make(service, "quick.yml", every_seconds=1)
    ticked(service, lambda: slots(service, id))

    paused = service.post(f"/api/schedules/{id}/pause")
    known = {each["due_time"] for each in slots(service, id)}
    a_due_time_later = datetime.now(UTC) + timedelta(seconds=1.1)
    until(lambda: datetime.now(UTC) > a_due_time_later)
    tick(service)

    assert (paused.status_code, paused.json()["state"], paused.json()["next_run_time"]) == (200, "paused", None)
    assert {each["due_time"] for each in slots(service, id)} == known

    resumed = service.post(f"/api/schedules/{id}/resume")
    assert (resumed.status_code, resumed.json()["state"]) == (200, "active")
    verdicts = ticked(service, lambda: (found := slots(service, id))[0]["verdict"] != "paused" and found)
    assert "paused" in [each["verdict"] for each in verdicts]


def test_row_46_a_restart_keeps_the_schedules(data, start):
    flow(data, "quick.yml", QUICK)
    first = start()
    ids = [
        make(first, "quick.yml", cron="0 6 * * mon-fri", timezone="Europe/Berlin"),
        make(first, "quick.yml", every_seconds=90),
    ]
    before = first.get("/api/schedules").json()
    first.kill()

    second = start()

    assert [each["schedule_id"] for each in before["schedules"]] == ids
    assert second.get("/api/schedules").json() == before


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A service for tests that leave nothing behind."""
    folder = tmp_path_factory.mktemp("running") / "data"
    (folder / "flows").mkdir(parents=True)
    flow(folder, "quick.yml", QUICK)
    port = free_port()
    environment = {"PATH": f"{BIN}:/usr/bin:/bin", "DATA_PATH": str(folder), "API_TOKEN": TOKEN, "API_PORT": str(port)}
    service = Service(folder, [str(BIN / "octoflow"), "serve"], port, environment)
    try:
        until(lambda: answers(service, "/healthz"), 30, service.text)
        yield service
    finally:
        service.session.close()
        service.kill()


@pytest.mark.parametrize(
    "cron",
    [
        "61 99 * * *", "0 0 30 2 *", "R R * * *", "H H * * *", "* * * * * *", "0 0 * * * 2026", "* * * *", "", " ",
        "@reboot", "@never", "0 0 L * *", "0 0 * * 5#2", "0 0 15W * *", "0 0 ? * *", "*/0 * * * *",
        "a b c d e", "0 0 1 jam *", "-1 * * * *", "1.5 * * * *", "0 0 0 * *", "0 0 * * 9", "0 24 * * *",
        "* * * * *; rm -rf /",
    ],
)  # fmt: skip
def test_row_42_a_cron_that_cannot_be_or_is_never_due_is_refused(running: Service, cron: str) -> None:
    answer = running.post("/api/schedules", {"path": "quick.yml", "cron": cron})

    assert answer.status_code == 400, answer.text
    assert "cron" in answer.json()["error"]
    assert running.get("/api/schedules").json()["schedules"] == []


@pytest.mark.parametrize("body", ["-5", "0", "true", "1e12", "1000000000000", "1.5", '"60"', "[60]", "NaN"])
@pytest.mark.parametrize("path", ["/api/schedules", "/api/flows/add"])
def test_row_45_an_interval_that_cannot_be_is_refused_at_once(running: Service, path: str, body: str) -> None:
    answer = running.session.post(
        running.url + path, data=f'{{"path": "quick.yml", "every_seconds": {body}}}', timeout=5
    )

    assert answer.status_code == 400, answer.text
    assert "every_seconds" in answer.json()["error"] or "NaN" in answer.json()["error"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"path": "gone.yml", "every_seconds": 60}, 404, "flow_not_found"),
        ({"path": "../secrets.yml", "every_seconds": 60}, 400, "path_refused"),
        ({"path": "quick.yml"}, 400, "request_invalid"),
        ({"path": "quick.yml", "every_seconds": 60, "cron": "@daily"}, 400, "request_invalid"),
        ({"path": "quick.yml", "cron": "@daily", "timezone": "Mars/Phobos"}, 400, "request_invalid"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(running: Service, body: Any, status: int, code: str) -> None:
    answer = running.post("/api/schedules", body)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_the_same_document_at_the_same_times_is_scheduled_once(running: Service) -> None:
    id = make(running, "quick.yml", every_seconds=60)
    again = running.post("/api/schedules", {"path": "./quick.yml", "every_seconds": 60, "timeout_seconds": 5})
    removed = running.session.delete(f"{running.url}/api/schedules/{id}", timeout=20)
    gone = running.session.delete(f"{running.url}/api/schedules/{id}", timeout=20)

    assert (again.status_code, again.json()["schedule_id"]) == (409, id)
    assert (removed.status_code, removed.json()) == (200, {"schedule_id": id, "deleted": True})
    assert gone.status_code == 404


def test_a_forecast_shows_what_will_run(running: Service) -> None:
    id = make(running, "quick.yml", cron="0 12 * * *", timezone="Asia/Tokyo")

    forecast = running.get("/api/schedules/forecast?hours=48&path=quick.yml").json()
    others = running.get("/api/schedules/forecast?hours=48&path=nothing.yml").json()
    running.session.delete(f"{running.url}/api/schedules/{id}", timeout=20)

    assert [run["schedule_id"] for run in forecast["runs"]] == [id, id]
    assert [run["local_time"][11:] for run in forecast["runs"]] == ["12:00:00.000+09:00"] * 2
    assert [run["time"][11:] for run in forecast["runs"]] == ["03:00:00.000+00:00"] * 2
    assert forecast["truncated"] is False
    assert others["runs"] == []


def test_row_43_a_schedule_that_is_broken_stops_no_other(data, start):
    for name in ("quick.yml", "gone.yml", "odd.yml"):
        flow(data, name, QUICK)
    service = start()
    gone, odd, well = (make(service, name, every_seconds=1) for name in ("gone.yml", "odd.yml", "quick.yml"))
    (data / "flows" / "gone.yml").unlink()
    with closing(sqlite3.connect(data / "jobs.sqlite", timeout=10)) as database, database:
        database.execute("UPDATE schedules SET every_seconds = NULL, cron = 'odd' WHERE id = ?", (odd,))

    def errors_of_both() -> Any:
        found = [schedule(service, id)["last_error"] for id in (gone, odd)]
        return all(found) and found

    errors = ticked(service, errors_of_both)
    ran = ticked(service, lambda: [each for each in slots(service, well) if each["verdict"] == "fired"])

    assert "There is no flow 'gone.yml'" in errors[0]
    assert "five" in errors[1]
    assert service.finished(ran[0]["job_id"])["status"] == "success"
    assert [each["verdict"] for each in slots(service, gone)] == ["launch_failed"]
    assert len(service.get("/api/schedules").json()["schedules"]) == 3
    assert service.get("/healthz/tick").json()["status"] == "ok"


def test_the_older_endpoints_still_work(data, start):
    flow(data, "own.yml", "cron: '*/5 * * * *'\n" + QUICK)
    (data / "flows" / "sub").mkdir()
    flow(data, "sub/slow.yml", SLOW)
    service = start(LOCK_PATH=str(data / "locks"))

    added = service.post("/api/flows/add", {"path": "own.yml"})
    bare = service.post("/api/flows/add", {"path": "sub/slow.yml"})
    launched = service.post("/api/flows/launch", {"path": "sub/slow.yml"})
    service.running_step(launched.json()["job_id"], "wait")
    locks = service.get("/api/locks").json()["locks"]
    again = service.post("/api/flows/launch", {"path": "sub/slow.yml"})
    flows = service.get("/api/flows").json()["flows"]

    assert added.status_code == 201
    assert (bare.status_code, bare.json()["error"]) == (
        400,
        "sub/slow.yml has no schedule: give cron or every_seconds.",
    )
    assert launched.status_code == 202
    assert [(lock["path"], lock["job_id"]) for lock in locks] == [("sub/slow.yml", launched.json()["job_id"])]
    assert (again.status_code, again.json()["job_id"]) == (409, launched.json()["job_id"])
    assert [(each["flow_id"], each["path"], each["cron"]) for each in flows] == [
        (added.json()["flow_id"], "own.yml", "*/5 * * * *")
    ]

    released = service.session.delete(f"{service.url}/api/locks/sub/slow.yml", timeout=20)
    job = service.finished(launched.json()["job_id"])
    removed = service.session.delete(f"{service.url}/api/flows/{added.json()['flow_id']}", timeout=20)

    assert (released.status_code, released.json()) == (200, {"released": [job["id"]]})
    assert job["status"] == "cancelled"
    assert service.get("/api/locks").json() == {"locks": []}
    assert removed.json() == {"flow_id": added.json()["flow_id"], "deleted": True}
    assert service.get("/api/flows").json()["flows"] == []
    assert not (data / "locks").exists()


def test_config_is_followed_at_the_start_and_by_each_tick(data: Path, start: Any) -> None:
    flow(data, "own.yml", "every_seconds: 90\n" + QUICK)
    flow(data, "quick.yml", QUICK)
    (data / "config.yml").write_text("autostart:\n  - own.yml\n  - {path: quick.yml, cron: '@daily'}\n")
    first = start()
    wanted = [("own.yml", 90, "config"), ("quick.yml", "@daily", "config")]
    until(lambda: listed(first) == wanted, explain=first.text)
    [id] = [each["schedule_id"] for each in first.get("/api/schedules?path=quick.yml").json()["schedules"]]
    first.post(f"/api/schedules/{id}/pause")

    (data / "config.new").write_text("autostart_flows:\n  - {path: quick.yml, cron: '@daily', timeout_seconds: 5}\n")
    os.replace(data / "config.new", data / "config.yml")
    report = tick(first)

    assert report["errors"] == []
    assert listed(first) == [("quick.yml", "@daily", "config")]
    shown = schedule(first, id)
    assert (shown["state"], shown["timeout_seconds"]) == ("paused", 5)

    (data / "config.yml").write_text("autostart: [quick.yml\n")
    assert "config.yml, line" in tick(first)["errors"][0]
    first.kill()

    second = start()
    assert listed(second) == [("quick.yml", "@daily", "config")]


def test_the_command_line_looks_after_the_schedules_of_a_service(running: Service, tmp_path: Path) -> None:
    environment = {"PATH": "/usr/bin:/bin", "OCTOFLOW_URL": running.url, "OCTOFLOW_TOKEN": TOKEN}

    def octoflow(*arguments: str) -> Any:
        command = [str(BIN / "octoflow"), *arguments, "--json"]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    id = octoflow("schedules", "add", "quick.yml", "--cron", "@hourly", "--data", '{"n": 1}')["schedule_id"]
    shown = octoflow("schedules", "show", id)
    forecast = octoflow("forecast", "--hours", "2")
    paused = octoflow("schedules", "pause", id)
    deleted = octoflow("schedules", "delete", id)

    assert (shown["cron"], shown["data"]) == ("@hourly", {"n": 1})
    assert [run["schedule_id"] for run in forecast["runs"]] == [id, id]
    assert (paused["state"], deleted["deleted"]) == ("paused", True)
    assert list(tmp_path.iterdir()) == []
