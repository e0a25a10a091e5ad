"""What callers ask for under a key of their own: kept beside what was made for them, in the same transaction."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, delete, select

from engine.models.once import Made, Once
from engine.store.database import Database
from engine.store.tables import idempotency_keys, insert_absent

KEPT = timedelta(hours=24)
BATCH = 500

MADE = select(idempotency_keys.c.result_id, idempotency_keys.c.request).where(
    idempotency_keys.c.digest == bindparam("key"), idempotency_keys.c.time > bindparam("kept")
)
DELETE_OLD = delete(idempotency_keys).where(
    idempotency_keys.c.digest == bindparam("key"), idempotency_keys.c.time <= bindparam("kept")
)
OLDEST = (
    select(idempotency_keys.c.digest)
    .where(idempotency_keys.c.time <= bindparam("kept"))
    .order_by(idempotency_keys.c.time)
    .limit(bindparam("limit"))
)
SOME = delete(idempotency_keys).where(
    idempotency_keys.c.digest.in_(bindparam("digests", expanding=True)), idempotency_keys.c.time <= bindparam("kept")
)


class AskedBefore(Exception):
    """Somebody was quicker with the same key: nothing is to be made. Not for users, who get what was made."""


class OnceStore:
    """What was made under which key within the last 24 hours."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def made(self, once: Once, now: datetime) -> Made | None:
        """What the key has been used for, None when it is free."""
        return self._database.ask(lambda c: _made(c, once, now))

    def prune(self, now: datetime, limit: int) -> int:
        """Forget at most so many keys that are free again, in batches; how many."""
        deleted = 0
        while digests := self._oldest(now, min(BATCH, limit - deleted)):
            deleted += self._delete(digests, now)
        return deleted

    def _oldest(self, now: datetime, limit: int) -> list[str]:
        return self._database.ask(lambda c: [*c.scalars(OLDEST, {"kept": now - KEPT, "limit": limit})])

    def _delete(self, digests: list[str], now: datetime) -> int:
        return self._database.change(lambda c: c.execute(SOME, {"digests": digests, "kept": now - KEPT}).rowcount)


def use_key(connection: Connection, once: Once, id: str, now: datetime) -> None:
    """Keep what is made under the key; AskedBefore when it is taken.

    The first thing in its transaction: whoever comes second waits here for the first one's commit, before it meets a
    lock or a unique name that the first one has taken.
    """
    row = {"digest": once.digest, "request": once.request, "result_id": id, "time": now}
    insert = insert_absent(idempotency_keys, connection.dialect.name)
    while connection.execute(insert, row).rowcount == 0:
        if connection.execute(DELETE_OLD, {"key": once.digest, "kept": now - KEPT}).rowcount == 0:
            raise AskedBefore


def _made(connection: Connection, once: Once, now: datetime) -> Made | None:
    row = connection.execute(MADE, {"key": once.digest, "kept": now - KEPT}).first()
    return None if row is None else Made(row.result_id, row.request)
