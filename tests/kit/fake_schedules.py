"""The verbs about schedules, locks and the clock, answered from memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from engine.errors import LockNotFound, ScheduleNotFound
from engine.models.forecast import ComingRun, Forecast, ForecastWarning, WarningCode
from engine.models.job import State
from engine.models.lock import Lock
from engine.models.schedule import (
    Misfire,
    Overlap,
    Schedule,
    ScheduleFilter,
    ScheduleSource,
    Slot,
    Timing,
    Verdict,
)

NOON = datetime(2026, 3, 15, 12, 0, tzinfo=UTC)


def a_schedule(id: str = "schedule-1", **changes: Any) -> Schedule:
    """A schedule that is due each hour."""
    schedule = Schedule(
        id=id,
        path="hello.yml",
        timing=Timing(NOON, "0 * * * *"),
        overlap=Overlap.SKIP,
        misfire=Misfire.LATEST,
        misfire_grace_seconds=None,
        timeout_seconds=None,
        data=None,
        source=ScheduleSource.API,
        is_paused=False,
        created_time=NOON,
        last_due=NOON,
        next_due=NOON + timedelta(hours=1),
    )
    return replace(schedule, **changes)


class FakeSchedules:
    """`kept` are the schedules by their ids, `told` the slots of each of them, newest first."""

    asked: list[Any]

    def __init__(self) -> None:
        self.kept = {id: a_schedule(id) for id in ("schedule-1", "schedule-2", "schedule-3")}
        self.told = [Slot(NOON - timedelta(hours=n), Verdict.FIRED, NOON, job_id=f"job-{n}") for n in range(3)]
        self.held_locks = [Lock("a/hello.yml", "hello", "job-1", State.RUNNING, NOON, NOON)]
        self.ticked: datetime | None = NOON

    def create_schedule(self, path: str, *, once: Any = None, **fields: Any) -> Schedule:
        self._ask("create_schedule", path, fields)
        self._make(once, "schedule-new")
        return a_schedule("schedule-new")

    def add_flow(self, path: str, *, once: Any = None, **fields: Any) -> Schedule:
        self._ask("add_flow", path, fields)
        self._make(once, "schedule-new")
        return a_schedule("schedule-new")

    def schedules(self, filter: ScheduleFilter) -> list[Schedule]:
        self._ask("schedules", filter)
        return list(self.kept.values())[filter.offset : filter.offset + filter.limit]

    def count_schedules(self, filter: ScheduleFilter) -> int:
        self._ask("count_schedules", filter)
        return len(self.kept)

    def schedule(self, id: str) -> Schedule:
        if id not in self.kept:
            raise ScheduleNotFound(id)
        return self.kept[id]

    def slots(self, id: str, limit: int, before: datetime | None = None) -> list[Slot]:
        self._ask("slots", id, limit, before)
        return [slot for slot in self.told if before is None or slot.due_time < before][:limit]

    def delete_schedule(self, id: str) -> None:
        self.schedule(id)
        del self.kept[id]

    def pause_schedule(self, id: str) -> Schedule:
        return replace(self.schedule(id), is_paused=True, next_due=None)

    def resume_schedule(self, id: str) -> Schedule:
        return self.schedule(id)

    def forecast(self, hours: float, limit: int, path: str | None = None) -> Forecast:
        self._ask("forecast", hours, limit, path)
        local = NOON.astimezone(ZoneInfo("Asia/Tokyo"))
        run = ComingRun("schedule-1", "hello.yml", NOON, local, "Asia/Tokyo")
        warnings = (
            ForecastWarning(WarningCode.CROWDED, "Many at once.", time=NOON),
            ForecastWarning(WarningCode.NEVER_DUE, "Never due.", "schedule-2", "hello.yml"),
        )
        return Forecast((run,), warnings, truncated=True)

    def locks(self) -> list[Lock]:
        return self.held_locks

    def release_lock(self, flow: str) -> list[str]:
        self._ask("release_lock", flow)
        if flow == "nothing":
            raise LockNotFound(flow)
        return ["job-1"]

    def release_locks(self) -> list[str]:
        self._ask("release_locks")
        return ["job-1", "job-2"]

    def last_tick(self) -> datetime | None:
        return self.ticked

    def clock_health(self) -> datetime | None:
        self._ask("clock_health")
        return self.ticked

    def _ask(self, *what: Any) -> None:
        raise AssertionError("whoever uses this brings it along")
