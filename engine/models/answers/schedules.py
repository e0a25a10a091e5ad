"""Answers about schedules, and about the flows that they and their jobs lock."""

from __future__ import annotations

from typing import Literal, NotRequired

from engine.models.answers.shown import Json, Shown, Time
from engine.models.forecast import WarningCode
from engine.models.job import State
from engine.models.schedule import Misfire, Overlap, ScheduleSource, Verdict


class Slot(Shown):
    """What became of a due time, or of `count` of them from `first_due_time` on."""

    due_time: Time
    first_due_time: Time | None
    count: int
    verdict: Verdict
    reason: str | None
    job_id: str | None
    tick_time: Time
    """When it was decided."""


class Schedule(Shown):
    """A schedule, with what it did last and does next."""

    schedule_id: str
    path: str
    cron: str | None
    every_seconds: int | None
    timezone: str | None
    """The zone that cron is read in, null for TIMEZONE."""
    overlap: Overlap
    misfire: Misfire
    misfire_grace_seconds: int | None
    timeout_seconds: float | None
    data: Json
    source: ScheduleSource
    state: Literal["active", "paused"]
    created_time: Time
    next_run_time: Time | None
    last_job_id: str | None
    last_error: str | None
    last_slot: Slot | None


class SchedulePage(Shown):
    """Schedules, oldest first."""

    schedules: list[Schedule]
    limit: int
    offset: int
    next: int | None
    """The `offset` of the next page, null on the last one."""
    total: NotRequired[int]
    """How many match, where `count` asks for it."""


class SlotPage(Shown):
    """Due times, newest first."""

    slots: list[Slot]
    next: Time | None
    """The `before` of the next page, null on the last one."""


class Scheduled(Shown):
    """A schedule that was made."""

    schedule_id: str


class ScheduleDeleted(Shown):
    """A schedule that is no more."""

    schedule_id: str
    deleted: Literal[True]


class ComingRun(Shown):
    """One due time to come."""

    schedule_id: str
    path: str
    time: Time
    local_time: Time
    """The same moment in the zone that the schedule is read in."""
    timezone: str


class ForecastWarning(Shown):
    """What is worth knowing beforehand; of one schedule, unless `schedule_id` and `path` are null."""

    code: WarningCode
    message: str
    schedule_id: str | None
    path: str | None
    time: Time | None
    """The moment it is about, if it is about one."""


class Forecast(Shown):
    """Coming runs, soonest first, and warnings."""

    runs: list[ComingRun]
    warnings: list[ForecastWarning]
    truncated: bool
    """Whether there are more runs: a higher `limit` shows more of them, `path` those of one document."""


class Lock(Shown):
    """A flow that is locked, and the job that holds the lock."""

    path: str
    name: str
    job_id: str
    state: State
    queued_time: Time
    start_time: Time | None


class Flow(Schedule):
    """A flow that is scheduled."""

    flow_id: str
    """The schedule's id."""


class FlowPage(Shown):
    """Flows that are scheduled, oldest first."""

    flows: list[Flow]
    next: int | None
    """The `offset` of the next page, null on the last one."""


class FlowAdded(Shown):
    """A flow that is scheduled from now on."""

    flow_id: str
    schedule_id: str


class FlowDeleted(Shown):
    """A flow that is scheduled no more."""

    flow_id: str
    deleted: Literal[True]


class Locks(Shown):
    """The flows that are locked."""

    locks: list[Lock]


class Released(Shown):
    """The locks that are free as soon as these jobs have stopped."""

    released: list[str]
