"""The keys to the API, each a short transaction. Of a token only a digest is kept."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, or_, select, update

from engine.errors import KeyExists, KeyNotFound
from engine.models.access import ApiKey, Role
from engine.store.database import Database
from engine.store.tables import api_keys, insert_absent

SHOWN = [api_keys.c[name] for name in ApiKey.__dataclass_fields__]
BY_PREFIX = select(*SHOWN, api_keys.c.digest).where(api_keys.c.prefix == bindparam("start"))
PAGE = select(*SHOWN).order_by(api_keys.c.id).limit(bindparam("limit")).offset(bindparam("offset"))
BY_ID = select(*SHOWN).where(api_keys.c.id == bindparam("key"))
BY_NAME = select(*SHOWN).where(api_keys.c.name_in_use == bindparam("key"))
REVOKE = (
    update(api_keys)
    .where(api_keys.c.id == bindparam("key"), api_keys.c.revoked_time.is_(None))
    .values(revoked_time=bindparam("now"), name_in_use=None)
)
TOUCH = (
    update(api_keys)
    .where(api_keys.c.id == bindparam("key"))
    .where(or_(api_keys.c.last_used_time.is_(None), api_keys.c.last_used_time <= bindparam("before")))
    .values(last_used_time=bindparam("now"))
)


class KeyStore:
    """Who holds a key, and what it opens."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def insert(self, key: ApiKey, digest: str) -> None:
        """Keep the key; KeyExists when one that is not revoked has its name."""
        row = {name: getattr(key, name) for name in ApiKey.__dataclass_fields__}
        row |= {"name_in_use": key.name, "digest": digest}
        insert = insert_absent(api_keys, self._database.dialect)
        if self._database.change(lambda c: c.execute(insert, row).rowcount) == 0:
            raise KeyExists(key.name)

    def of_prefix(self, prefix: str) -> list[tuple[ApiKey, str]]:
        """The keys that begin so, each with its digest; revoked and expired ones as well."""
        return self._database.ask(
            lambda c: [(_key(row), row.digest) for row in c.execute(BY_PREFIX, {"start": prefix})]
        )

    def revoke(self, key: str, now: datetime) -> ApiKey:
        """End the key of this id, or the one in use that has this name; once is enough. KeyNotFound."""
        return self._database.change(lambda c: _revoke(c, key, now))

    def touch(self, id: str, now: datetime, every: timedelta) -> None:
        """Note that the key is used, unless that was noted less than so long ago."""
        values = {"key": id, "now": now, "before": now - every}
        self._database.change(lambda c: c.execute(TOUCH, values))

    def list(self, limit: int, offset: int = 0) -> list[ApiKey]:
        """At most so many keys, oldest first."""
        values = {"limit": limit, "offset": offset}
        return self._database.ask(lambda c: [_key(row) for row in c.execute(PAGE, values)])


def _revoke(connection: Connection, key: str, now: datetime) -> ApiKey:
    found = (connection.execute(query, {"key": key}).first() for query in (BY_ID, BY_NAME))
    row = next((row for row in found if row is not None), None)
    if row is None:
        raise KeyNotFound(key)
    connection.execute(REVOKE, {"key": row.id, "now": now})
    return _key(connection.execute(BY_ID, {"key": row.id}).one())


def _key(row: Row[*tuple[Any, ...]]) -> ApiKey:
    fields = {name: row._mapping[name] for name in ApiKey.__dataclass_fields__}
    return ApiKey(**{**fields, "role": Role(row.role)})
