"""The schedules: one verb for each thing that can happen to one, each a short transaction of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from engine.models.flow import Document
from engine.models.job import Json
from engine.models.once import Once
from engine.models.schedule import (
    BrokenSchedule,
    DueSchedule,
    Fired,
    Firing,
    Misfire,
    Overlap,
    Schedule,
    ScheduleFilter,
    ScheduleSource,
    Slot,
)
from engine.store import firing, schedule_changes, schedule_lists, slot_pruning
from engine.store.database import Database
from engine.store.documents import DocumentStore
from engine.store.schedule_rows import read_due, read_each, to_schedule

PAGE = 200
"""Schedules for each look at all of them."""


class ScheduleStore:
    """What is to run when, and what became of each due time."""

    def __init__(self, database: Database, documents: DocumentStore | None = None) -> None:
        self._database = database
        self._documents = documents or DocumentStore(database)

    def insert(self, schedule: Schedule, once: Once | None = None) -> None:
        """Keep the schedule; ScheduleExists names the one of the same document and timing.

        AskedBefore when one was made under the key of `once`.
        """
        self._database.change(lambda c: schedule_changes.insert_schedule(c, schedule, once))

    def get(self, id: str) -> Schedule:
        """The schedule with its last slot; ScheduleNotFound, and DatabaseRefused when its row cannot be read."""
        return self._database.ask(lambda c: schedule_lists.get_schedule(c, id))

    def count(self, filter: ScheduleFilter, flows: str | None = None) -> int:
        """How many schedules the filter lets through, whatever its limit and offset."""
        return self._database.ask(lambda c: schedule_lists.count_schedules(c, filter, flows))

    def slots(self, id: str, limit: int, before: datetime | None = None) -> list[Slot]:
        """What became of its due times before that one, newest first; ScheduleNotFound."""
        return self._database.ask(lambda c: schedule_lists.list_slots(c, id, limit, before))

    def delete(self, id: str) -> None:
        """Delete the schedule with its slots, however many, in short transactions; its jobs stay. ScheduleNotFound."""
        while border := self._database.ask(lambda c: slot_pruning.end_of_batch(c, id)):
            self._delete_slots(id, border)
        self._database.change(lambda c: schedule_changes.delete_schedule(c, id))

    def pause(self, schedule: Schedule, last_due: datetime, owed: datetime | None, slots: Sequence[Slot]) -> bool:
        """Let it be due no more; `slots` and `owed` say what becomes of the due times up to `last_due`.

        False when it is paused or has been decided about since it was read, and nothing happens. ScheduleNotFound.
        """
        return self._database.change(lambda c: schedule_changes.pause(c, schedule, last_due, owed, slots))

    def resume(self, id: str, last_due: datetime, next_due: datetime | None, slots: Sequence[Slot]) -> None:
        """Let it be due again; `slots` say what becomes of the due times up to `last_due`.

        Nothing happens when it is not paused any more. ScheduleNotFound.
        """
        self._database.change(lambda c: schedule_changes.resume(c, id, last_due, next_due, slots))

    def reshape(
        self,
        id: str,
        *,
        overlap: Overlap,
        misfire: Misfire,
        misfire_grace_seconds: int | None,
        timeout_seconds: float | None,
        data: Json,
    ) -> None:
        """Change all of it but the document and its times; ScheduleNotFound."""
        values = {
            "overlap": overlap,
            "misfire": misfire,
            "misfire_grace_seconds": misfire_grace_seconds,
            "timeout_seconds": timeout_seconds,
            "data": data,
        }
        self._database.change(lambda c: schedule_changes.reshape(c, id, values))

    def put_off(self, id: str, error: str, next_due: datetime, failures: int, now: datetime) -> None:
        """Look at it again at that time, as it cannot be fired now; nothing when it is paused, gone or not due."""
        values = {"schedule": id, "error": error, "next": next_due, "times": failures, "now": now}
        self._database.change(lambda c: c.execute(schedule_changes.PUT_OFF, values))

    def by_source(self, source: ScheduleSource) -> list[Schedule | BrokenSchedule]:
        """Every schedule of this source, oldest first."""
        return self._database.ask(lambda c: read_each(c, schedule_lists.OF_SOURCE, {"source": source}, to_schedule))

    def due(self, now: datetime, limit: int) -> list[DueSchedule | BrokenSchedule]:
        """At most so many schedules that are due, the longest due first."""
        values = {"now": now, "limit": limit}
        return self._database.ask(lambda c: read_due(c, schedule_lists.DUE, values))

    def active(self, until: datetime, path: str | None = None, flows: str | None = None) -> list[Schedule]:
        """The schedules that are not paused and that are next due up to then, or never; without their slots.

        Of this document only, and of those that the glob means.
        """
        return self._database.ask(lambda c: schedule_lists.list_active(c, until, ScheduleFilter(path=path), flows))

    def next_due_time(self) -> datetime | None:
        """When the first of all schedules is due, None when none ever is."""
        return self._database.ask(schedule_lists.get_next_due)

    def active_since(self) -> datetime | None:
        """When the oldest schedule that is not paused was made, None when there is none."""
        return self._database.ask(schedule_lists.get_active_since)

    def fire(self, firings: Sequence[Firing], documents: Sequence[Document], now: datetime) -> Fired:
        """Write what was decided about due schedules, with their jobs, in one transaction; any number may do so.

        Left out is what somebody else decides at this moment or has decided: `expected` is not its `next_due` any more.
        """
        missing = self._documents.missing(documents, now)
        fired = self._database.change(lambda c: firing.fire(c, firings, missing, now))
        if fired.jobs:  # Else nothing may have been left to launch, and no document was stored.
            self._documents.remember(missing, now)
        return fired

    def retime(self, next_due: Callable[[Schedule], datetime | None]) -> int:
        """Give a new due time to each schedule whose cron is read in the service's TIMEZONE; how many changed.

        `next_due` is asked outside of any transaction. What is fired or paused meanwhile is left as it is, and so is a
        schedule for which it raises ValueError: the tick will say so.
        """
        changed, after = 0, ""
        while page := self._page_by_default_zone(after):
            after = page[-1].id
            rows = [row for each in page if isinstance(each, Schedule) for row in _retimed(each, next_due)]
            changed += self._retime(rows) if rows else 0
        return changed

    def prune_slots(self, before: datetime, limit: int) -> int:
        """Delete slots of due times before that one, until none or so many are gone; how many."""
        deleted = 0
        if self._database.ask(lambda c: slot_pruning.any_old(c, before)):
            while deleted < limit and (batch := self._database.change(lambda c: slot_pruning.prune_batch(c, before))):
                deleted += batch
        return deleted

    def _delete_slots(self, id: str, border: datetime) -> None:
        self._database.change(lambda c: slot_pruning.delete_up_to(c, id, border))

    def _retime(self, rows: Sequence[dict[str, Any]]) -> int:
        return self._database.change(lambda c: c.execute(schedule_changes.RETIME, rows).rowcount)

    def _page_by_default_zone(self, after: str) -> list[Schedule | BrokenSchedule]:
        values = {"after": after, "limit": PAGE}
        return self._database.ask(lambda c: read_each(c, schedule_lists.BY_DEFAULT_ZONE, values, to_schedule))

    def next_due_of(self, paths: Sequence[str]) -> dict[str, datetime | None]:
        """When each of these documents that has a schedule is next due, None when all its schedules are paused."""
        return self._database.ask(lambda c: schedule_lists.next_due_of(c, paths))

    def list(self, filter: ScheduleFilter, flows: str | None = None) -> list[Schedule]:
        """At most `filter.limit` schedules, oldest first, each with its last slot; of the documents the glob means."""
        return self._database.ask(lambda c: schedule_lists.list_schedules(c, filter, flows))


def _retimed(schedule: Schedule, next_due: Callable[[Schedule], datetime | None]) -> Iterator[dict[str, Any]]:
    with suppress(ValueError):
        wanted = next_due(schedule)
        if wanted != schedule.next_due:
            yield {"schedule": schedule.id, "expected": schedule.next_due, "next": wanted}
