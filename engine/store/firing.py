"""Firing: a due time's verdict, its job and the schedule's next due time, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Update, bindparam, func, null, select, update

from engine.models.flow import Document
from engine.models.schedule import Fired, Firing, Slot, Verdict
from engine.store import prepared
from engine.store.documents import insert_documents
from engine.store.entering import Entry, enter
from engine.store.schedule_rows import slot_row
from engine.store.tables import insert_absent, schedules, slots

# Rows that another tick holds are left to it. In the order of the key, as everybody locks them.
HOLD = (
    select(schedules.c.id, schedules.c.next_due)
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
    .values(last_due=bindparam("until"), next_due=bindparam("next"), owed=null())
)
LAUNCHED = MOVE_ON.values(
    last_job_id=func.coalesce(bindparam("job", type_=schedules.c.last_job_id.type), schedules.c.last_job_id),
    last_error=None,
    failures=0,
)
FAILED = MOVE_ON.values(last_error=bindparam("error"), failures=bindparam("times"))
MISSED = (Verdict.COALESCED, Verdict.EXPIRED)


def fire(connection: Connection, firings: Sequence[Firing], documents: Sequence[Document], now: datetime) -> Fired:
    """Write the firings whose schedules still stand as they were read."""
    held = _hold(connection, firings)
    if not held:
        return Fired()
    launches = _undecided(connection, [firing for firing in held if firing.job is not None])
    if launches:
        insert_documents(connection, documents, now)
    entries = enter(connection, launches, now)
    failed = [firing for firing in held if firing.error is not None]
    told = [slot_row(firing.schedule_id, slot) for firing in held for slot in firing.slots]
    told += [_slot_of(firing, entries[firing.schedule_id], now) for firing in launches]
    told += [slot_row(firing.schedule_id, _failure_of(firing, now)) for firing in failed]
    if told:
        prepared.change_each(connection, insert_absent(slots, connection.dialect.name), told)
    _move_on(connection, held, entries)
    return Fired(
        jobs=tuple(entry.job_id for entry in entries.values() if entry.job_id is not None),
        missed=sum(slot.count for firing in held for slot in firing.slots if slot.verdict in MISSED),
        skipped=sum(entry.job_id is None for entry in entries.values()),
        failed=tuple((firing.schedule_id, firing.error) for firing in failed if firing.error is not None),
    )


def _hold(connection: Connection, firings: Sequence[Firing]) -> list[Firing]:
    """Those whose rows are ours until the commit, and as they were read. A paused one has no `next_due`."""
    rows = prepared.all_rows(connection, HOLD, {"ids": [firing.schedule_id for firing in firings]})
    next_due = {row[0]: row[1] for row in rows}
    return [firing for firing in firings if next_due.get(firing.schedule_id) == firing.expected]


def _undecided(connection: Connection, launches: Sequence[Firing]) -> list[Firing]:
    """Those whose due time has no slot yet. It never should have; if it has, there is no second job."""
    if not launches:
        return []
    first = min(_due_time(firing) for firing in launches)
    values = {"ids": [firing.schedule_id for firing in launches], "first": first}
    decided = {(id, due_time) for id, due_time in prepared.all_rows(connection, DECIDED, values)}
    return [each for each in launches if (each.schedule_id, each.due_time) not in decided]


def _move_on(connection: Connection, held: Sequence[Firing], entries: Mapping[str, Entry]) -> None:
    moved: dict[Update, list[dict[str, Any]]] = {LAUNCHED: [], FAILED: [], MOVE_ON: []}
    for firing in held:
        row = {"schedule": firing.schedule_id, "until": firing.last_due, "next": firing.next_due}
        entry = entries.get(firing.schedule_id)
        if entry is not None:
            moved[LAUNCHED].append({**row, "job": entry.job_id})
        elif firing.error is not None:
            moved[FAILED].append({**row, "error": firing.error, "times": firing.failures})
        else:
            moved[MOVE_ON].append(row)
    for statement, rows in moved.items():
        if rows:
            prepared.change_each(connection, statement, rows)


def _slot_of(firing: Firing, entry: Entry, now: datetime) -> dict[str, Any]:
    slot = Slot(_due_time(firing), entry.verdict, now, reason=entry.reason, job_id=entry.job_id)
    return slot_row(firing.schedule_id, slot)


def _failure_of(firing: Firing, now: datetime) -> Slot:
    return Slot(_due_time(firing), Verdict.LAUNCH_FAILED, now, reason=firing.error)


def _due_time(firing: Firing) -> datetime:
    assert firing.due_time is not None, "a job is launched for a due time"
    return firing.due_time
