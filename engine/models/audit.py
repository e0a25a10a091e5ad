"""The audit: who changed what, when, and from where."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from engine.models.access import Role


class Action(StrEnum):
    """What the audit tells of: the API's operations that change something, by their names."""

    LAUNCH_JOB = "launch_job"
    CANCEL_JOB = "cancel_job"
    DELETE_JOB = "delete_job"
    DELETE_JOBS = "delete_jobs"
    LAUNCH_DOCUMENT = "launch_document"
    CREATE_SCHEDULE = "create_schedule"
    PAUSE_SCHEDULE = "pause_schedule"
    RESUME_SCHEDULE = "resume_schedule"
    DELETE_SCHEDULE = "delete_schedule"
    CREATE_KEY = "create_key"
    REVOKE_KEY = "revoke_key"
    ADD_FLOW = "add_flow"
    LAUNCH_FLOW = "launch_flow"
    DELETE_FLOW = "delete_flow"
    RELEASE_LOCK = "release_lock"
    RELEASE_LOCKS = "release_locks"


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
    """What was made, or what `target` means: a job, a schedule, a key."""
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
    action: Action | None = None
    time_from: datetime | None = None
    time_to: datetime | None = None
    limit: int = 50
    offset: int = 0
