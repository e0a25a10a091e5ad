"""Deleting slots, those of the oldest due times first, a short transaction at a time."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, select

from engine.store.tables import slots

BATCH = 500

BY_DUE_TIME = select(slots.c.due_time).where(slots.c.due_time < bindparam("before")).order_by(slots.c.due_time).limit(1)
BEYOND_BATCH = BY_DUE_TIME.offset(BATCH)
OF_DUE_TIME = (
    select(slots.c.schedule_id).where(slots.c.due_time == bindparam("due")).order_by(slots.c.schedule_id).limit(BATCH)
)
OF_SCHEDULE = (
    select(slots.c.due_time).where(slots.c.schedule_id == bindparam("schedule")).order_by(slots.c.due_time).limit(1)
)
UP_TO = delete(slots).where(slots.c.schedule_id == bindparam("schedule"), slots.c.due_time <= bindparam("border"))
BEFORE = delete(slots).where(slots.c.due_time < bindparam("before"))
SOME_OF_DUE_TIME = delete(slots).where(
    slots.c.due_time == bindparam("due"), slots.c.schedule_id.in_(bindparam("ids", expanding=True))
)


def any_old(connection: Connection, before: datetime) -> bool:
    """Whether there is a slot of a due time before that one."""
    return connection.scalar(BY_DUE_TIME, {"before": before}) is not None


def prune_batch(connection: Connection, before: datetime) -> int:
    """Delete at most `BATCH` slots of due times before that one; how many, 0 when there is none."""
    oldest = connection.scalar(BY_DUE_TIME, {"before": before})
    if oldest is None:
        return 0
    border = connection.scalar(BEYOND_BATCH, {"before": before}) or before
    if border > oldest:
        return connection.execute(BEFORE, {"before": border}).rowcount
    ids = list(connection.scalars(OF_DUE_TIME, {"due": oldest}))
    return connection.execute(SOME_OF_DUE_TIME, {"due": oldest, "ids": ids}).rowcount


def end_of_batch(connection: Connection, schedule_id: str) -> datetime | None:
    """The due time of the schedule's slot that fills a batch, counted from the oldest; None when there are fewer."""
    border: datetime | None = connection.scalar(OF_SCHEDULE.offset(BATCH - 1), {"schedule": schedule_id})
    return border


def delete_up_to(connection: Connection, schedule_id: str, border: datetime) -> None:
    """Delete the schedule's slots of due times up to that one."""
    connection.execute(UP_TO, {"schedule": schedule_id, "border": border})
