"""The schema's version: looked up cheaply at every start, brought forward by Alembic when it is behind.

An empty SQLite file gets at once what all migrations together make. Alembic would take as long as the rest of the first
start, and keep 14 MB for as long as the service runs.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from engine.clock import Clock
from engine.errors import DatabaseBusy, DatabaseDown, DatabaseRefused
from engine.store.volumes import refuse_shared_volume

if TYPE_CHECKING:
    from engine.store.database import Database

log = logging.getLogger("octoflow")

HEAD = "0007"
"""The newest migration. A test holds it to what migrations/versions has."""

MIGRATIONS = Path(__file__).parent / "migrations"
NEWEST = MIGRATIONS / "newest_sqlite.sql"
"""What they make of an empty SQLite file, a statement a line. A test holds it to them."""
PATIENCE_SECONDS = 60.0
ADVISORY_LOCK = 0x0C70F10


def upgrade(database: Database) -> None:
    """Bring the schema to HEAD, once, however many processes start at the same time."""
    if database.file is not None:
        refuse_shared_volume(database.file)
        _make_folder(database.file.parent)
        _keep_from_others(database.file)
    if not _is_empty(database.file) and database.ask(schema_revision) == HEAD:
        return
    with _alone(database), database.write() as connection, _alone_on_server(connection):
        revision = schema_revision(connection)
        if revision != HEAD:
            _refuse_strangers(connection, database.place, revision)
            if revision is not None:
                log.info(
                    "%s is brought from schema %s to %s: some seconds for a million jobs.",
                    database.place,
                    revision,
                    HEAD,
                )
            if database.file is not None and not inspect(connection).get_table_names():
                _make_newest(connection)
            else:
                run_migrations(connection)


def run_migrations(connection: Connection) -> None:
    """Bring the schema to HEAD by Alembic, from wherever it is."""
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    command.upgrade(config, "head")


def schema_revision(connection: Connection) -> str | None:
    """The migration that the database is at, None before the first."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseDown(f"The database's folder {folder} cannot be made: {error.strerror}.") from error


def _keep_from_others(file: Path) -> None:
    """Make a new database's file one that only its user and group can read: launches have what is nobody's business.

    SQLite gives the log beside it the same mode. A file that is there keeps its own.
    """
    with suppress(OSError):  # What is wrong with the place is told when the database is opened.
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o660))


def _is_empty(file: Path | None) -> bool:
    # Of two that give an empty file its write-ahead log at the same time, SQLite refuses one, which does not wait.
    try:
        return file is not None and file.stat().st_size == 0
    except OSError:
        return False  # Whoever opens the database is told why.


def _refuse_strangers(connection: Connection, place: str, revision: str | None) -> None:
    if revision is None:
        if inspect(connection).has_table("jobs"):
            raise DatabaseRefused(f"{place} has a table `jobs` that Octoflow did not make. Name another database.")
        return
    from alembic.script import ScriptDirectory

    known = {script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}
    if revision not in known:
        raise DatabaseRefused(
            f"{place} is at schema {revision!r}, and this version of Octoflow knows up to {HEAD!r}. "
            "It was made by a newer version: run that one, or restore a backup."
        )


def _make_newest(connection: Connection) -> None:
    for statement in NEWEST.read_text(encoding="utf-8").splitlines():
        connection.exec_driver_sql(statement)
    connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})


@contextmanager
def _alone(database: Database) -> Iterator[None]:
    if database.run_path is None:
        yield
        return
    _make_folder(database.run_path)
    clock = Clock()
    end = clock.monotonic() + PATIENCE_SECONDS
    with (database.run_path / "migrate.lock").open("w") as file:
        while not _locked(file.fileno()):
            if clock.monotonic() > end:
                raise DatabaseBusy(
                    f"{database.place} is being upgraded by another process for over {PATIENCE_SECONDS:.0f} s."
                )
            clock.wait(Event(), 0.05)
        yield


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _alone_on_server(connection: Connection) -> Iterator[None]:
    match connection.dialect.name:
        case "postgresql":
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
            yield
        case "mysql" | "mariadb":
            if not connection.scalar(text("SELECT GET_LOCK('octoflow_migrate', 25)")):
                raise DatabaseBusy("The database is being upgraded by another process. Try again.")
            try:
                yield
            finally:
                connection.execute(text("SELECT RELEASE_LOCK('octoflow_migrate')"))
        case _:
            yield
