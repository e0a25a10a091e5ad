"""Real processes: the servers that people start, and a body that would fill their memory."""

from __future__ import annotations

import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread
from time import monotonic
from types import SimpleNamespace

import pytest

from engine.settings import Settings
from functions import _engine

ROOT = Path(__file__).resolve().parents[2]
KIT = ROOT / "tests" / "kit"
MB = 1_000_000
BODY = 200 * MB

SOURCE = """
import sys
sys.path[:0] = {paths}
from conftest_of_functions import FakeEngine
from functions import _engine
from functions.main import *

fake = FakeEngine()
fake.close = lambda: print("closed", file=sys.stderr)
_engine.PROCESS.use(fake)
"""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def serving(command: list[str], port: int, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A server in a process group of its own, answering; its stderr is read at the end."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environment},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        wait_for(port, process)
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=10)


def wait_for(port: int, process: subprocess.Popen[str]) -> None:
    deadline = monotonic() + 30
    while monotonic() < deadline and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            pass
    process.kill()
    pytest.fail(f"no server at {port}: {process.communicate()[1]}")


def ask(port: int, method: str, path: str, body: bytes | None = None, token: str = "admin") -> tuple[int, dict]:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, body, {"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    value = json.loads(answer.read())
    connection.close()
    return answer.status, value


def framework(target: str, port: int, source: Path, *flags: str) -> list[str]:
    return [sys.executable, "-c", "from functions_framework._cli import _cli; _cli()", "--target", target,
            "--source", str(source), "--host", "127.0.0.1", "--port", str(port), *flags]  # fmt: skip


@pytest.fixture
def fake_source(tmp_path: Path) -> Path:
    """functions/main.py with an engine that needs no database."""
    helper = (Path(__file__).parent / "conftest.py").read_text()
    (tmp_path / "conftest_of_functions.py").write_text(helper)
    source = tmp_path / "fake_main.py"
    source.write_text(SOURCE.format(paths=[str(ROOT), str(KIT), str(tmp_path)]))
    return source


@pytest.mark.parametrize("flags", [(), ("--debug",)], ids=["gunicorn", "debug"])
def test_one_target_is_served_at_its_full_path(fake_source, flags):
    port = free_port()

    with serving(framework("launch_job", port, fake_source, *flags), port):
        launched = ask(port, "POST", "/api/jobs", b'{"path": "hello.yml"}')
        elsewhere = ask(port, "GET", "/healthz")
        too_large = ask(port, "POST", "/api/jobs", b"x" * 200_000)

    assert launched == (202, {"job_id": "job-new"})
    assert elsewhere[0] == 404
    assert too_large[0] == 413


def test_the_source_file_itself_can_be_served():
    port = free_port()

    with serving(framework("api", port, ROOT / "functions" / "main.py"), port, PYTHONPATH=""):
        status, answer = ask(port, "GET", "/healthz")

    assert (status, answer["status"]) == (200, "ok")


@pytest.mark.parametrize(
    ("path", "token", "chunked", "status"),
    [
        ("/api/jobs", "admin", False, 413),
        ("/api/jobs", "admin", True, 413),
        ("/api/jobs", "wrong", False, 401),
        ("/nowhere", "wrong", False, 404),
        ("/nowhere", "wrong", True, 404),
        ("/healthz", "wrong", True, 405),
        ("/robots.txt", "wrong", False, 404),
        ("//twice", "wrong", True, 404),
    ],
)
def test_a_large_body_takes_no_memory(large, path, token, chunked, status):
    port, workers = large
    before = sum(peak_memory(pid) for pid in workers)

    answer = send_large(port, path, token, chunked)

    assert answer in (status, None)  # None: the connection was closed on a client that would not stop
    assert ask(port, "GET", "/healthz")[0] == 200
    assert sum(peak_memory(pid) for pid in workers) - before < 20 * MB


@pytest.mark.parametrize(("token", "status"), [("admin", 413), ("wrong", 401)])
def test_a_client_that_sends_first_and_reads_then_gets_its_answer(large, token, status):
    port, _ = large

    assert ask(port, "POST", "/api/jobs", b"x" * (30 * MB), token)[0] == status


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Iterator[tuple[int, list[int]]]:
    """One server for all the large bodies, warmed up so that its memory stands still."""
    folder = tmp_path_factory.mktemp("large")
    (folder / "conftest_of_functions.py").write_text((Path(__file__).parent / "conftest.py").read_text())
    source = folder / "fake_main.py"
    source.write_text(SOURCE.format(paths=[str(ROOT), str(KIT), str(folder)]))
    port = free_port()
    with serving(framework("api", port, source), port, THREADS="2") as process:
        for _ in range(4):
            ask(port, "POST", "/api/jobs", b'{"path": "hello.yml"}')
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        yield port, [int(pid) for pid in children]


def peak_memory(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def send_large(port: int, path: str, token: str, chunked: bool) -> int | None:
    """Send the body as far as the server lets us, while reading; the status, or None when it hung up without one."""
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {BODY}"
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n{framing}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(head.encode() + (f"{BODY:x}\r\n".encode() if chunked else b""))
        sender = Thread(target=send_body, args=(client,))
        sender.start()
        try:
            answer = client.recv(4096)
        except OSError:
            answer = b""
        sender.join(30)
    return int(answer.split()[1]) if answer else None


def send_body(client: socket.socket) -> None:
    piece = b"x" * MB
    try:
        for _ in range(BODY // MB):
            client.sendall(piece)
        client.sendall(b"\r\n0\r\n\r\n")
    except OSError:
        pass  # the server has hung up, as it may


def test_the_server_of_octoflow_serve_answers_and_closes_its_engine_at_sigterm(tmp_path, fake_source):
    port = free_port()
    served = fake_source.with_name("served_with_fake.py")
    served.write_text(fake_source.read_text() + "\nfrom functions.wsgi import app\n")
    command = [sys.executable, "-m", "gunicorn", "-c", "python:functions.server", "served_with_fake:app"]
    environment = {"API_PORT": str(port), "API_HOST": "127.0.0.1", "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}

    with serving(command, port, **environment) as process:
        status, _ = ask(port, "POST", "/api/jobs", b'{"path": "hello.yml"}')
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)

    assert status == 202
    assert process.returncode == 0
    assert errors.count("closed") == 1


def test_the_application_of_octoflow_serve_is_the_whole_api(tmp_path):
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "-c", "python:functions.server", "functions.wsgi:app"]

    with serving(command, port, API_PORT=str(port), API_HOST="127.0.0.1", DATA_PATH=str(tmp_path)) as process:
        status, answer = ask(port, "GET", "/healthz")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)

    assert (status, answer["status"]) == (200, "ok")
    assert process.returncode == 0


def test_a_setting_that_cannot_be_used_stops_the_server_with_one_line():
    command = [sys.executable, "-m", "gunicorn", "-c", "python:functions.server", "functions.wsgi:app"]

    run = subprocess.run(
        command,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "API_PORT": "abc"},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert run.returncode == 1
    assert run.stderr.strip() == "octoflow: API_PORT='abc' must be a whole number."


@pytest.mark.parametrize(("grace", "seconds"), [("", 14), ("60", 64)])
def test_the_server_waits_longer_than_the_engine_which_waits_longer_than_a_finally_step(monkeypatch, grace, seconds):
    monkeypatch.setenv("GRACE_SECONDS", grace)
    settings = Settings.from_environment()

    served = runpy.run_path(str(ROOT / "functions" / "server.py"))

    assert served["graceful_timeout"] == seconds
    assert seconds > settings.stop_seconds > settings.grace_seconds + 2


def test_garbage_is_collected_again_once_all_is_imported(monkeypatch):
    monkeypatch.setattr(_engine, "PROCESS", SimpleNamespace(start_soon=lambda: None))
    served = runpy.run_path(str(ROOT / "functions" / "server.py"))
    try:
        served["post_fork"](None, None)
        during = gc.isenabled()
        served["post_worker_init"](None)
        after = gc.isenabled()

        gc.disable()
        served["when_ready"](None)
        assert (during, after, gc.isenabled()) == (False, True, True)
    finally:
        gc.enable()
        gc.unfreeze()


@pytest.mark.parametrize(
    ("environment", "port"), [({"PORT": "8080"}, 8080), ({"PORT": "8080", "API_PORT": "5001"}, 5001), ({}, 5000)]
)
def test_the_platform_may_say_the_port_unless_the_user_does(environment, port):
    assert Settings.from_environment(environment).api_port == port
