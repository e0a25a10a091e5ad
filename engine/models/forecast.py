"""What the schedules will do, and what is worth knowing about it beforehand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

MAX_HOURS = 8_784
"""How far a forecast may look ahead: a year."""
MAX_RUNS = 5_000
"""How many runs it may show."""


class WarningCode(StrEnum):
    """What a warning is about."""

    SKIPPED_TIME = "skipped_time"
    """A local time that does not exist on the day, because the clocks go forward."""
    REPEATED_TIME = "repeated_time"
    """A local time that exists twice on the day, because the clocks go back."""
    CROWDED = "crowded"
    NEVER_DUE = "never_due"
    UNREADABLE = "unreadable"
    NOT_ALL_COUNTED = "not_all_counted"
    """Crowds were looked for in a part of the time only."""


@dataclass(frozen=True, slots=True)
class ComingRun:
    """One due time to come: in UTC, and in the zone that the schedule is read in."""

    schedule_id: str
    path: str
    due_time: datetime
    local_time: datetime
    timezone: str


@dataclass(frozen=True, slots=True)
class ForecastWarning:
    """A sentence for the user; of one schedule, unless `schedule_id` and `path` are None."""

    code: WarningCode
    message: str
    schedule_id: str | None = None
    path: str | None = None
    time: datetime | None = None
    """The moment it is about, if it is about one."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """The coming runs and the warnings, each in order of time; `truncated`: there are more runs than were asked for."""

    runs: tuple[ComingRun, ...]
    warnings: tuple[ForecastWarning, ...]
    truncated: bool
