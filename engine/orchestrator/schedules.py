"""What a user can ask of schedules."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta, tzinfo
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from engine.clock import new_id, new_ids
from engine.errors import RequestInvalid, TooLarge
from engine.models.job import Json, NewJob, Source
from engine.models.schedule import (
    MAX_EVERY_SECONDS,
    DueSchedule,
    Misfire,
    Overlap,
    Schedule,
    ScheduleFilter,
    ScheduleSource,
    Slot,
    Timing,
)
from engine.models.tick import TickReport
from engine.orchestrator.once import OnceVerbs

if TYPE_CHECKING:
    from engine.checking import CheckedDocument
    from engine.models.forecast import Forecast
    from engine.models.once import Once

MOST_LOOKED_AT = 1_000
"""So many documents a tick keeps in mind."""
WAITING = "waiting"
"""The mark of when the wait for a tick began, as it was known when a schedule was last resumed."""
CHANGED_DAY = timedelta(days=2)
"""A change of the clocks is told for the whole local day that a forecast ends in."""


class ScheduleVerbs(OnceVerbs):
    """Make, look, pause, delete, foresee."""

    def create_schedule(
        self,
        path: str,
        *,
        cron: str | None = None,
        every_seconds: int | None = None,
        timezone: str | None = None,
        overlap: Overlap = Overlap.SKIP,
        misfire: Misfire = Misfire.LATEST,
        misfire_grace_seconds: int | None = None,
        timeout_seconds: float | None = None,
        data: Json = None,
        source: ScheduleSource = ScheduleSource.API,
        once: Once | None = None,
    ) -> Schedule:
        """Run the document at these times; FlowNotFound, DocumentInvalid, RequestInvalid, TooLarge, ScheduleExists.

        Under a key of `once` that was used meanwhile nothing is made, and the schedule is the one it was used for.
        """
        self._must_be_sound()
        now = self.clock.now()
        timing = Timing(now.replace(microsecond=0), cron, every_seconds, timezone)
        next_due = self._first_due(timing, now)
        _must_be_positive("misfire_grace_seconds", misfire_grace_seconds)
        self._must_be_small(data)
        job, _ = self._new_job(path, data, timeout_seconds, 0, Source.SCHEDULE)
        schedule = Schedule(
            id=new_id(now),
            path=job.path,
            timing=timing,
            overlap=overlap,
            misfire=misfire,
            misfire_grace_seconds=misfire_grace_seconds,
            timeout_seconds=timeout_seconds,
            data=data,
            source=source,
            is_paused=False,
            created_time=now,
            last_due=now,
            next_due=next_due,
        )

        def make() -> str:
            self._schedules.insert(schedule, once)
            self._schedules_changed()
            return schedule.id

        made = self._make_once(once, make)
        return schedule if made == schedule.id else self.schedule(made)

    def schedules(self, filter: ScheduleFilter, flows: str | None = None) -> list[Schedule]:
        """The schedules that match, oldest first; of the documents that the glob `flows` means."""
        return [self._masked(each) for each in self._schedules.list(filter, flows)]

    def count_schedules(self, filter: ScheduleFilter, flows: str | None = None) -> int:
        """How many schedules match."""
        return self._schedules.count(filter, flows)

    def schedule(self, id: str) -> Schedule:
        """One schedule; ScheduleNotFound."""
        return self._masked(self._schedules.get(id))

    def slots(self, id: str, limit: int, before: datetime | None = None) -> list[Slot]:
        """What became of its due times before that one, newest first; ScheduleNotFound."""
        return self._schedules.slots(id, limit, before)

    def delete_schedule(self, id: str) -> None:
        """Forget a schedule and its slots; its jobs stay. ScheduleNotFound."""
        self._schedules.delete(id)

    def pause_schedule(self, id: str) -> Schedule:
        """Fire no more until it is resumed; once is enough. ScheduleNotFound.

        What was due before goes by its misfire rule: nothing is launched by a pause, and nothing is lost in it.
        """
        from engine.scheduler.planning import Decision, decide

        while not (schedule := self._schedules.get(id)).is_paused:
            try:
                decision = decide(schedule.standing, self._zone_of(schedule.timing), self.clock.now())
            except (KeyError, ValueError, OSError):  # Nobody can say what was due; the pause is what helps here.
                decision = Decision(schedule.owed, (), schedule.last_due, None)
            # False: a tick was quicker, and has decided. What it left is looked at anew.
            if self._schedules.pause(schedule, decision.last_due, decision.due_time, decision.slots):
                break
        return self.schedule(id)

    def resume_schedule(self, id: str) -> Schedule:
        """Go on from now: what fell due meanwhile gets one slot that says so. Once is enough; ScheduleNotFound.

        The next tick decides about what was due before the pause.
        """
        from engine.scheduler.planning import resumed

        schedule = self._schedules.get(id)
        if schedule.is_paused:
            try:
                decision = resumed(schedule.standing, self._zone_of(schedule.timing), self.clock.now())
            except (KeyError, ValueError, OSError) as error:
                raise RequestInvalid(f"The schedule {id} has times that cannot be read: {error}.") from error
            # It was made long ago: whoever waits for a tick does so for no longer because of it.
            self._marks.mark(WAITING, time=self._waiting_since() or self.clock.now())
            self._schedules.resume(id, decision.last_due, decision.next_due, decision.slots)
            self._schedules_changed()
        return self.schedule(id)

    def forecast(self, hours: float, limit: int, path: str | None = None, flows: str | None = None) -> Forecast:
        """What the schedules will do in so many hours, at most `limit` runs of it; those of one document, or all."""
        from engine.models.forecast import MAX_HOURS
        from engine.scheduler.forecast import forecast

        if not 0 < hours <= MAX_HOURS:
            raise RequestInvalid(f"hours must be above 0 and at most {MAX_HOURS}, which is a year.")
        now = self.clock.now()
        until = now + timedelta(hours=hours)
        schedules = self._schedules.active(until + CHANGED_DAY, path, flows)
        return forecast(schedules, self.settings.timezone, now, until, limit)

    # What the tick asks

    def _fire(self, report: TickReport) -> None:
        from engine.scheduler.firing import Firer

        before = report.fired
        look_at = lru_cache(maxsize=MOST_LOOKED_AT)(self._checker.document)  # Once in a tick, however many run it.
        Firer(
            self._schedules, partial(self._job_of, look_at, new_ids(self.clock.now())), self._zone_of, self.clock
        ).fire(report)
        if report.fired > before:
            self._executor.nudge(report.fired - before)

    def _waiting_since(self) -> datetime | None:
        """Since when schedules may wait for a tick, None when all are paused."""
        oldest, resumed = self._schedules.active_since(), self._marks.marked(WAITING)
        return oldest if oldest is None or resumed is None else max(oldest, resumed)

    def _schedules_changed(self) -> None:
        """Whoever waits for the next due time looks again."""

    def _must_be_small(self, data: Json) -> None:
        """TooLarge when lists and ticks, which read the data of many schedules at once, would feel it."""
        limit = self.settings.max_schedule_data_bytes
        size = len(json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))
        if size > limit:
            raise TooLarge(
                f"data has {size} bytes of JSON, more than the {limit} that a schedule may have "
                "(MAX_SCHEDULE_DATA_BYTES): put it into a file that the flow reads."
            )

    def _job_of(
        self, look_at: Callable[[str], CheckedDocument], ids: Iterator[str], schedule: DueSchedule
    ) -> tuple[NewJob, Sequence[Any]]:
        return self._new_job(
            schedule.path,
            schedule.data,
            schedule.timeout_seconds,
            0,
            Source.SCHEDULE,
            schedule_id=schedule.id,
            checked=look_at(schedule.path),
            id=next(ids),
        )

    def _zone_of(self, timing: Timing) -> tzinfo:
        return self.settings.timezone if timing.timezone is None else ZoneInfo(timing.timezone)

    def _first_due(self, timing: Timing, now: datetime) -> datetime:
        """When it is first due; RequestInvalid says what is wrong with it."""
        from engine.scheduler.due import next_due

        if (timing.cron is None) == (timing.every_seconds is None):
            raise RequestInvalid("Give exactly one of `cron` and `every_seconds`: when is the document to be run?")
        if timing.every_seconds is not None and not 1 <= timing.every_seconds <= MAX_EVERY_SECONDS:
            raise RequestInvalid(f"every_seconds must be from 1 to {MAX_EVERY_SECONDS}, which is a year.")
        try:
            zone = self._zone_of(timing)
        except (KeyError, ValueError, OSError) as error:
            raise RequestInvalid(
                f"timezone: {timing.timezone!r} is not a time zone of the tz database, such as UTC or Europe/Berlin."
            ) from error
        try:
            first = next_due(timing, zone, now)
        except ValueError as error:
            raise RequestInvalid(f"cron: {error}") from error
        if first is None:
            raise RequestInvalid(f"cron: {timing.cron!r} is never due.")
        return first


def _must_be_positive(name: str, seconds: int | None) -> None:
    if seconds is not None and not 1 <= seconds <= MAX_EVERY_SECONDS:
        raise RequestInvalid(f"{name} must be from 1 to {MAX_EVERY_SECONDS}.")
