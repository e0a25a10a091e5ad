"""Changing schedules one at a time: made, paused, resumed, reshaped, put off."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, bindparam, delete, false, select, true, update

from engine.errors import ScheduleExists, ScheduleNotFound
from engine.models.once import Once
from engine.models.schedule import Schedule, Slot
from engine.store.once import use_key
from engine.store.schedule_lists import EXISTS
from engine.store.schedule_rows import schedule_row, slot_row
from engine.store.tables import insert_absent, schedules, slots

THIS = schedules.c.id == bindparam("schedule")
OF_IDENTITY = select(schedules.c.id).where(schedules.c.identity == bindparam("identity"))
DELETE = delete(schedules).where(THIS)
PAUSE = (
    update(schedules)
    .where(THIS, schedules.c.is_paused == false(), schedules.c.next_due.is_not_distinct_from(bindparam("expected")))
    .values(is_paused=True, last_due=bindparam("until"), next_due=None, owed=bindparam("open"))
)
RESUME = (
    update(schedules)
    .where(THIS, schedules.c.is_paused == true())
    .values(
        is_paused=False,
        last_due=bindparam("until"),
        next_due=bindparam("next"),
        failures=0,
        last_error=None,
    )
)
PUT_OFF = (
    update(schedules)
    .where(THIS, schedules.c.is_paused == false(), schedules.c.next_due <= bindparam("now"))
    .values(next_due=bindparam("next"), last_error=bindparam("error"), failures=bindparam("times"))
)
RETIME = (
    update(schedules)
    .where(THIS, schedules.c.next_due == bindparam("expected"))
    .values(next_due=bindparam("next"))
    .execution_options(preserve_rowcount=True)
)


def insert_schedule(connection: Connection, schedule: Schedule, once: Once | None = None) -> None:
    """Insert the schedule; AskedBefore, ScheduleExists names the one of the same document and timing."""
    if once is not None:
        use_key(connection, once, schedule.id, schedule.created_time)
    row = schedule_row(schedule, identity_of(schedule))
    if connection.execute(insert_absent(schedules, connection.dialect.name), row).rowcount == 0:
        raise ScheduleExists(connection.scalar(OF_IDENTITY, {"identity": row["identity"]}))


def identity_of(schedule: Schedule) -> str:
    """What no two schedules share: a digest of the document's path and of its times."""
    return sha256(f"{schedule.path}\0{schedule.timing.identity}".encode("utf-8", "surrogatepass")).hexdigest()


def delete_schedule(connection: Connection, id: str) -> None:
    """Delete the schedule, and its slots by foreign key; ScheduleNotFound."""
    if connection.execute(DELETE, {"schedule": id}).rowcount == 0:
        raise ScheduleNotFound(id)


def pause(
    connection: Connection, schedule: Schedule, last_due: datetime, owed: datetime | None, decided: Sequence[Slot]
) -> bool:
    """Keep every due time from now on undecided; False when it does not stand as it was read. ScheduleNotFound."""
    values = {"schedule": schedule.id, "expected": schedule.next_due, "until": last_due, "open": owed}
    if connection.execute(PAUSE, values).rowcount == 0:
        must_exist(connection, schedule.id)
        return False
    _write_slots(connection, schedule.id, decided)
    return True


def resume(
    connection: Connection, id: str, last_due: datetime, next_due: datetime | None, decided: Sequence[Slot]
) -> None:
    """End the pause; nothing when it has ended already. ScheduleNotFound."""
    if connection.execute(RESUME, {"schedule": id, "until": last_due, "next": next_due}).rowcount == 0:
        must_exist(connection, id)
    else:
        _write_slots(connection, id, decided)


def reshape(connection: Connection, id: str, values: dict[str, Any]) -> None:
    """Set these columns; ScheduleNotFound."""
    must_exist(connection, id)
    connection.execute(update(schedules).where(schedules.c.id == id).values(**values))


def must_exist(connection: Connection, id: str) -> None:
    """ScheduleNotFound when there is none of this id."""
    if connection.execute(EXISTS, {"schedule": id}).first() is None:
        raise ScheduleNotFound(id)


def _write_slots(connection: Connection, id: str, decided: Sequence[Slot]) -> None:
    if decided:
        rows = [slot_row(id, slot) for slot in decided]
        connection.execute(insert_absent(slots, connection.dialect.name), rows)
