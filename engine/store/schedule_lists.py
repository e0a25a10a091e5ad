"""Which schedules, and which slots of one: the selects that are written once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, false, func, or_, select

from engine.errors import DatabaseRefused, ScheduleNotFound
from engine.models.schedule import BrokenSchedule, Schedule, ScheduleFilter, Slot
from engine.store.globs import path_matches
from engine.store.schedule_rows import DUE_COLUMNS, AnyRow, ReadSchedule, read_each, stand_in, to_schedule, to_slot
from engine.store.tables import schedules, slots

EXISTS = select(schedules.c.id).where(schedules.c.id == bindparam("schedule"))
DUE = (
    select(*DUE_COLUMNS)
    .where(schedules.c.next_due <= bindparam("now"))
    .order_by(schedules.c.next_due)
    .limit(bindparam("limit"))
)
NOT_AFTER = (
    select(schedules)
    .where(schedules.c.is_paused == false())
    .where(or_(schedules.c.next_due <= bindparam("until"), schedules.c.next_due.is_(None)))
    .order_by(schedules.c.id)
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
NEXT_DUE_OF = (
    select(schedules.c.path, func.min(schedules.c.next_due).label("next_due"))
    .where(schedules.c.path.in_(bindparam("paths", expanding=True)))
    .group_by(schedules.c.path)
)
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


def list_schedules(connection: Connection, filter: ScheduleFilter, flows: str | None) -> list[Schedule]:
    """The page that the filter names, oldest first, each with its last slot; one that cannot be read says so.

    Only those of the documents that the glob `flows` means.
    """
    page = _matching(select(schedules, NEWEST_SLOT), filter, flows, connection.dialect.name).order_by(schedules.c.id)
    found = _read_listed(connection, page.limit(filter.limit).offset(filter.offset))
    return [stand_in(each) if isinstance(each, BrokenSchedule) else each for each in found]


def list_active(connection: Connection, until: datetime, filter: ScheduleFilter, flows: str | None) -> list[Schedule]:
    """Those that are not paused and that are next due up to then, or never; without their slots, oldest first."""
    query = _matching(NOT_AFTER, filter, flows, connection.dialect.name)
    found = read_each(connection, query, {"until": until}, to_schedule)
    return [each for each in found if isinstance(each, Schedule)]


def count_schedules(connection: Connection, filter: ScheduleFilter, flows: str | None) -> int:
    """How many schedules the filter lets through, whatever its limit and offset."""
    number = select(func.count()).select_from(schedules)
    return connection.scalar(_matching(number, filter, flows, connection.dialect.name)) or 0


def get_next_due(connection: Connection) -> datetime | None:
    """When the first of all schedules is due, None when none ever is."""
    first: datetime | None = connection.scalar(NEXT_DUE)
    return first


def next_due_of(connection: Connection, paths: Sequence[str]) -> dict[str, datetime | None]:
    """When each of these documents that has a schedule is next due."""
    rows = connection.execute(NEXT_DUE_OF, {"paths": list(paths)}).all() if paths else []
    return {row.path: row.next_due for row in rows}


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


def _read_listed(connection: Connection, query: Select[Any]) -> Sequence[ReadSchedule]:
    # The page first and the slots to it: a join before the limit would have a server read every slot there is.
    page = query.subquery()
    is_newest = and_(slots.c.schedule_id == page.c.id, slots.c.due_time == page.c.newest)
    listed = select(page, *SLOT_COLUMNS).outerjoin_from(page, slots, is_newest).order_by(page.c.id)
    return read_each(connection, listed, {}, _to_listed, page.c.id)


def _to_listed(row: AnyRow) -> Schedule:
    last = None if row.slot_schedule_id is None else to_slot(row, "slot_")
    return replace(to_schedule(row), last_slot=last)


def _matching(query: Select[Any], filter: ScheduleFilter, flows: str | None, dialect: str) -> Select[Any]:
    if filter.path is not None:
        query = query.where(schedules.c.path == filter.path)
    return query if flows is None else query.where(path_matches(schedules.c.path, flows, dialect))
