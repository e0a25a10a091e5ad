"""The audit: a row for each change, found by who, what and when."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, select

from engine.clock import id_floor
from engine.models.access import Role
from engine.models.audit import AuditFilter, AuditRow, Change
from engine.store import prepared
from engine.store.columns import Key
from engine.store.database import Database
from engine.store.tables import audit

BATCH = 500
TEXTS = ("actor", "action", "target", "result_id", "address")
LENGTHS = {column.name: column.type.length for column in audit.c if isinstance(column.type, Key)}

INSERT = audit.insert()
OLDEST = select(audit.c.id).where(audit.c.id < bindparam("floor")).order_by(audit.c.id)
SOME = delete(audit).where(audit.c.id.in_(bindparam("ids", expanding=True)))


class AuditStore:
    """What was changed, by whom."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def insert(self, row: AuditRow) -> None:
        """Keep the row."""
        self._database.change(lambda c: insert_audit(c, row))

    def prune(self, before: datetime, limit: int) -> int:
        """Delete at most so many rows of changes before that time, oldest first, in batches; how many."""
        deleted = 0
        while ids := self._oldest(before, min(BATCH, limit - deleted)):
            deleted += self._delete(ids)
        return deleted

    def _oldest(self, before: datetime, limit: int) -> list[str]:
        query = OLDEST.limit(limit)
        return self._database.ask(lambda c: [*c.scalars(query, {"floor": id_floor(before)})])

    def _delete(self, ids: list[str]) -> int:
        return self._database.change(lambda c: c.execute(SOME, {"ids": ids}).rowcount)

    def list(self, filter: AuditFilter) -> list[AuditRow]:
        """At most `filter.limit` rows, newest first."""
        newest = _matching(select(audit), filter).order_by(audit.c.id.desc()).limit(filter.limit).offset(filter.offset)
        return self._database.ask(lambda c: [_row(row) for row in c.execute(newest)])


def insert_audit(connection: Connection, row: AuditRow) -> None:
    """Insert the row, its texts cut to what their columns hold."""
    change = row.change
    texts = {name: _cut(getattr(change, name), LENGTHS[name]) for name in TEXTS}
    prepared.change(connection, INSERT, {"id": row.id, "time": row.time, "role": change.role, **texts})


def _cut(text: str | None, length: int) -> str | None:
    return text if text is None or len(text) <= length else f"{text[: length - 1]}…"


def _matching(query: Select[Any], filter: AuditFilter) -> Select[Any]:
    for name in ("actor", "action"):
        if (value := getattr(filter, name)) is not None:
            query = query.where(audit.c[name] == value)
    # Ids are in the order of time, down to the millisecond: they lead to the place, and the time decides there.
    # `~` sorts after whatever an id has there.
    if filter.time_from is not None:
        query = query.where(audit.c.id >= id_floor(filter.time_from), audit.c.time >= filter.time_from)
    if filter.time_to is not None:
        query = query.where(audit.c.id < f"{id_floor(filter.time_to)}~", audit.c.time < filter.time_to)
    return query


def _row(row: Any) -> AuditRow:
    change = Change(row.actor, Role(row.role), row.action, row.target, row.result_id, row.address)
    return AuditRow(row.id, row.time, change)
