"""Which jobs hold the lock of their flow."""

from __future__ import annotations

from sqlalchemy import Connection, select

from engine.models.job import State
from engine.models.lock import Lock
from engine.store.tables import jobs

HOLDERS = (
    select(jobs.c.path, jobs.c.name, jobs.c.id, jobs.c.state, jobs.c.queued_time, jobs.c.start_time)
    .where(jobs.c.lock.is_not(None))
    .order_by(jobs.c.lock)
)


def list_locks(connection: Connection) -> list[Lock]:
    """The locks that are held, by path."""
    return [
        Lock(row.path, row.name, row.id, State(row.state), row.queued_time, row.start_time)
        for row in connection.execute(HOLDERS)
    ]
