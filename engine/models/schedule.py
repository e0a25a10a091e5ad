"""A schedule: a document, when it is due, and what became of each due time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from engine.models.job import Json, NewJob

DEFAULT_GRACE_SECONDS = 3600
"""How late a due time still counts under `misfire: latest`, when the schedule does not say."""
ON_TIME_SECONDS = 90
"""How late a due time still counts under `misfire: skip`: a tick that comes once a minute, and is late itself."""

MAX_EVERY_SECONDS = 31_536_000
"""The most seconds between two runs, and that a run may be late: a year."""


class Overlap(StrEnum):
    """What happens at a due time when the flow still runs: no job, or one that waits."""

    SKIP = "skip"
    QUEUE = "queue"


class Misfire(StrEnum):
    """What happens to due times that no tick saw in time: the newest is run once, or none."""

    LATEST = "latest"
    SKIP = "skip"


class Verdict(StrEnum):
    """What became of a due time."""

    FIRED = "fired"
    COALESCED = "coalesced"
    SKIPPED_RUNNING = "skipped_running"
    EXPIRED = "expired"
    LAUNCH_FAILED = "launch_failed"
    PAUSED = "paused"


class ScheduleSource(StrEnum):
    """Who made a schedule: a request, or `autostart` in config.yml, which also takes it away again."""

    API = "api"
    CONFIG = "config"


@dataclass(frozen=True, slots=True)
class Timing:
    """When something is due: `cron`, or each `every_seconds` after `anchor`; one of them is None.

    `timezone` is the name of the zone that cron is read in, None for the service's TIMEZONE.
    """

    anchor: datetime
    cron: str | None = None
    every_seconds: int | None = None
    timezone: str | None = None

    @property
    def identity(self) -> str:
        """The same for two timings that are due at the same times, whenever they were made."""
        if self.cron is None:
            return f"every {self.every_seconds}"
        return f"{' '.join(self.cron.lower().split())} @ {self.timezone or ''}"


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """How far a schedule has come, and all that its next due times depend on: `Schedule` says what the fields mean.

    Schedules that stand alike may share one, which is decided upon once; each is equal to itself alone.
    """

    timing: Timing
    misfire: Misfire
    misfire_grace_seconds: int | None
    last_due: datetime
    next_due: datetime | None
    failures: int = 0
    owed: datetime | None = None

    @property
    def grace_seconds(self) -> int:
        """How late a due time may be and still be run."""
        if self.misfire_grace_seconds is not None:
            return self.misfire_grace_seconds
        return DEFAULT_GRACE_SECONDS if self.misfire is Misfire.LATEST else ON_TIME_SECONDS


@dataclass(frozen=True, slots=True)
class Slot:
    """What became of one due time, or of `count` of them from `first_due_time` to `due_time`.

    `reason` says it in words; `tick_time` is when it was decided.
    """

    due_time: datetime
    verdict: Verdict
    tick_time: datetime
    reason: str | None = None
    job_id: str | None = None
    count: int = 1
    first_due_time: datetime | None = None
    """None when the row is for `due_time` alone."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule as it stands.

    Every due time up to `last_due` has its verdict, but for the one that is `owed`. `next_due` is when the next tick
    looks at it, None while it is paused; after a failed launch it is a later due time than the very next.
    """

    id: str
    path: str
    timing: Timing
    overlap: Overlap
    misfire: Misfire
    misfire_grace_seconds: int | None
    timeout_seconds: float | None
    data: Json
    source: ScheduleSource
    is_paused: bool
    created_time: datetime
    last_due: datetime
    next_due: datetime | None
    last_job_id: str | None = None
    last_error: str | None = None
    failures: int = 0
    """Launches that failed one after another; 0 after one that did not."""
    last_slot: Slot | None = None
    owed: datetime | None = None
    """The newest due time before a pause, when no tick saw it: the first tick after the pause decides about it."""

    @property
    def standing(self) -> Standing:
        """How far it has come."""
        return Standing(
            timing=self.timing,
            misfire=self.misfire,
            misfire_grace_seconds=self.misfire_grace_seconds,
            last_due=self.last_due,
            next_due=self.next_due,
            failures=self.failures,
            owed=self.owed,
        )


@dataclass(frozen=True, slots=True)
class DueSchedule:
    """A schedule that a tick is to look at, and what it needs to know of it."""

    id: str
    path: str
    overlap: Overlap
    timeout_seconds: float | None
    data: Json
    standing: Standing

    @property
    def failures(self) -> int:
        """Launches that failed one after another."""
        return self.standing.failures


@dataclass(frozen=True, slots=True)
class BrokenSchedule:
    """A schedule whose row cannot be read."""

    id: str
    error: str
    failures: int


@dataclass(frozen=True, slots=True)
class ScheduleFilter:
    """Which schedules a list shows, oldest first."""

    path: str | None = None
    limit: int = 50
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Firing:
    """What a tick decided about one due schedule: `job` is to be launched for `due_time`, or `error` says why not.

    Both are None when the decision consists of `slots` alone. `expected` is the `next_due` that was read: when it is
    another by now, somebody else has decided.
    """

    schedule_id: str
    expected: datetime
    last_due: datetime
    next_due: datetime | None
    slots: tuple[Slot, ...] = ()
    due_time: datetime | None = None
    overlap: Overlap = Overlap.SKIP
    job: NewJob | None = None
    error: str | None = None
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Fired:
    """What was written: jobs launched, due times without one (`missed`), those whose flow still ran (`skipped`)."""

    jobs: tuple[str, ...] = ()
    missed: int = 0
    skipped: int = 0
    failed: tuple[tuple[str, str], ...] = ()
    """Schedule id and error of each launch that could not be made."""
