"""Firing: a due time's verdict, its job and the schedule's next due time, in one transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from engine.models.flow import Document
from engine.models.schedule import Fired, Firing, Slot, Verdict
from engine.store import prepared
from engine.store.documents import insert_documents
from engine.store.entering import Entry, enter
from engine.store.schedule_rows import AnyRow, slot_row
from engine.store.tables import insert_absent, schedules, slots

BATCH = 500
"""Schedules for each transaction, so that a launch never waits long for a tick."""

# Rows that another tick holds are left to it. In the order of the key, as everybody locks them.
HOLD = (
    select(schedules.c.id, schedules.c.next_due, schedules.c.last_job_id, schedules.c.last_error, schedules.c.failures)
    .where(schedules.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(schedules.c.id)
    .with_for_update(skip_locked=True)
)
DECIDED = select(slots.c.schedule_id, slots.c.due_time).where(
    slots.c.schedule_id.in_(bindparam("ids", expanding=True)), slots.c.due_time >= bindparam("first")
)
MOVE_ON = (
    update(schedules)
    .where(schedules.c.id == bindparam("schedule"))
    .values(
        last_due=bindparam("until"),
        next_due=bindparam("next"),
        last_job_id=bindparam("job"),
        last_error=bindparam("error"),
        failures=bindparam("times"),
    )
)
MISSED = (Verdict.COALESCED, Verdict.EXPIRED)


def fire(connection: Connection, firings: Sequence[Firing], documents: Sequence[Document], now: datetime) -> Fired:
    """Write the firings whose schedules still stand as they were read."""
    rows = _hold(connection, firings)
    held = [firing for firing in firings if firing.schedule_id in rows]
    if not held:
        return Fired()
    launches = _undecided(connection, [firing for firing in held if firing.job is not None])
    if launches:
        insert_documents(connection, documents, now)
    entries = enter(connection, launches, now)
    failed = [firing for firing in held if firing.error is not None]
    written = [slot_row(firing.schedule_id, slot) for firing in held for slot in firing.slots]
    written += [slot_row(firing.schedule_id, _slot_of(firing, entries[firing.schedule_id], now)) for firing in launches]
    written += [slot_row(firing.schedule_id, _failure_of(firing, now)) for firing in failed]
    if written:
        prepared.change_each(connection, insert_absent(slots, connection.dialect.name), written)
    moved = [_moved(firing, rows[firing.schedule_id], entries) for firing in held]
    prepared.change_each(connection, MOVE_ON, moved)
    return Fired(
        jobs=tuple(entry.job_id for entry in entries.values() if entry.job_id is not None),
        missed=sum(slot.count for firing in held for slot in firing.slots if slot.verdict in MISSED),
        skipped=sum(entry.job_id is None for entry in entries.values()),
        failed=tuple((firing.schedule_id, firing.error) for firing in failed if firing.error is not None),
    )


def _hold(connection: Connection, firings: Sequence[Firing]) -> dict[str, AnyRow]:
    expected = {firing.schedule_id: firing.expected for firing in firings}  # A paused one has no `next_due`.
    rows = connection.execute(HOLD, {"ids": list(expected)})
    return {row.id: row for row in rows if row.next_due == expected[row.id]}


def _undecided(connection: Connection, launches: Sequence[Firing]) -> list[Firing]:
    """Those whose due time has no slot yet. It never should have; if it has, there is no second job."""
    due_times = _due_times(launches)
    if not due_times:
        return []
    rows = connection.execute(DECIDED, {"ids": [each.schedule_id for each in launches], "first": min(due_times)})
    decided: Collection[tuple[Any, Any]] = {(row.schedule_id, row.due_time) for row in rows}
    return [each for each in launches if (each.schedule_id, each.due_time) not in decided]


def _due_times(firings: Iterable[Firing]) -> list[datetime]:
    return [firing.due_time for firing in firings if firing.due_time is not None]


def _slot_of(firing: Firing, entry: Entry, now: datetime) -> Slot:
    assert firing.due_time is not None, "a job is launched for a due time"
    return Slot(firing.due_time, entry.verdict, now, reason=entry.reason, job_id=entry.job_id)


def _failure_of(firing: Firing, now: datetime) -> Slot:
    assert firing.due_time is not None, "a launch that failed was for a due time"
    return Slot(firing.due_time, Verdict.LAUNCH_FAILED, now, reason=firing.error)


def _moved(firing: Firing, row: AnyRow, entries: dict[str, Entry]) -> dict[str, Any]:
    entry = entries.get(firing.schedule_id)
    tried = entry is not None or firing.error is not None
    return {
        "schedule": firing.schedule_id,
        "until": firing.last_due,
        "next": firing.next_due,
        "job": entry.job_id if entry and entry.job_id else row.last_job_id,
        "error": firing.error if tried else row.last_error,
        "times": firing.failures if tried else row.failures,
    }
