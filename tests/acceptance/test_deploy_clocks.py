"""What calls the tick each minute, run as the files in deploy/ and the README say, against a real service."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from deployments import DEPLOY, ROOT, TICK_URL, readme_commands, tick_scripts
from services import BIN, TOKEN, Service, answers, flow, free_port, until

RECORD = """#!/bin/sh
printf '%s\\n' "$0 $*" >> "$RECORD"
[ -t 0 ] || { [ "${0##*/}" = curl ] || cat > /dev/null; }
"""


@pytest.fixture
def stubs(tmp_path):
    """A folder for PATH whose commands write down how they were called, and do what the given lines say."""
    folder, record = tmp_path / "stubs", tmp_path / "called.txt"
    folder.mkdir()
    record.touch()

    def add(name: str, then: str = "") -> None:
        (folder / name).write_text(RECORD + then + "\n")
        (folder / name).chmod(0o755)

    add.path, add.record = f"{folder}:/usr/bin:/bin", record
    add.environment = {"PATH": add.path, "RECORD": str(record)}
    return add


@pytest.fixture
def curl(stubs):
    """The real curl, which writes down its arguments first."""
    real = shutil.which("curl", path="/usr/bin:/bin:/usr/local/bin")
    if real is None:
        reason = "curl is not here"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    stubs("curl", f'exec {real} "$@"')
    return stubs


def call(script: str, url: str, stubs, token: str = TOKEN) -> subprocess.CompletedProcess[str]:
    """Run a script that calls the tick, on this service instead of the one that it names."""
    script, changed = TICK_URL.subn(f"{url}/api/tick", script)
    assert changed == 1
    return subprocess.run(
        ["sh", "-c", script],
        env=stubs.environment | {"API_TOKEN": token},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )


def once(name: str, stubs) -> str:
    """The script, but a loop ends after its first round: the second sleep fails."""
    if name == "compose.yml":
        stubs("sleep", '[ "$(grep -c "/sleep " "$RECORD")" = 1 ]')
    return tick_scripts()[name]


def test_every_clock_calls_the_tick_of_a_service_and_shows_its_token_to_no_one(start, curl):
    service = start()

    for name in tick_scripts():
        curl.record.write_text("")
        ended = call(once(name, curl), service.url, curl)
        called = curl.record.read_text()

        assert (ended.stdout, ended.stderr) == ("", ""), name
        assert ended.returncode == 0, name
        assert called.count("/curl ") == 1, name
        assert f"{service.url}/api/tick" in called, name
        assert TOKEN not in called, name


def test_a_clock_with_a_wrong_token_says_so(start, curl):
    service = start()

    for name in tick_scripts():
        ended = call(once(name, curl), service.url, curl, token="wrong")

        assert "401" in ended.stderr, name
        assert ended.returncode == 22, name


def test_every_clock_calls_in_the_same_way():
    ways = {
        re.sub(r"\s+", " ", TICK_URL.sub("URL", script[script.index("printf") :])) for script in tick_scripts().values()
    }
    texts = {way.split(" URL")[0].replace('"Authorization', "'Authorization").replace('\\n"', "\\n'") for way in ways}

    assert len(texts) == 1


def test_a_clock_tries_again_when_the_service_is_not_up_yet(curl):
    asked = []

    class Starting(BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append((self.path, self.headers["Authorization"]))
            self.send_response(503 if len(asked) == 1 else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Starting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        ended = call(tick_scripts()["kubernetes.yml"], f"http://127.0.0.1:{server.server_port}", curl)
        server.shutdown()

    assert ended.returncode == 0
    assert asked == [("/api/tick", f"Bearer {TOKEN}")] * 2


def test_the_clock_of_compose_waits_for_the_full_minute(stubs):
    stubs("sleep", "exit 1")
    stubs("date", "echo 1000000017")

    subprocess.run(["sh", "-c", tick_scripts()["compose.yml"]], env=stubs.environment, timeout=10)

    assert stubs.record.read_text().splitlines()[-1].endswith("/sleep 3"), "1000000017 is 57 s after a full minute"


LATE = """
import json
import os
from datetime import timedelta
from time import time
import engine.clock
now, moved = engine.clock.Clock.now, timedelta(seconds=60 - (time() % 60) - 3)
engine.clock.Clock.now = lambda clock: now(clock) + moved
"""
"""Three seconds after such a process has begun, its wall clock says that a minute is full."""


def test_a_service_that_is_told_so_ticks_by_itself(data, tmp_path):
    (tmp_path / "late").mkdir()
    (tmp_path / "late" / "sitecustomize.py").write_text(LATE)
    port = free_port()
    environment = {
        "PATH": f"{BIN}:/usr/bin:/bin", "PYTHONPATH": str(tmp_path / "late"), "DATA_PATH": str(data),
        "API_TOKEN": TOKEN, "API_PORT": str(port),
    }  # fmt: skip
    service = Service(data, [str(BIN / "octoflow"), "serve", "--tick"], port, environment)
    try:
        until(lambda: answers(service, "/healthz"), 30, service.text)
        last_tick = until(lambda: service.get("/readyz").json().get("last_tick"), 90, service.text)
        code = service.stop()
    finally:
        service.session.close()
        service.kill()

    assert last_tick
    assert code == 0


MAKE_SERVE = [str(BIN / "python"), "-P", str(DEPLOY / "serve.py")]


def test_serve_says_where_it_is_once_it_listens_and_serves(data, tmp_path):
    flow(data, "it's here.yml", "name: f\nsteps:\n  - {name: s, type: set_fact, set_fact: {value: 1}}\n")
    port = free_port()
    environment = {"PATH": "/usr/bin:/bin", "DATA_PATH": str(data), "API_TOKEN": TOKEN, "API_PORT": str(port)}
    service = Service(data, MAKE_SERVE, port, environment, cwd=tmp_path)
    try:
        until(lambda: f"http://localhost:{port}/api/docs/" in service.text(), 30, service.text)

        told = service.text()
        assert TOKEN not in told
        assert service.get("/api/jobs").status_code == 200
        assert "hello.yml" not in told
        [launch] = [line for line in told.splitlines() if "-X POST" in line]
        typed = subprocess.run(["sh", "-c", launch], env=environment, capture_output=True, text=True, timeout=30)
        assert service.finished(json.loads(typed.stdout)["job_id"])["path"] == "it's here.yml"
    finally:
        service.session.close()
        service.kill()


@pytest.mark.parametrize(
    ("host", "sentence"),
    [
        ("127.0.0.1", "cannot listen there (Address already in use); choose another port"),
        ("nosuch.invalid", "API_HOST='nosuch.invalid' is no address of this machine"),
        ("192.0.2.1", "API_HOST='192.0.2.1' is no address of this machine"),
    ],
)
def test_serve_that_cannot_listen_says_only_why(data, host, sentence):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        environment = {"PATH": "/usr/bin:/bin", "DATA_PATH": str(data), "API_HOST": host, "API_PORT": str(port)}

        ended = subprocess.run(MAKE_SERVE, env=environment, capture_output=True, text=True, timeout=30)

    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
    assert sentence in ended.stderr


def test_the_commands_of_the_readme_name_what_is_there_and_show_the_token_to_no_one(stubs):
    for name in ("docker", "crontab", "systemctl", "kubectl", "cp", "gcloud"):
        stubs(name)
    stubs("openssl", "echo the-token-that-nobody-sees")
    blocks = [block for block in readme_commands("Run it every minute") if ".venv/" not in block]

    for block in blocks:
        ended = subprocess.run(
            ["sh", "-ec", block],
            cwd=ROOT,
            env=stubs.environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=30,
        )
        assert (ended.returncode, ended.stderr) == (0, ""), block
    calls = stubs.record.read_text()
    files = {word for word in calls.split() if word.startswith("deploy/")}

    assert len(blocks) == 7
    assert files >= {"deploy/compose.yml", "deploy/crontab", "deploy/kubernetes.yml", "deploy/systemd/octoflow.service"}
    assert [name for name in files if not (ROOT / name).exists()] == []
    assert "the-token-that-nobody-sees" not in calls
    assert "--env API_TOKEN " in calls
