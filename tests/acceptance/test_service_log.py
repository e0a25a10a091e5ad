"""The service log of real services: JSON lines throughout, the same on stderr and in the file, no secret in them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from services import BIN, ROOT, TOKEN, Service, answers, flow, free_port, until

QUICK = "name: quick\nsteps:\n  - {name: s, type: set_fact, set_fact: {value: 1}}\n"
SLOW = "name: slow\nsteps:\n  - {name: wait, type: sleep, sleep: {seconds: 60}}\n"
PASSWORD = "canary/pass word+1&"

BROKEN = f"""
from engine.orchestrator import Orchestrator

def broken(self, id):
    secret = {PASSWORD!r}
    raise RuntimeError(f"no {{secret}}")

Orchestrator.job = broken

from functions.wsgi import app
"""


def read(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def log_file(data: Path) -> Path:
    return data / "logs" / "spooler_service.log"


def run(data: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = {"PATH": "/usr/bin:/bin", "DATA_PATH": str(data), **environment}
    return subprocess.run([BIN / "octoflow", *command], env=settings, capture_output=True, text=True, timeout=60)


@pytest.fixture
def broken(data, tmp_path):
    """A service that fails at showing a job, with a secret in its error."""
    (data / "secrets.yml").write_text(
        json.dumps([{"name": "peer", "type": "credential", "username": "someone", "password": PASSWORD}])
    )
    (tmp_path / "broken_app.py").write_text(BROKEN)
    port = free_port()
    environment = {
        "PATH": f"{BIN}:/usr/bin:/bin",
        "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}",
        "DATA_PATH": str(data),
        "API_TOKEN": TOKEN,
        "API_PORT": str(port),
    }
    command = [sys.executable, "-m", "gunicorn", "-c", "python:functions.server", "broken_app:app"]
    service = Service(data, command, port, environment)
    until(lambda: answers(service, "/healthz"), 30, service.text)
    yield service
    service.session.close()
    service.kill()


def by_process(line):
    return line["pid"]


def test_places_that_were_named_and_are_not_there_are_told_of(data, tmp_path, start):
    service = start(FLOWS_PATH=str(tmp_path / "flosw"), SECRETS_PATH=str(tmp_path / "nope.yml"))
    until(lambda: "has started" in service.text(), 30, service.text)
    service.stop()

    told = [line["message"] for line in read(log_file(data).read_text()) if line["level"] == "WARNING"]
    assert told == [
        f"FLOWS_PATH: the folder {tmp_path}/flosw was not there; it is made new, and empty.",
        f"SECRETS_PATH: there is no file {tmp_path}/nope.yml.",
    ]
    assert all(sentence in service.text() for sentence in told)


def test_all_that_a_service_says_is_json_and_tells_what_an_operator_needs(data, start):
    flow(data, "quick.yml", QUICK)
    service = start(LOG_LEVEL="DEBUG", TIMEZONE="Asia/Tokyo")

    job = service.run("quick.yml")
    service.stop()

    lines = read(service.text())
    # Two processes write to two places: each one's lines are in their order, the two may be woven differently.
    assert sorted(read(log_file(data).read_text()), key=by_process) == sorted(lines, key=by_process)
    assert all(line["time"].endswith("+09:00") for line in lines)
    of_job = [
        (line["level"], line["message"].partition(" after ")[0]) for line in lines if line.get("job") == job["id"]
    ]
    assert of_job == [
        ("DEBUG", f"job {job['id']} of quick.yml is queued"),
        ("INFO", f"job {job['id']} of quick.yml has ended: success"),
    ]
    said = [line["message"] for line in lines if line["logger"] == "octoflow" and line["level"] == "INFO"]
    assert said[0].startswith("Octoflow ")
    assert said[0].endswith(f" has started: database sqlite, data folder {data}")
    assert said[1:] == ["Octoflow stops", "Octoflow has stopped"]
    by_gunicorn = [line for line in lines if line["logger"] == "gunicorn.error"]
    assert {line["pid"] for line in by_gunicorn} > {service.process.pid}
    assert any(line["message"].startswith("Listening at") for line in by_gunicorn)


def test_a_service_that_is_told_to_say_little_says_little(data, start):
    flow(data, "quick.yml", QUICK)
    service = start(LOG_LEVEL="WARNING")

    service.run("quick.yml")
    service.stop()

    assert service.text() == ""


def test_a_plain_functions_framework_writes_the_same_file(data, start):
    flow(data, "quick.yml", QUICK)
    service = start("functions-framework")

    job_id = service.run("quick.yml")["id"]
    service.stop()

    lines = read(log_file(data).read_text())
    assert [line["message"].partition(" after ")[0] for line in lines if line.get("job") == job_id] == [
        f"job {job_id} of quick.yml has ended: success"
    ]
    assert lines[-1]["message"] == "Octoflow has stopped"
    assert all(json.dumps(line) in service.text().splitlines() for line in lines)


def test_what_went_wrong_is_in_the_log_under_its_id_without_its_secret(data, broken):
    answer = broken.get("/api/jobs/first%0D%1B%5B2Jsecond")
    broken.stop()

    id = answer.json()["error"].rpartition(" ")[2].rstrip(".")
    assert answer.status_code == 500
    for text in (log_file(data).read_text(), broken.text()):
        [entry] = [line for line in read(text) if id in line["message"]]
        assert entry["exception"].endswith("RuntimeError: no ***")
        assert "first\\r\\x1b[2Jsecond" in entry["message"]
        assert "canary" not in text


def test_jobs_that_a_dead_service_left_are_warned_of(data, start):
    flow(data, "slow.yml", SLOW)
    first = start()
    first.running_step(first.launch("slow.yml"), "wait")
    first.kill()

    second = start()

    def warnings() -> list[str]:
        return [line["message"] for line in read(second.text()) if line["level"] == "WARNING"]

    assert until(warnings) == ["jobs whose worker was lost: 1 closed, 0 handed on for their finally_step, 0 begun anew"]


def test_a_log_that_cannot_be_written_stops_nothing(data, start, tmp_path):
    (tmp_path / "taken").write_text("a file, not a folder")
    flow(data, "quick.yml", QUICK)
    service = start(LOG_PATH=str(tmp_path / "taken" / "logs"))

    job = service.run("quick.yml")
    code = service.stop()

    lines = read(service.text())
    warnings = {(line["pid"], line["message"]) for line in lines if line["level"] == "WARNING"}
    assert (job["status"], code) == ("success", 0)
    assert [text.rpartition(": ")[2] for _, text in warnings] == ["Not a directory."]
    assert any(line.get("job") == job["id"] for line in lines)


def test_a_full_log_is_put_aside_while_the_service_runs(data, start):
    flow(data, "quick.yml", QUICK)
    service = start(LOG_MAX_BYTES="1000", LOG_BACKUPS="50", LOG_LEVEL="DEBUG")

    for _ in range(5):
        service.run("quick.yml")
    service.stop()

    files = list((data / "logs").glob("spooler_service.log*"))
    kept = [line for path in files for line in path.read_text().splitlines()]
    assert len(files) > 3
    assert sorted(kept) == sorted(service.text().splitlines())


@pytest.mark.parametrize("command", [("run", "quick.yml"), ("tick",)], ids=["run", "tick"])
def test_a_command_writes_the_file_only(data, command):
    flow(data, "quick.yml", QUICK)

    done = run(data, *command, LOG_LEVEL="DEBUG")

    assert done.returncode == 0
    assert '{"time"' not in done.stderr
    assert all(line["pid"] for line in read(log_file(data).read_text() if log_file(data).exists() else ""))
    if command[0] == "run":
        assert "of quick.yml has ended: success" in log_file(data).read_text()


def test_a_worker_that_dies_is_told_by_its_master_as_json(data, start):
    service = start()

    os.kill(service.workers()[0], signal.SIGKILL)

    def told() -> bool:
        return any("SIGKILL" in line["message"] for line in read(service.text()) if line["level"] == "ERROR")

    assert until(told, 20, service.text)
