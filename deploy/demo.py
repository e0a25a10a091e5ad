"""The demo: starts the service over a copy of data/, runs every sample flow over HTTP, checks what it did, stops."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
SAMPLE_TOKEN = "sample-token-that-opens-nothing"
SECONDS = 60.0


class DemoFailed(Exception):
    """Something did not go as the samples promise; the text says what."""


def require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise DemoFailed(otherwise)


class Deadline:
    """The demo's end, whatever happens."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.end = time.monotonic() + seconds

    def pause(self, waiting_for: str) -> None:
        """A short sleep; DemoFailed when the time is over."""
        require(time.monotonic() < self.end, f"{waiting_for} was still awaited after {self.seconds:.0f} s.")
        time.sleep(0.02)

    def remaining(self) -> float:
        return max(1.0, self.end - time.monotonic())


@dataclass
class Peer:
    """Stands for the ticket system: takes tickets from callers that know its token, and keeps them."""

    token: str
    url: str = ""
    tickets: list[dict[str, Any]] = field(default_factory=list)
    refused: int = 0

    def receive(self, authorization: str | None, body: bytes) -> tuple[int, dict[str, Any]]:
        """The status and the answer to one POST."""
        if authorization != f"Bearer {self.token}":
            self.refused += 1
            return 401, {"error": "unknown token"}
        self.tickets.append(json.loads(body))
        return 201, {"id": f"T-{secrets.token_hex(4)}"}


@contextmanager
def stub_peer(token: str) -> Iterator[Peer]:
    """A peer that listens on a free loopback port."""
    peer = Peer(token)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, answer = peer.receive(self.headers.get("Authorization"), body)
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: the demo's own lines are enough."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        peer.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield peer
        server.shutdown()


