"""Jobs that have ended, as many as a figure needs, written past the engine: it would take hours."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from engine.clock import new_id, to_micros
from engine.store.database import Database

FIRST = datetime(2024, 1, 1, tzinfo=UTC)
TEAMS = 20
FLOWS = 10
"""Of each team."""
STATUSES = ("success",) * 92 + ("failed",) * 5 + ("exit", "cancelled", "skipped")
LATE = 0.001
"""The part of the jobs that ran for hours, or waited for hours."""


def fill(file: Path, count: int) -> None:
    """Make the database with so many jobs, one queued each second."""
    database = Database(f"sqlite:///{file}")
    database.upgrade()
    database.dispose()
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -400000")
    connection.execute("BEGIN")
    # Made at the end, from sorted rows: to keep a dozen of them with each row takes more than twice as long.
    indexes = connection.execute(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'jobs' AND sql IS NOT NULL"
    ).fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    connection.executemany(
        "INSERT INTO jobs (id, path, revision, state, status, priority, source, schedule_id, epoch, queued_time,"
        " start_time, end_time, has_finally, name, data, result)"
        " VALUES (?, ?, 'r', 'finished', ?, 0, 'api', ?, 1, ?, ?, ?, 0, ?, ?, ?)",
        _rows(count),
    )
    for _, sql in indexes:
        connection.execute(sql)
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def flow(team: int, number: int) -> str:
    """The path of one of the documents that the jobs ran."""
    return f"team_{team:02}/flow_{number:02}.yml"


def _rows(count: int) -> Iterator[tuple[Any, ...]]:
    dice = random.Random(1)
    second = timedelta(seconds=1)
    for number in range(count):
        queued = FIRST + number * second
        is_late = dice.random() < LATE
        start = queued + timedelta(hours=2) * (is_late and number % 2) + timedelta(milliseconds=3)
        end = start + timedelta(hours=3) * is_late + timedelta(milliseconds=dice.randrange(20, 90_000))
        path = flow(dice.randrange(TEAMS), dice.randrange(FLOWS))
        schedule = f"schedule-{dice.randrange(100)}" if number % 3 == 0 else None
        yield (
            new_id(queued), path, dice.choice(STATUSES), schedule, to_micros(queued), to_micros(start),
            to_micros(end), path, '{"a":1}', '{"a":2}',
        )  # fmt: skip
