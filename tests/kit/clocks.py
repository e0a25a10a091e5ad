"""A clock that moves when a test says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import Event

from engine.clock import Clock

NOON = datetime(2026, 3, 15, 12, 0, tzinfo=UTC)


class TestClock(Clock):
    """Wall and monotonic time go together; who waits moves both and waits for nothing."""

    __test__ = False

    def __init__(self, start: datetime = NOON) -> None:
        self.start = start
        self.passed = 0.0

    def now(self) -> datetime:
        return self.start + timedelta(seconds=self.passed)

    def monotonic(self) -> float:
        return 1000.0 + self.passed

    def wait(self, event: Event, seconds: float) -> bool:
        if not event.is_set():
            self.pass_by(seconds)
        return event.is_set()

    def pass_by(self, seconds: float) -> None:
        self.passed += seconds
