"""How SQLite goes about what a verb of a store asks of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing

from traced import traced

from engine.store.database import Database


def plans(database: Database, verb: Callable[[], object]) -> list[str]:
    """SQLite's plan for each question that the verb asks."""
    with traced(database) as statements:
        verb()
    questions = [statement for statement in statements if statement.startswith(("SELECT", "WITH"))]
    with closing(sqlite3.connect(str(database.file))) as connection:
        found = [connection.execute(f"EXPLAIN QUERY PLAN {question}").fetchall() for question in questions]
    return [" / ".join(row[3] for row in rows) for rows in found]
