"""SQLite stores for tests of what uses one: upgraded once, copied for each test."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from engine.store.database import Database


@cache
def upgraded_sqlite() -> bytes:
    """An upgraded, empty database file."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/jobs.sqlite")
        database.upgrade()
        database.dispose()
        return (Path(folder) / "jobs.sqlite").read_bytes()


def sqlite_database(file: Path) -> Database:
    """An upgraded and empty database in that file."""
    file.write_bytes(upgraded_sqlite())
    return Database(f"sqlite:///{file}")
