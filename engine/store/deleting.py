"""Deleting jobs that have ended; their steps and logs go with them by foreign key."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, select

from engine.clock import id_floor
from engine.errors import JobActive
from engine.models.job import State, Status
from engine.store.job_rows import get_state
from engine.store.tables import jobs

BATCH = 500
"""Jobs for each transaction, so that a launch never waits long for a clean-up."""

ONE = delete(jobs).where(jobs.c.id == bindparam("job"), jobs.c.state == State.FINISHED)
MANY = delete(jobs).where(jobs.c.id.in_(bindparam("ids", expanding=True)), jobs.c.state == State.FINISHED)


def delete_job(connection: Connection, id: str) -> None:
    """Delete a job that has ended; JobActive, JobNotFound."""
    if connection.execute(ONE, {"job": id}).rowcount == 0:
        state = get_state(connection, id)
        raise JobActive(f"Job {id} is {state}: cancel it and wait for its end before you delete it.")


def delete_batch(connection: Connection, before: datetime | None, state: State | None, status: Status | None) -> int:
    """Delete at most `BATCH` jobs that ended before that time and match; how many."""
    if state not in (None, State.FINISHED):
        return 0
    oldest = _oldest(before, status).limit(BATCH).with_for_update(skip_locked=True)
    ids = list(connection.scalars(oldest))
    return connection.execute(MANY, {"ids": ids}).rowcount if ids else 0


def beyond(moment: datetime) -> str:
    """What the id of every job that was queued before this moment, down to the microsecond, is below."""
    return id_floor(moment + timedelta(milliseconds=1))


def _oldest(before: datetime | None, status: Status | None) -> Select[Any]:
    ended = jobs.c.state == State.FINISHED if status is None else jobs.c.status == status
    oldest = select(jobs.c.id).where(ended).order_by(jobs.c.id)
    if before is None:
        return oldest
    # A job was queued before it ended, in the same millisecond at most: the walk is over where the ids are too young.
    return oldest.where(jobs.c.end_time < before, jobs.c.id < beyond(before))
