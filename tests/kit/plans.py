"""How SQLite goes about what a verb of the jobs asks of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import event

from engine.store.database import Database
from engine.store.jobs import JobStore


def plans(database: Database, verb: Callable[[JobStore], object]) -> list[str]:
    """SQLite's plan for each question that the verb sends."""
    seen: list[str] = []

    def keep(_connection: Any, cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        if statement.startswith(("SELECT", "WITH")):
            cursor.execute("EXPLAIN QUERY PLAN " + statement, parameters)
            seen.append(" / ".join(row[3] for row in cursor.fetchall()))

    event.listen(database.engine, "before_cursor_execute", keep)
    verb(JobStore(database))
    event.remove(database.engine, "before_cursor_execute", keep)
    return seen
