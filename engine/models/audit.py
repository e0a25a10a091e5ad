"""The audit: who changed what, when, and from where."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from engine.models.access import Role


@dataclass(frozen=True, slots=True)
class Change:
    """A change that somebody asked for.

    `actor` is the name of a key, `API_TOKEN`, or `cli:` and a login name; `action` the name of the operation.
    """

    actor: str
    role: Role
    action: str
    target: str | None = None
    """What was named: a path, an id, a name or filters."""
    result_id: str | None = None
    """What was made: a job, a schedule, a key."""
    address: str | None = None


@dataclass(frozen=True, slots=True)
class AuditRow:
    """A change that was made."""

    id: str
    time: datetime
    change: Change


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which rows a list shows, newest first. Times are inclusive at `from`, exclusive at `to`."""

    actor: str | None = None
    action: str | None = None
    time_from: datetime | None = None
    time_to: datetime | None = None
    limit: int = 50
    offset: int = 0