@dataclass(frozen=True)
class Api:
    """The service as a caller sees it."""

    url: str
    token: str
    deadline: Deadline

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The answer's JSON; DemoFailed with the answer's text when it is not 2xx."""
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=self.deadline.remaining()) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise DemoFailed(f"{method} {path} was answered {error.code}: {error.read().decode()[:500]}") from error

    def is_up(self) -> bool:
        try:
            self.call("GET", "/healthz")
        except OSError:
            return False
        return True


@contextmanager
def service(data: Path, scratch: Path, deadline: Deadline) -> Iterator[Api]:
    """A running `octoflow serve`; it is asked to stop at the end, and must do so with exit code 0."""
    octoflow = Path(sys.executable).parent / "octoflow"
    require(octoflow.exists(), f"{octoflow} is not there: `make demo` sets it up.")
    port, token, output = free_port(), secrets.token_urlsafe(16), scratch / "service.out"
    # Nothing of the caller's own settings may reach the demo's service.
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")}
    settings = {"DATA_PATH": str(data), "API_HOST": "127.0.0.1", "API_PORT": str(port), "API_TOKEN": token}
    with output.open("wb") as sink:
        process = subprocess.Popen(
            [octoflow, "serve"], env=kept | settings, cwd=scratch, stdout=sink, stderr=sink, start_new_session=True
        )
    api = Api(f"http://127.0.0.1:{port}", token, deadline)
    try:
        while not api.is_up():
            require(
                process.poll() is None, f"The service ended with exit code {process.returncode} before it answered."
            )
            deadline.pause("the service's first answer")
        yield api
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(deadline.remaining())
        except subprocess.TimeoutExpired as error:
            raise DemoFailed("The service did not stop after SIGTERM.") from error
        require(process.returncode == 0, f"The service stopped with exit code {process.returncode}, not 0.")
    except BaseException:
        print_tail(output)
        raise
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def print_tail(output: Path) -> None:
    lines = output.read_text(errors="replace").splitlines()[-20:]
    print("\nThe service's last lines:", *lines, sep="\n  ", file=sys.stderr)


@dataclass(frozen=True)
class Sample:
    """A sample flow, what it is launched with, and what must come of it."""

    path: str
    data: dict[str, Any]
    status: str
    check: Callable[[dict[str, Any]], None]


def samples(data: Path, peer: Peer) -> list[Sample]:
    """Every sample flow that is launched by itself."""

    def greets(job: dict[str, Any]) -> None:
        sentence = job["result"]["sentence"]
        require(sentence == "Hello, Ada! An octopus has 8 arms.", f"hello.yml said {sentence!r}.")

    def keeps_its_key(job: dict[str, Any]) -> None:
        sentence = job["result"]["sentence"]
        require(sentence == "check web1, up to 3 times, with the key ***", f"greet_host.yml said {sentence!r}.")
        require("a-key-for-the-demo" not in json.dumps(job), "The key is in the job's answer.")

    def sends_tickets(job: dict[str, Any]) -> None:
        titles = sorted(ticket["title"][:10] for ticket in peer.tickets)
        require(titles == ["INC0010001", "INC0010003", "INC0010005"], f"The peer received {titles}.")
        require(peer.refused == 0, "The peer refused a token.")
        require(peer.token not in json.dumps(job), "The peer's token is in the job's answer.")
        has_one(data, "output/tickets_*.yml")

    def exports_issues(job: dict[str, Any]) -> None:
        issues = json.loads(has_one(data, "output/jira_issues.json").read_text())
        points = {issue["key"]: issue.get("story_points") for issue in issues}
        require(points == {"OCTO-1": 5, "OCTO-2": 2}, f"output/jira_issues.json holds {points}.")

    def ends_early(job: dict[str, Any]) -> None:
        require("nothing to do" in (job["message"] or ""), f"The message is {job['message']!r}.")
        require("not reached" not in ran(job), "A step ran after the exit.")

    def fails_and_tidies_up(job: dict[str, Any]) -> None:
        require("3 of 12 are missing" in json.dumps(job["errors"]), f"The errors are {job['errors']}.")
        require("not reached" not in ran(job), "A step ran after the failure.")
        require("write what is known" in ran(job), "The finally_step did not run.")
        has_one(data, "output/failed_run.yml")

    return [
        Sample("hello.yml", {"name": "Ada"}, "success", greets),
        Sample("greet_host.yml", {"host": "web1", "api_key": "a-key-for-the-demo"}, "success", keeps_its_key),
        Sample("process_tickets.yml", {"peer_url": peer.url}, "success", sends_tickets),
        Sample("jira_export.yml", {}, "success", exports_issues),
        Sample("nothing_to_do.yml", {}, "exit", ends_early),
        Sample("fails_in_the_middle.yml", {}, "failed", fails_and_tidies_up),
    ]


def ran(job: dict[str, Any]) -> list[str]:
    return [step["name"] for step in job["steps"] if step["status"] != "skipped"]


def has_one(data: Path, pattern: str) -> Path:
    found = sorted(data.glob(pattern))
    require(len(found) == 1, f"There should be one {pattern} in the data folder, there are {len(found)}.")
    return found[0]


def run_sample(api: Api, sample: Sample) -> None:
    """Launch the flow, print its steps as they end, then hold the job against what the sample promises."""
    print(f"\n{sample.path}", json.dumps(sample.data) if sample.data else "")
    id = api.call("POST", "/api/jobs", {"path": sample.path, "data": sample.data})["job_id"]
    shown: set[int] = set()
    while True:
        job = api.call("GET", f"/api/jobs/{id}")
        ended = [step for step in job["steps"] if step["number"] not in shown and step["end_time"]]
        for step in ended:
            shown.add(step["number"])
            print_step(step)
        if job["state"] == "finished":
            break
        api.deadline.pause(f"the end of {sample.path}")
    print_ending(api, job)
    expected = f"{sample.path} ended as {job['status']}, not {sample.status}: {job['errors']}"
    require(job["status"] == sample.status, expected)
    sample.check(job)


def print_step(step: dict[str, Any]) -> None:
    # A step inside another one ends first, so indenting it would put it below the wrong one.
    name = f"{step['parent']} > {step['name']}" if step["parent"] else step["name"]
    seconds = step["duration_seconds"]
    took = "" if seconds is None else f"{seconds * 1000:6.0f} ms"
    print(f"  {name:<32} {step['type']:<17} {step['status']:<8} {took}")


def print_ending(api: Api, job: dict[str, Any]) -> None:
    for line in api.call("GET", f"/api/jobs/{job['id']}/logs")["logs"]:
        if line["level"] == "info" and job["path"] == "hello.yml":
            print(f"  log      {line['message']}")
    result = {name: value for name, value in (job["result"] or {}).items() if not name.startswith("__")}
    text = json.dumps(result, ensure_ascii=False)
    print(f"  result   {text if len(text) <= 160 else text[:157] + '...'}")
    for error in job["errors"]:
        print(f"  error    {error['error']}")
    if job["message"] and not job["errors"]:
        print(f"  message  {job['message']}")
    print(f"  {job['status']} after {job['duration_seconds'] * 1000:.0f} ms")


def main() -> int:
    """0 when every sample did what it promises, else 1 and the reason on stderr."""
    deadline = Deadline(SECONDS)
    scratch = Path(tempfile.mkdtemp(prefix="octoflow-demo-"))
    try:
        data = scratch / "data"
        # Only what the samples are: what an earlier `make serve` left in data/ stays where it is.
        shutil.copytree(
            PROJECT / "data", data, ignore=shutil.ignore_patterns("output", "logs", ".octoflow", "*.sqlite*")
        )
        peer_token = secrets.token_urlsafe(16)
        secrets_file = data / "secrets.yml"
        secrets_file.write_text(secrets_file.read_text().replace(SAMPLE_TOKEN, peer_token))
        with stub_peer(peer_token) as peer, service(data, scratch, deadline) as api:
            print(f"Octoflow is up on {api.url} over a copy of data/; a stub ticket system is up on {peer.url}.")
            for sample in samples(data, peer):
                run_sample(api, sample)
            took = SECONDS - (deadline.end - time.monotonic())
        print(f"\nAll sample flows did what they promise, and the service stopped cleanly ({took:.1f} s).")
    except DemoFailed as error:
        print(f"\nThe demo failed: {error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
