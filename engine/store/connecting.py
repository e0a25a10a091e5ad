"""How an engine connects: the driver, its time limits and SQLite's pragmas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from engine.errors import DatabaseRefused, SettingInvalid

BUSY_SECONDS = 5.0
CONNECT_SECONDS = 3
STATEMENT_SECONDS = 10
SQLITE_CONNECTIONS = 96
"""64 web threads, 16 supervisors and some to spare: a kept connection is 50 times cheaper than a new one."""
CHECKPOINT_PAGES = 4000

DRIVERS = {
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}


def read_uri(uri: str) -> URL:
    """The URI with our driver where it names none; SettingInvalid, without the URI's text, when it cannot be read."""
    try:
        url = make_url(uri)
    except (ArgumentError, ValueError) as error:
        raise SettingInvalid(
            "SQLALCHEMY_DATABASE_URI is not a database URI, such as sqlite:////data/jobs.sqlite."
        ) from error
    url = url.set(drivername=DRIVERS.get(url.drivername, url.drivername))
    if url.get_backend_name() == "sqlite" and (not url.database or url.database.startswith((":memory:", "file:"))):
        raise SettingInvalid("SQLALCHEMY_DATABASE_URI must name a file: a database in memory is lost with its process.")
    return url


def sqlite_file(url: URL) -> Path | None:
    """The file of an SQLite database, None for a server."""
    return Path(url.database).absolute() if url.get_backend_name() == "sqlite" and url.database else None


def connect(url: URL) -> Engine:
    """An engine that has not connected yet; hidden parameters, so that no error or log line carries a value."""
    try:
        engine = create_engine(
            url, hide_parameters=True, pool_use_lifo=True, pool_timeout=BUSY_SECONDS, **_options(url)
        )
    except NoSuchModuleError as error:
        raise SettingInvalid(
            f"SQLALCHEMY_DATABASE_URI names {url.drivername!r}, which is not a database we know."
        ) from error
    except ModuleNotFoundError as error:
        raise DatabaseRefused(
            f"The driver for {url.drivername} is not installed: there is no module {error.name!r}."
        ) from error
    if url.get_backend_name() == "sqlite":
        engine.dialect.statement_compiler = _HintedCompiler
        event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _options(url: URL) -> dict[str, Any]:
    match url.get_backend_name():
        case "sqlite":
            return {
                "pool_size": SQLITE_CONNECTIONS,
                "max_overflow": 0,
                "connect_args": {"timeout": BUSY_SECONDS, "check_same_thread": False, "cached_statements": 256},
            }
        case "postgresql":
            limits = (
                f"-c statement_timeout={STATEMENT_SECONDS}s -c idle_in_transaction_session_timeout={STATEMENT_SECONDS}s"
            )
            return {**_SERVER, "connect_args": {"connect_timeout": CONNECT_SECONDS, "options": limits}}
        case "mysql" | "mariadb":
            return {
                **_SERVER,
                "connect_args": {
                    "connect_timeout": CONNECT_SECONDS,
                    "read_timeout": 3 * STATEMENT_SECONDS,
                    "write_timeout": 3 * STATEMENT_SECONDS,
                    "charset": "utf8mb4",
                    "init_command": f"SET SESSION innodb_lock_wait_timeout = {int(BUSY_SECONDS)}",
                },
            }
        case other:
            raise SettingInvalid(
                f"SQLALCHEMY_DATABASE_URI names {other!r}; known are sqlite, postgresql, mysql and mariadb."
            )


_SERVER: dict[str, Any] = {
    "pool_size": 16,
    "max_overflow": 80,
    "pool_pre_ping": True,
    "pool_recycle": 1800,
    "isolation_level": "READ COMMITTED",
}


class _HintedCompiler(SQLiteCompiler):
    """Writes a hint such as INDEXED BY behind its table, as the compilers of other databases do."""

    def get_from_hint_text(self, table: object, text: str | None) -> str | None:
        return text


def _prepare_sqlite(connection: Any, record: object) -> None:
    # `Database` says BEGIN: the driver by itself would begin too late, and a transaction that cannot wait for its turn.
    connection.isolation_level = None
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise DatabaseRefused(
            "The database's volume cannot hold SQLite's write-ahead log: put JOBS_DB_PATH on a local disk."
        )
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    # What is deleted, a secret input among it, is overwritten in its page, whatever SQLite was compiled to do.
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA journal_size_limit = 67108864")
    # A tick that fires thousands of schedules would otherwise checkpoint, and wait for the disk, at each commit.
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
