"""An engine that answers from memory, and the application around it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from described import DescribedClient
from fake_schedules import FakeSchedules
from functions_framework import create_app

from engine.clock import Clock
from engine.errors import IdempotencyKeyReused, JobActive, JobNotFound, RequestInvalid, Unauthenticated
from engine.models.access import Access, Role
from engine.models.audit import Change
from engine.models.flow import FlowInputs
from engine.models.job import Job, JobFilter, LogLine, Source, State, Status, StepRow, StepStatus
from engine.models.metric import METRICS
from engine.models.once import Once
from engine.models.tick import TickReport
from engine.settings import Settings
from functions import _engine

MAIN = Path(__file__).resolve().parents[2] / "functions" / "main.py"
NOW = datetime(2026, 3, 15, 12, 0, tzinfo=UTC)


class StoppedClock(Clock):
    def now(self) -> datetime:
        return NOW


def a_job(id: str, **changes: Any) -> Job:
    values: dict[str, Any] = {
        "id": id, "path": "hello.yml", "name": "hello", "revision": "abc", "state": State.FINISHED,
        "status": Status.SUCCESS, "reason": None, "message": None, "priority": 0, "source": Source.API,
        "schedule_id": None, "timeout_seconds": 600.0, "queued_time": NOW, "start_time": NOW,
        "end_time": NOW + timedelta(seconds=1.5), "data": {"a": 1}, "result": {"b": 2},
    }  # fmt: skip
    return Job(**(values | changes))


class FakeEngine(FakeSchedules):
    """The verbs of the Orchestrator over a dict; `asked` remembers what came in."""

    def __init__(self) -> None:
        super().__init__()
        self.settings = Settings(timezone=ZoneInfo("Europe/Berlin"), max_content_length=100_000)
        self.clock = StoppedClock()
        self.tokens = {role.value: role for role in Role}
        self.held = {id: a_job(id) for id in ("job-1", "job-2", "job-3")}
        self.asked: list[Any] = []
        self.recorded: list[Change] = []
        self.declared: list[FlowInputs] = []
        self.error: Exception | None = None
        self.made: dict[str, tuple[str, str]] = {}
        self.waited: list[float] = []
        self.started, self.closed = Event(), Event()

    def start(self) -> None:
        self.started.set()

    def close(self) -> None:
        self.closed.set()

    def _make(self, once: Once | None, id: str) -> None:
        if once is not None:
            self.made[once.digest] = once.request, id

    def made_before(self, once: Once | None) -> str | None:
        known = self.made.get(once.digest) if once else None
        if once is None or known is None:
            return None
        if known[0] != once.request:
            raise IdempotencyKeyReused
        once.is_repeat = True
        return known[1]

    def launch(
        self, path: str, data: Any = None, *, change: Change | None = None, once: Once | None = None, **options: Any
    ) -> str:
        self._ask("launch", path, data, options)
        if change is not None:
            self.record(change)
        self._make(once, "job-new")
        return "job-new"

    def ended(self, id: str, wait_seconds: float = 0) -> tuple[Job, list[StepRow]] | None:
        self.waited.append(wait_seconds)
        return self.job(id) if self.settings.executor == "inline" else None

    def declared_inputs(self) -> list[FlowInputs]:
        return self.declared

    def jobs(self, filter: JobFilter) -> list[Job]:
        self._ask("jobs", filter)
        return list(self.held.values())[filter.offset : filter.offset + filter.limit]

    def count_jobs(self, filter: JobFilter) -> int:
        return len(self.held)

    def job(self, id: str) -> tuple[Job, list[StepRow]]:
        if id not in self.held:
            raise JobNotFound(id)
        later = NOW + timedelta(seconds=1)
        step = StepRow(1, "greet", "jinja", StepStatus.SUCCESS, NOW, later, None, None, "greet", "hi")
        return self.held[id], [step]

    def logs(self, id: str, after: int, limit: int) -> tuple[list[LogLine], int | None]:
        self._ask("logs", id, after, limit)
        return [LogLine(NOW, "info", "hello", "greet")], 7

    def cancel(self, id: str) -> Job:
        return a_job(id, state=State.STOPPING)

    def delete_job(self, id: str) -> None:
        if self.held.pop(id).state is not State.FINISHED:
            raise JobActive("The job runs.")

    def delete_jobs(self, **filters: Any) -> int:
        self._ask("delete_jobs", filters)
        if not any(value is not None for value in filters.values()):
            raise RequestInvalid("Give at least one filter.")
        return 2

    def tick(self) -> TickReport:
        return TickReport(fired=3)

    def metrics(self) -> dict[str, dict[str, float]]:
        self._ask("metrics")
        return {each.name: {"one" if each.label else "": 1.0} for each in METRICS}

    def readiness(self) -> dict[str, Any]:
        self._ask("readiness")
        return {"status": "ok", "database": "ok", "data": "ok"}

    def is_allowed(self, token: str, is_local: Callable[[], bool]) -> Access:
        self._ask("is_allowed", token, is_local())
        if token not in self.tokens:
            raise Unauthenticated("A token that is known, please.")
        return Access(f"{token}'s key", self.tokens[token])

    def record(self, change: Change) -> None:
        self.recorded.append(change)

    def _ask(self, *what: Any) -> None:
        self.asked.append(what)
        if self.error is not None and what[0] != "is_allowed":
            raise self.error


@pytest.fixture
def engine(process: _engine.ProcessEngine) -> FakeEngine:
    """The engine that the application answers from."""
    fake = FakeEngine()
    process.use(fake)  # type: ignore[arg-type]
    return fake


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Any:
    """This process's engine, made anew for each test; it starts at once."""
    made = _engine.ProcessEngine()
    monkeypatch.setattr(_engine, "PROCESS", made)
    monkeypatch.setattr(_engine, "FIRST_WAIT_SECONDS", 0.01)
    yield made
    made.close()
    if made._starter is not None:
        made._starter.join(5)


@pytest.fixture
def app_of(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Builds the application of one target, as functions-framework serves it; answers must be as they are described."""

    def build(target: str) -> Any:
        app = create_app(target=target, source=str(MAIN))
        app.test_client_class = DescribedClient
        return app

    monkeypatch.setenv("FUNCTION_TARGET", "")
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setitem(sys.modules, "main", sys)
    return build


@pytest.fixture
def client(app_of: Any, engine: FakeEngine) -> Any:
    """Calls the whole API as an admin."""
    made = app_of("api").test_client()
    made.environ_base["HTTP_AUTHORIZATION"] = "Bearer admin"
    return made
