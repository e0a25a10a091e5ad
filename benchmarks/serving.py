"""Starts services, Octoflow and the floors, and asks them over connections that are kept."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TOKEN = "bench-token-of-this-run"

CONNECTIONS: dict[tuple[int, int], http.client.HTTPConnection] = {}


def post(port: int, path: str, body: object) -> tuple[int, dict[str, Any]]:
    return request(port, "POST", path, json.dumps(body))


def request(port: int, method: str, path: str, body: str | None = None) -> tuple[int, dict[str, Any]]:
    """One request on this thread's kept connection; on a new one when the server has closed that meanwhile."""
    key = (threading.get_ident(), port)
    if key in CONNECTIONS:
        with suppress(http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            return _ask(key, method, path, body)
    return _ask(key, method, path, body)


def _ask(key: tuple[int, int], method: str, path: str, body: str | None) -> tuple[int, dict[str, Any]]:
    connection = CONNECTIONS.get(key) or CONNECTIONS.setdefault(key, http.client.HTTPConnection("127.0.0.1", key[1]))
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    except (http.client.HTTPException, OSError):
        connection.close()
        del CONNECTIONS[key]
        raise


def launch_and_wait(port: int, number: int) -> None:
    """One job from its launch to the answer that shows it finished."""
    status, answer = post(port, "/api/jobs", {"path": f"one_{number}.yml", "data": {"a": 1}})
    if status != 202:
        raise RuntimeError(f"launch answered {status}: {answer}")
    while True:
        status, job = request(port, "GET", f"/api/jobs/{answer['job_id']}")
        if job["state"] == "finished":
            if job["status"] != "success":
                raise RuntimeError(f"the job ended {job['status']}: {job['errors']}")
            return
        time.sleep(0.0005)


def first_answer(start: Callable[[int], subprocess.Popen[bytes]], path: str) -> float:
    """Seconds from a process's start to its first answer."""
    port = free_port()
    begun = time.perf_counter()
    process = start(port)
    try:
        while True:
            try:
                request(port, "GET", path)
                return time.perf_counter() - begun
            except (OSError, http.client.HTTPException):
                time.sleep(0.002)
                if process.poll() is not None:
                    raise RuntimeError("the server ended before it answered") from None
    finally:
        CONNECTIONS.clear()
        process.terminate()
        process.wait(20)


@contextmanager
def floor(target: str, folder: Path) -> Iterator[int]:
    port = free_port()
    with served(start_floor(target, port, folder), port, "/") as ready:
        yield ready


@contextmanager
def octoflow(data: Path) -> Iterator[int]:
    port = free_port()
    with served(start_octoflow(data, port), port, "/healthz") as ready:
        yield ready


@contextmanager
def served(process: subprocess.Popen[bytes], port: int, path: str) -> Iterator[int]:
    try:
        for _ in range(2000):
            try:
                post(port, path, {}) if path == "/" else request(port, "GET", path)
                break
            except (OSError, http.client.HTTPException):
                time.sleep(0.01)
        yield port
    finally:
        CONNECTIONS.clear()
        process.terminate()
        process.wait(20)


def start_floor(target: str, port: int, folder: Path | None = None) -> subprocess.Popen[bytes]:
    command = [
        tool("functions-framework"),
        "--source",
        str(HERE / "floors.py"),
        "--target",
        target,
        "--port",
        str(port),
    ]
    environment = os.environ | {"FLOOR_DB": str((folder or HERE) / "floor.sqlite"), "THREADS": "8"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def start_octoflow(data: Path, port: int) -> subprocess.Popen[bytes]:
    environment = os.environ | {"DATA_PATH": str(data), "API_PORT": str(port), "API_TOKEN": TOKEN}
    return subprocess.Popen(
        [tool("octoflow"), "serve"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def tool(name: str) -> str:
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else shutil.which(name) or name


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
