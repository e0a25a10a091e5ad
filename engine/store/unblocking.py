"""Jobs that wait for a lock: whoever frees one hands it to the next, in the same transaction.

A waiting job is `blocked`, holds no lock and names in `wanted` the document whose lock it waits for. It is inserted
only under the held rows of all who hold a lock of that document (`firing.py`), so that none of them can end unseen.
"""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, exists, select, update
from sqlalchemy.exc import IntegrityError

from engine.models.job import State
from engine.store import prepared
from engine.store.tables import jobs

# A row that another holds is being cancelled or handed another lock at this moment: the one after it is next.
NEXT = (
    select(jobs.c.id)
    .where(jobs.c.wanted == bindparam("wanted"))
    .order_by(jobs.c.id)
    .limit(1)
    .with_for_update(skip_locked=True)
)
UNBLOCK = (
    update(jobs)
    .where(jobs.c.id == bindparam("job"), jobs.c.state == State.BLOCKED)
    .values(state=State.PENDING, lock=bindparam("freed"), wanted=None)
)
_holder = jobs.alias()
STRANDED = (
    select(jobs.c.wanted)
    .where(jobs.c.wanted.is_not(None), ~exists().where(_holder.c.lock == jobs.c.wanted + "#0"))
    .distinct()
)


def hand_over(connection: Connection, lock: str | None) -> None:
    """Give the lock that has just been freed in this transaction to the oldest job that waits for it."""
    if lock is not None:
        _give(connection, lock)


def list_stranded(connection: Connection) -> list[str]:
    """The documents that jobs wait for although their first lock is free."""
    return list(connection.scalars(STRANDED))


def unblock_one(connection: Connection, path: str) -> bool:
    """Give the document's first lock to the oldest job that waits for it; False when somebody else was quicker."""
    try:
        with connection.begin_nested():
            return _give(connection, f"{path}#0")
    except IntegrityError:
        return False


def _give(connection: Connection, lock: str) -> bool:
    path, _, _ = lock.rpartition("#")
    id = prepared.first_value(connection, NEXT, {"wanted": path})
    return id is not None and prepared.change(connection, UNBLOCK, {"job": id, "freed": lock}) == 1
