"""Real services over a data folder of the test's own: asked, and killed for real."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from described import check_over_network

TOKEN = "a-token-for-this-test-run"
BIN = Path(sys.executable).parent
ROOT = Path(__file__).resolve().parents[2]


class Service:
    """A running service and how to talk to it."""

    def __init__(
        self, data: Path, command: list[str], port: int, environment: dict[str, str], cwd: Path | None = None
    ) -> None:
        self.data = data
        self.url = f"http://127.0.0.1:{port}"
        self.log = data.parent / f"service-{port}.log"
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {TOKEN}"
        self.session.hooks["response"].append(check_over_network)
        self.launched: list[str] = []
        """The ids that launches were answered with."""
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, start_new_session=True, cwd=cwd or data.parent
            )

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.session.get(self.url + path, timeout=20, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> requests.Response:
        return self.session.post(self.url + path, json=body, timeout=20, **options)

    def ask(self, method: str, path: str, body: Any = None) -> requests.Response:
        """The answer, which may be a 503: whoever watches over the service's session takes that for a broken rule."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return requests.request(method, self.url + path, json=body, headers=headers, timeout=30)

    def launch(self, path: str, data: Any = None, **fields: Any) -> str:
        """Launch a job that must be accepted; its id."""
        answer = self.post("/api/jobs", {"path": path, "data": data, **fields})
        assert answer.status_code == 202, answer.text
        self.launched.append(answer.json()["job_id"])
        return self.launched[-1]

    def job(self, job_id: str) -> dict[str, Any]:
        answer = self.get(f"/api/jobs/{job_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def finished(self, job_id: str, seconds: float = 30) -> dict[str, Any]:
        """The job once it has ended."""
        return until(lambda: (job := self.job(job_id))["state"] == "finished" and job, seconds, self.text)

    def running_step(self, job_id: str, name: str, seconds: float = 20) -> dict[str, Any]:
        """The job once it is in that step."""

        def look() -> Any:
            job = self.job(job_id)
            return any(step["name"] == name and step["status"] == "running" for step in job["steps"]) and job

        return until(look, seconds, self.text)

    def run(self, path: str, data: Any = None, **fields: Any) -> dict[str, Any]:
        return self.finished(self.launch(path, data, **fields))

    def workers(self) -> list[int]:
        """The processes that answer requests (gunicorn's workers), not their helpers."""
        return [pid for pid in children_of(self.process.pid) if "forkserver" not in command_line(pid)]

    def forkservers(self) -> list[int]:
        return [pid for worker in self.workers() for pid in children_of(worker) if "forkserver" in command_line(pid)]

    def job_processes(self) -> list[int]:
        return [pid for server in self.forkservers() for pid in children_of(server)]

    def kill(self) -> None:
        """SIGKILL to the service's whole process group: no chance to say goodbye."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> int:
        """SIGTERM, as a deployment does; the exit code."""
        self.process.terminate()
        try:
            return self.process.wait(25)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def text(self) -> str:
        return self.log.read_text(errors="replace")


def start_service(
    data: Path, kind: str = "serve", *, target: str = "api", cwd: Path | None = None, **settings: str
) -> Service:
    """A service over the data folder: `octoflow serve`, or another kind such as `functions-framework` with a target."""
    port = free_port()
    environment = {
        "PATH": f"{BIN}:/usr/bin:/bin",
        "DATA_PATH": str(data),
        "API_TOKEN": TOKEN,
        "API_PORT": str(port),
        "PYTHONUNBUFFERED": "1",
        **settings,
    }
    if kind == "serve":
        command = [str(BIN / "octoflow"), "serve"]
    else:
        source = str(ROOT / "functions" / "main.py")
        command = [str(BIN / kind), "--source", source, "--target", target, "--port", str(port)]
    return Service(data, command, port, environment, cwd)


def until(look: Callable[[], Any], seconds: float = 20, explain: Callable[[], str] = str) -> Any:
    """What `look` gives as soon as it gives something."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            pytest.fail(f"nothing came within {seconds} s. {explain()}")
        time.sleep(0.01)


def children_of(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()] + [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            if task.name != str(pid)
            for child in (task / "children").read_text().split()
        ]
    except OSError:
        return []


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(service: Service, path: str) -> bool:
    assert service.process.poll() is None, service.text()
    try:
        return service.get(path).status_code < 600
    except requests.ConnectionError:
        return False


def flow(data: Path, name: str, text: str) -> str:
    """Put a flow into the data folder; its path."""
    (data / "flows" / name).write_text(text)
    return name
