"""Schedules and slots as rows: read each by itself, so that a broken one hides no other, and written."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from sqlalchemy import BigInteger, ColumnElement, Connection, Row, Select, bindparam, select, type_coerce
from sqlalchemy.exc import OperationalError

from engine.clock import EPOCH, from_micros
from engine.models.schedule import (
    BrokenSchedule,
    DueSchedule,
    Misfire,
    Overlap,
    Schedule,
    ScheduleSource,
    Slot,
    Standing,
    Timing,
    Verdict,
)
from engine.store import prepared
from engine.store.driver_errors import driver_code
from engine.store.tables import schedules

AnyRow = Row[*tuple[Any, ...]]
ReadSchedule = Schedule | BrokenSchedule
ReadDue = DueSchedule | BrokenSchedule
Read = TypeVar("Read")

OVERLAPS = {overlap.value: overlap for overlap in Overlap}

UNREADABLE = (ValueError, TypeError, OverflowError, OperationalError)
STANDING = [
    *(schedules.c.cron, schedules.c.every_seconds, schedules.c.timezone),
    *(schedules.c.misfire, schedules.c.misfire_grace_seconds, schedules.c.failures),
    *(type_coerce(schedules.c[name], BigInteger).label(name) for name in ("last_due", "next_due", "owed", "anchor")),
]
"""The columns of a `Standing`, its times as they are stored: most of those that are due together have the same."""
DUE_COLUMNS = [schedules.c[name] for name in ("id", "path", "overlap", "timeout_seconds", "data")] + STANDING
FAILURES = select(schedules.c.failures).where(schedules.c.id == bindparam("schedule"))


def read_each(
    connection: Connection,
    query: Select[Any],
    parameters: dict[str, Any],
    make: Callable[[AnyRow], Read],
    id: ColumnElement[str] = schedules.c.id,
    rows: Callable[[Connection, Select[Any], dict[str, Any]], Iterable[Any]] = Connection.execute,
) -> list[Read | BrokenSchedule]:
    """What `make` makes of the rows that the query selects; a BrokenSchedule in the place of each it cannot read.

    `rows` asks for all of them.
    """
    try:
        return [make(row) for row in rows(connection, query, parameters)]
    except UNREADABLE as error:
        _must_be_about_a_row(error)
    ids = connection.scalars(query.with_only_columns(id), parameters).all()
    each_read = (_read_one(connection, query.where(id == each), parameters, make, each) for each in ids)
    return [read for read in each_read if read is not None]


def to_schedule(row: AnyRow) -> Schedule:
    """A schedule of a row with all its columns; ValueError when a word in it is not known."""
    return Schedule(
        id=row.id,
        path=row.path,
        timing=Timing(row.anchor, row.cron, row.every_seconds, row.timezone),
        overlap=Overlap(row.overlap),
        misfire=Misfire(row.misfire),
        misfire_grace_seconds=row.misfire_grace_seconds,
        timeout_seconds=row.timeout_seconds,
        data=row.data,
        source=ScheduleSource(row.source),
        is_paused=row.is_paused,
        created_time=row.created_time,
        last_due=row.last_due,
        next_due=row.next_due,
        last_job_id=row.last_job_id,
        last_error=row.last_error,
        failures=row.failures,
        owed=row.owed,
    )


def read_due(connection: Connection, query: Select[Any], parameters: dict[str, Any]) -> list[ReadDue]:
    """The schedules that the query selects, by `DUE_COLUMNS`; those that stand alike share a `Standing`."""
    standings: dict[tuple[Any, ...], Standing] = {}

    def make(row: AnyRow) -> DueSchedule:
        id, path, overlap, timeout_seconds, data, cron, *_, anchor = row
        key = (*row[5:-1], anchor if cron is None else 0)
        standing = standings.get(key)
        if standing is None:
            standing = standings[key] = _standing(key)
        return DueSchedule(id, path, OVERLAPS.get(overlap) or Overlap(overlap), timeout_seconds, data, standing)

    return read_each(connection, query, parameters, make, rows=prepared.all_rows)


def _standing(key: tuple[Any, ...]) -> Standing:
    """Of its columns; the anchor says nothing of a cron, so that those with different ones may stand alike."""
    cron, every_seconds, timezone, misfire, misfire_grace_seconds, failures, last_due, next_due, owed, anchor = key
    return Standing(
        timing=Timing(from_micros(anchor), cron, every_seconds, timezone),
        misfire=Misfire(misfire),
        misfire_grace_seconds=misfire_grace_seconds,
        last_due=from_micros(last_due),
        next_due=from_micros(next_due),
        failures=failures,
        owed=None if owed is None else from_micros(owed),
    )


def to_slot(row: AnyRow, prefix: str = "") -> Slot:
    """A slot of a row whose columns have that prefix."""
    cell = {name.removeprefix(prefix): value for name, value in row._mapping.items() if name.startswith(prefix)}
    return Slot(
        due_time=cell["due_time"],
        verdict=Verdict(cell["verdict"]),
        tick_time=cell["tick_time"],
        reason=cell["reason"],
        job_id=cell["job_id"],
        count=cell["times"],
        first_due_time=cell["first_due_time"],
    )


def stand_in(broken: BrokenSchedule) -> Schedule:
    """What a list shows of a schedule whose row cannot be read: its id, the error, and that nothing will run."""
    return Schedule(
        id=broken.id,
        path="",
        timing=Timing(EPOCH),
        overlap=Overlap.SKIP,
        misfire=Misfire.LATEST,
        misfire_grace_seconds=None,
        timeout_seconds=None,
        data=None,
        source=ScheduleSource.API,
        is_paused=True,
        created_time=EPOCH,
        last_due=EPOCH,
        next_due=None,
        last_error=f"{broken.error}. Delete it, and make it again.",
        failures=broken.failures,
    )


def schedule_row(schedule: Schedule, identity: str) -> dict[str, Any]:
    """A new schedule's row."""
    timing = schedule.timing
    return {
        "id": schedule.id,
        "path": schedule.path,
        "identity": identity,
        "cron": timing.cron,
        "every_seconds": timing.every_seconds,
        "timezone": timing.timezone,
        "overlap": schedule.overlap,
        "misfire": schedule.misfire,
        "misfire_grace_seconds": schedule.misfire_grace_seconds,
        "timeout_seconds": schedule.timeout_seconds,
        "source": schedule.source,
        "is_paused": schedule.is_paused,
        "created_time": schedule.created_time,
        "anchor": timing.anchor,
        "last_due": schedule.last_due,
        "next_due": None if schedule.is_paused else schedule.next_due,
        "owed": schedule.owed,
        "last_job_id": schedule.last_job_id,
        "failures": schedule.failures,
        "last_error": schedule.last_error,
        "data": schedule.data,
    }


def slot_row(schedule_id: str, slot: Slot) -> dict[str, Any]:
    """A slot's row."""
    return {
        "schedule_id": schedule_id,
        "due_time": slot.due_time,
        "first_due_time": slot.first_due_time,
        "times": slot.count,
        "verdict": slot.verdict,
        "tick_time": slot.tick_time,
        "job_id": slot.job_id,
        "reason": slot.reason,
    }


def _read_one(
    connection: Connection,
    query: Select[Any],
    parameters: dict[str, Any],
    make: Callable[[AnyRow], Read],
    id: str,
) -> Read | BrokenSchedule | None:
    try:
        row = connection.execute(query, parameters).first()
        return None if row is None else make(row)  # None: it was deleted or fired since its id was read.
    except UNREADABLE as error:
        _must_be_about_a_row(error)
        failures = connection.scalar(FAILURES, {"schedule": id})
        return BrokenSchedule(id, f"its row cannot be read: {error}", failures if isinstance(failures, int) else 0)


def _must_be_about_a_row(error: Exception) -> None:
    # Python's SQLite driver says so, without a code of SQLite's, when a text is not UTF-8.
    if isinstance(error, OperationalError) and driver_code(error) is not None:
        raise error
