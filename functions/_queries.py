"""What may stand behind the question mark of each operation, found by its name when one is first asked.

Each is a frozen dataclass that `functions._query` reads; making one costs half a millisecond, and a health check needs
none.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from engine.models.audit import AuditFilter
from engine.models.forecast import MAX_HOURS, MAX_RUNS
from engine.models.job import JobFilter, State, Status
from functions._query import bounded


@dataclass(frozen=True)
class ListJobs(JobFilter):
    """Which jobs, and which page of them; `count` asks for the number of all."""

    limit: int = bounded(50, 1, 500)
    offset: int = bounded(0, 0, 1_000_000_000)
    count: bool = False

    def filter(self, **changes: Any) -> JobFilter:
        """The same as the engine takes it."""
        return JobFilter(**{each.name: getattr(self, each.name) for each in fields(JobFilter)} | changes)


@dataclass(frozen=True)
class ListLogs:
    """Log lines after the one of this number."""

    after: int = bounded(0, 0, 10**15)
    limit: int = bounded(1000, 1, 5000)


@dataclass(frozen=True)
class DeleteJobs:
    """Which ended jobs; the engine wants at least one filter."""

    older_than_days: float | None = bounded(None, 0, 36_500)
    state: State | None = None
    status: Status | None = None


@dataclass(frozen=True)
class ListSchedules:
    """Which schedules, and which page of them; `count` asks for the number of all."""

    path: str | None = None
    limit: int = bounded(50, 1, 500)
    offset: int = bounded(0, 0, 1_000_000_000)
    count: bool = False


@dataclass(frozen=True)
class ListSlots:
    """The due times before that one."""

    before: datetime | None = None
    limit: int = bounded(50, 1, 500)


@dataclass(frozen=True)
class Foresee:
    """How far to look ahead, and how many runs to show; those of one document, or all."""

    path: str | None = None
    hours: float = bounded(24.0, 0.1, MAX_HOURS)
    limit: int = bounded(500, 1, MAX_RUNS)


@dataclass(frozen=True)
class ListDocuments:
    """Which documents, and which page of them; `count` asks for the number of all."""

    q: str | None = None
    glob: str | None = None
    limit: int = bounded(50, 1, 500)
    offset: int = bounded(0, 0, 1_000_000_000)
    count: bool = False


@dataclass(frozen=True)
class LaunchOptions:
    """For how long at most, and before which others."""

    timeout_seconds: float | None = bounded(None, 1, 2_592_000)
    priority: int = bounded(0, -1_000_000, 1_000_000)


@dataclass(frozen=True)
class ListFlows:
    """Which page of the added flows."""

    limit: int = bounded(500, 1, 500)
    offset: int = bounded(0, 0, 1_000_000_000)


@dataclass(frozen=True)
class ListKeys:
    """Which page of them."""

    limit: int = bounded(50, 1, 500)
    offset: int = bounded(0, 0, 1_000_000_000)


@dataclass(frozen=True)
class ListAudit(AuditFilter):
    """Which changes, and which page of them."""

    limit: int = bounded(50, 1, 500)
    offset: int = bounded(0, 0, 1_000_000_000)

    def filter(self, **changes: Any) -> AuditFilter:
        """The same as the engine takes it."""
        return AuditFilter(**{each.name: getattr(self, each.name) for each in fields(AuditFilter)} | changes)
