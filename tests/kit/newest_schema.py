"""What all migrations together make of an empty SQLite file; run this to write it down after one was added."""

from __future__ import annotations

import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from engine.store.database import Database
from engine.store.upgrading import NEWEST, run_migrations

Parts = list[tuple[str, str, str, str | None]]


def of_migrations() -> Parts:
    """What Alembic makes."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/jobs.sqlite")
        with database.write() as connection:
            run_migrations(connection)
        database.dispose()
        return parts_of(Path(folder) / "jobs.sqlite")


def parts_of(file: Path) -> Parts:
    """Type, name, table and SQL of all in an SQLite file, in the order they were made."""
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY rowid").fetchall()


def main() -> None:
    """Write the statements that make the same, each on a line."""
    statements = [" ".join(sql.split()) for *_, sql in of_migrations() if sql is not None]
    NEWEST.write_text("".join(f"{statement};\n" for statement in statements), encoding="utf-8")
    sys.stdout.write(f"{len(statements)} statements are in {NEWEST}\n")


if __name__ == "__main__":
    main()
