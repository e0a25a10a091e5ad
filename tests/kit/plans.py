"""How SQLite goes about what a verb of the jobs asks of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from sqlalchemy import Connection, event

from engine.store import prepared
from engine.store.database import Database
from engine.store.jobs import JobStore


def plans(database: Database, verb: Callable[[JobStore], object]) -> list[str]:
    """SQLite's plan for each question that the verb sends."""
    seen: list[str] = []

    def keep(_connection: Any, cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        if statement.startswith(("SELECT", "WITH")):
            cursor.execute("EXPLAIN QUERY PLAN " + statement, parameters)
            seen.append(" / ".join(row[3] for row in cursor.fetchall()))

    def keep_prepared(self: Any, connection: Connection, row: Any) -> Any:
        keep(None, connection.connection.cursor(), self._text, self._values(row), None, False)
        return execute(self, connection, row)

    execute = prepared._Prepared.execute  # What is prepared goes to the driver, and no event tells of it.
    event.listen(database.engine, "before_cursor_execute", keep)
    with patch.object(prepared._Prepared, "execute", keep_prepared):
        verb(JobStore(database))
    event.remove(database.engine, "before_cursor_execute", keep)
    return seen
