"""A job without a job process: real documents, checked as at a launch, run over a host that only takes notes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from textwrap import dedent
from threading import Event as Flag
from threading import Lock, Thread, current_thread, main_thread
from typing import Any

import pytest

from engine.catalog import Catalog
from engine.checking import Checker
from engine.errors import StepFailed
from engine.models.job import Event, LogLine, StepEnded, StepStarted
from engine.models.limits import RunLimits
from engine.runner import FlowEnd, Stopped, run_job
from engine.settings import Settings

NOON = datetime(2024, 5, 23, 12, 0, tzinfo=UTC)


class FakeHost:
    """Notes everything it is told, in order. `stop()` does what SIGTERM does in a job's process."""

    def __init__(self, secrets: Mapping[str, dict[str, str]] | None = None) -> None:
        self.stopped = Flag()
        self.told: list[str | Event] = []
        self.threads: list[str] = []
        """The name of the thread that said each of `told`."""
        self.urgent: list[Event] = []
        self.secrets = secrets or {}
        self.when_logged: dict[str, Callable[[], None]] = {}
        """What happens while a step logs this message."""
        self._lock = Lock()
        self._stoppable = False

    def now(self) -> datetime:
        return NOON

    def emit(self, event: Event, *, urgent: bool = False) -> None:
        self._note(event)
        if urgent:
            self.urgent.append(event)
        if isinstance(event, LogLine) and event.message in self.when_logged:
            self.when_logged[event.message]()

    def sync(self) -> None:
        self._note("sync")

    def secret(self, name: str, *, fresh: bool = False) -> dict[str, str]:
        self._note(f"secret {name}")
        if name not in self.secrets:
            raise StepFailed(f"secret {name!r} is not in secrets.yml")
        return self.secrets[name]

    def hide_inputs(self, values: list[str]) -> None:
        for value in values:
            self._note(f"hide {value}")

    def stopping(self) -> None:
        self._note("stopping")

    @contextmanager
    def stoppable(self) -> Iterator[None]:
        if current_thread() is not main_thread():
            yield
            return
        before, self._stoppable = self._stoppable, True
        try:
            yield
        finally:
            self._stoppable = before

    @contextmanager
    def protected(self) -> Iterator[None]:
        if current_thread() is not main_thread():
            yield
            return
        before, self._stoppable = self._stoppable, False
        try:
            yield
        finally:
            self._stoppable = before

    def stop(self) -> None:
        """Raise `Stopped` where a signal would."""
        self.stopped.set()
        if self._stoppable and current_thread() is main_thread():
            self._stoppable = False
            raise Stopped

    def _note(self, what: str | Event) -> None:
        with self._lock:
            self.told.append(what)
            self.threads.append(current_thread().name)

    @property
    def events(self) -> list[Event]:
        return [told for told in self.told if not isinstance(told, str)]

    @property
    def logged(self) -> list[LogLine]:
        return [event for event in self.events if isinstance(event, LogLine)]


@dataclass(frozen=True)
class StepRun:
    """One step run, put together from its two events."""

    started: StepStarted
    ended: StepEnded | None

    @property
    def name(self) -> str:
        return self.started.name

    @property
    def status(self) -> str | None:
        return self.ended.status.value if self.ended else None

    @property
    def output(self) -> Any:
        return json.loads(self.ended.output) if self.ended and self.ended.output is not None else None


@dataclass
class Ran:
    """A job that has run."""

    end: FlowEnd
    host: FakeHost
    data: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.data = json.loads(self.end.data_json)

    @property
    def status(self) -> str:
        return self.end.status

    @property
    def error(self) -> str:
        """The one error of a job that failed."""
        [entry] = self.end.errors
        return str(entry["error"])

    @property
    def stored(self) -> dict[str, Any]:
        """What steps put into `_data`."""
        return {key: value for key, value in self.data.items() if not key.startswith("__")}

    @property
    def steps(self) -> list[StepRun]:
        """The step runs in the order they began."""
        ended = {event.number: event for event in self.host.events if isinstance(event, StepEnded)}
        begun = [event for event in self.host.events if isinstance(event, StepStarted)]
        return [StepRun(event, ended.get(event.number)) for event in begun]

    @property
    def course(self) -> list[tuple[str, str | None]]:
        """Names and statuses of the step runs of the flow that was launched."""
        return [(step.name, step.status) for step in self.steps if step.started.parent is None]

    def step(self, name: str) -> StepRun:
        """The one run of this step."""
        [found] = [step for step in self.steps if step.name == name]
        return found


@pytest.fixture
def data_path(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def message(data_path: Path) -> Callable[..., dict[str, Any]]:
    """What a supervisor would send for a flow, given as its text or as a list of its steps."""

    def build(
        flow: str | list[dict[str, Any]],
        *,
        flows: Mapping[str, str] | None = None,
        templates: Mapping[str, str] | None = None,
        **members: Any,
    ) -> dict[str, Any]:
        text = flow if isinstance(flow, str) else json.dumps({"steps": flow})
        _write(data_path / "flows", {"main.yml": text, **(flows or {})})
        _write(data_path / "templates", templates or {})
        checked = Checker(Catalog.from_settings(Settings(data_path=data_path))).document("main.yml")
        return {
            "job_id": "job-1",
            "path": checked.document.path,
            "revision": checked.document.revision,
            "documents": {
                document.revision: {"text": document.text, "parts": document.parts}
                for document in (checked.document, *checked.parts)
            },
            "timestamp": "20240523120000",
            "timeout_seconds": None,
            "first_number": 1,
            "finally_only": False,
            "errors": [],
            **members,
        }

    return build


@pytest.fixture
def run(message: Callable[..., dict[str, Any]], data_path: Path) -> Callable[..., Ran]:
    """Runs a flow: `run(flow, input, flows=..., templates=..., host=..., max_step_runs=...)`."""

    def run_flow(
        flow: str | list[dict[str, Any]],
        input: Any = None,
        *,
        flows: Mapping[str, str] | None = None,
        templates: Mapping[str, str] | None = None,
        host: FakeHost | None = None,
        members: Mapping[str, Any] | None = None,
        **limits: int,
    ) -> Ran:
        host = host or FakeHost()
        sent = message(flow, flows=flows, templates=templates, **(members or {}))
        end = run_job(sent, json.dumps(input).encode(), host, RunLimits(data_path=str(data_path), **limits))
        return Ran(end, host)

    return run_flow


@pytest.fixture
def host() -> FakeHost:
    return FakeHost()


def _write(folder: Path, texts: Mapping[str, str]) -> None:
    folder.mkdir(exist_ok=True)
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(dedent(text))


@pytest.fixture
def peer() -> Iterator[Callable[[int, str], str]]:
    """Starts a peer that gives one answer to everything; its address."""
    servers: list[ThreadingHTTPServer] = []

    def start(status: int, body: str) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, format: str, *args: Any) -> None:
                """Stay quiet."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
