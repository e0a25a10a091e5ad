"""Reading schedules and slots: rows that become models, each by itself, so that a broken one hides no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, bindparam, func, select
from sqlalchemy.exc import OperationalError

from engine.errors import DatabaseRefused, ScheduleNotFound
from engine.models.schedule import (
    BrokenSchedule,
    Misfire,
    Overlap,
    Schedule,
    ScheduleFilter,
    ScheduleSource,
    Slot,
    Timing,
    Verdict,
)
from engine.store.driver_errors import driver_code
from engine.store.tables import schedules, slots

AnyRow = Row[*tuple[Any, ...]]
ReadSchedule = Schedule | BrokenSchedule

UNREADABLE = (ValueError, TypeError, OverflowError, OperationalError)
FAILURES = select(schedules.c.failures).where(schedules.c.id == bindparam("schedule"))
EXISTS = select(schedules.c.id).where(schedules.c.id == bindparam("schedule"))
DUE = (
    select(schedules)
    .where(schedules.c.next_due <= bindparam("now"))
    .order_by(schedules.c.next_due)
    .limit(bindparam("limit"))
)
OF_SOURCE = select(schedules).where(schedules.c.source == bindparam("source")).order_by(schedules.c.id)
BY_DEFAULT_ZONE = (
    select(schedules)
    .where(schedules.c.id > bindparam("after"), schedules.c.next_due.is_not(None))
    .where(schedules.c.cron.is_not(None), schedules.c.timezone.is_(None))
    .order_by(schedules.c.id)
    .limit(bindparam("limit"))
)
NEXT_DUE = select(func.min(schedules.c.next_due))
ACTIVE_SINCE = select(func.min(schedules.c.created_time)).where(schedules.c.next_due.is_not(None))
SLOTS = (
    select(slots)
    .where(slots.c.schedule_id == bindparam("schedule"))
    .order_by(slots.c.due_time.desc())
    .limit(bindparam("limit"))
)
SLOTS_BEFORE = SLOTS.where(slots.c.due_time < bindparam("before"))

NEWEST_SLOT = (
    select(func.max(slots.c.due_time)).where(slots.c.schedule_id == schedules.c.id).scalar_subquery().label("newest")
)
SLOT_COLUMNS = [column.label(f"slot_{column.name}") for column in slots.c]


def get_schedule(connection: Connection, id: str) -> Schedule:
    """The schedule with its last slot; ScheduleNotFound, and DatabaseRefused when its row cannot be read."""
    found = _read_listed(connection, select(schedules, NEWEST_SLOT).where(schedules.c.id == id))
    if not found:
        raise ScheduleNotFound(id)
    match found[0]:
        case BrokenSchedule() as broken:
            raise DatabaseRefused(f"Schedule {id!r} cannot be read ({broken.error}). Delete it, and make it again.")
        case schedule:
            return schedule


def list_schedules(connection: Connection, filter: ScheduleFilter) -> list[Schedule]:
    """The page that the filter names, oldest first, each with its last slot; without those that cannot be read."""
    page = _matching(select(schedules, NEWEST_SLOT), filter).order_by(schedules.c.id)
    found = _read_listed(connection, page.limit(filter.limit).offset(filter.offset))
    return [each for each in found if isinstance(each, Schedule)]


def count_schedules(connection: Connection, filter: ScheduleFilter) -> int:
    """How many schedules the filter lets through, whatever its limit and offset."""
    return connection.scalar(_matching(select(func.count()).select_from(schedules), filter)) or 0


def get_next_due(connection: Connection) -> datetime | None:
    """When the first of all schedules is due, None when none ever is."""
    first: datetime | None = connection.scalar(NEXT_DUE)
    return first


def get_active_since(connection: Connection) -> datetime | None:
    """When the oldest schedule that is not paused was made, None when there is none."""
    since: datetime | None = connection.scalar(ACTIVE_SINCE)
    return since


def list_slots(connection: Connection, id: str, limit: int, before: datetime | None) -> list[Slot]:
    """What became of its due times before that one, newest first; ScheduleNotFound."""
    if connection.execute(EXISTS, {"schedule": id}).first() is None:
        raise ScheduleNotFound(id)
    query = SLOTS if before is None else SLOTS_BEFORE
    rows = connection.execute(query, {"schedule": id, "limit": limit, "before": before})
    return [to_slot(row) for row in rows]


def read_each(
    connection: Connection,
    query: Select[Any],
    parameters: dict[str, Any],
    make: Callable[[AnyRow], Schedule] | None = None,
    id: ColumnElement[str] = schedules.c.id,
) -> list[ReadSchedule]:
    """The schedules that the query selects; a BrokenSchedule in the place of each that cannot be read."""
    make = make or to_schedule
    try:
        return [make(row) for row in connection.execute(query, parameters)]
    except UNREADABLE as error:
        _must_be_about_a_row(error)
    ids = connection.scalars(query.with_only_columns(id), parameters).all()
    return [_read_one(connection, query.where(id == each), parameters, make, each) for each in ids]


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


def _read_listed(connection: Connection, query: Select[Any]) -> Sequence[ReadSchedule]:
    # The page first and the slots to it: a join before the limit would have a server read every slot there is.
    page = query.subquery()
    is_newest = and_(slots.c.schedule_id == page.c.id, slots.c.due_time == page.c.newest)
    listed = select(page, *SLOT_COLUMNS).outerjoin_from(page, slots, is_newest).order_by(page.c.id)
    return read_each(connection, listed, {}, _to_listed, page.c.id)


def _to_listed(row: AnyRow) -> Schedule:
    last = None if row.slot_schedule_id is None else to_slot(row, "slot_")
    return replace(to_schedule(row), last_slot=last)


def _read_one(
    connection: Connection,
    query: Select[Any],
    parameters: dict[str, Any],
    make: Callable[[AnyRow], Schedule],
    id: str,
) -> ReadSchedule:
    try:
        return make(connection.execute(query, parameters).one())
    except UNREADABLE as error:
        _must_be_about_a_row(error)
        failures = connection.scalar(FAILURES, {"schedule": id})
        return BrokenSchedule(id, f"its row cannot be read: {error}", failures if isinstance(failures, int) else 0)


def _must_be_about_a_row(error: Exception) -> None:
    # Python's SQLite driver says so, without a code of SQLite's, when a text is not UTF-8.
    if isinstance(error, OperationalError) and driver_code(error) is not None:
        raise error


def _matching(query: Select[Any], filter: ScheduleFilter) -> Select[Any]:
    return query if filter.path is None else query.where(schedules.c.path == filter.path)
