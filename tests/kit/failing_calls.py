"""A database of which one call fails: the n-th statement, or the n-th commit."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import get_ident
from typing import Any

import psycopg
from sqlalchemy import Engine, event

from engine.store.database import Database


@dataclass
class Calls:
    """How many calls there were of the kind that may fail."""

    asked: int = 0


@contextmanager
def failing(database: Database, number: int, kind: str, *, in_any_thread: bool = False) -> Iterator[Calls]:
    """What happens at the n-th call is one of `KINDS`. Without `in_any_thread` only this thread's calls count."""
    fail, is_commit, is_after = KINDS[kind]
    calls, thread = Calls(), get_ident()

    def is_due() -> bool:
        if not in_any_thread and get_ident() != thread:
            return False
        calls.asked += 1
        return calls.asked == number

    def at_statement(connection: Any) -> None:
        if is_due():
            fail(connection)

    def at_commit(connection: Any, commit: Callable[[Any], None]) -> None:
        if not is_due():
            commit(connection)
            return
        if is_after:
            commit(connection)
        fail(connection.dbapi_connection)
        if not is_after:
            commit(connection)

    with _commits(database.engine, at_commit) if is_commit else watched(database, at_statement):
        yield calls


@contextmanager
def interrupted(database: Database, number: int, error: BaseException) -> Iterator[None]:
    """This is raised at the n-th statement, whoever asks for it, and is nothing that the driver would say."""
    asked = 0

    def count(_: object) -> None:
        nonlocal asked
        asked += 1
        if asked == number:
            raise error

    with watched(database, count):
        yield


@contextmanager
def _commits(engine: Engine, look: Callable[[Any, Callable[[Any], None]], None]) -> Iterator[None]:
    commit = engine.dialect.do_commit
    engine.dialect.do_commit = lambda connection: look(connection, commit)
    try:
        yield
    finally:
        del engine.dialect.do_commit


@contextmanager
def watched(database: Database, look: Callable[[Any], None]) -> Iterator[None]:
    """`look` is given the driver's connection before each statement, also of those that pass SQLAlchemy by."""
    engine = database.engine
    listeners: dict[str, Callable[..., Any]]
    if engine.dialect.name == "sqlite":
        listeners = {
            "do_connect": lambda _dialect, _record, _values, options: options.update(factory=WatchedConnection),
            "checkout": lambda connection, *_: setattr(connection, "look", look),
        }
        engine.dispose()
    else:
        listeners = {name: lambda cursor, *_: look(cursor.connection) for name in ("do_execute", "do_executemany")}
    for name, listener in listeners.items():
        event.listen(engine, name, listener)
    try:
        yield
    finally:
        for name, listener in listeners.items():
            event.remove(engine, name, listener)
        if engine.dialect.name == "sqlite":
            engine.dispose()


class WatchedConnection(sqlite3.Connection):
    """Tells of each statement once the pool has handed it out, also of those that ask for no cursor."""

    look: Callable[[Any], None] | None = None

    def cursor(self, factory: Any = None) -> sqlite3.Cursor:
        return super().cursor(WatchedCursor)

    def execute(self, *values: Any) -> sqlite3.Cursor:
        return self.cursor().execute(*values)

    def executemany(self, *values: Any) -> sqlite3.Cursor:
        return self.cursor().executemany(*values)


class WatchedCursor(sqlite3.Cursor):
    def execute(self, *values: Any) -> sqlite3.Cursor:
        self._tell()
        return super().execute(*values)

    def executemany(self, *values: Any) -> sqlite3.Cursor:
        self._tell()
        return super().executemany(*values)

    def _tell(self) -> None:
        look = getattr(self.connection, "look", None)
        if look is not None:
            look(self.connection)


def _sqlite(code: int, text: str) -> Callable[[Any], None]:
    def fail(_connection: object) -> None:
        error = sqlite3.OperationalError(text)
        error.sqlite_errorcode = code
        error.sqlite_errorname = f"SQLITE_{code}"
        raise error

    return fail


def _drop(connection: psycopg.Connection[Any]) -> None:
    """The server ends the session, and the driver finds out."""
    info = connection.info
    with psycopg.connect(connection.info.dsn, password=info.password, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [info.backend_pid])


def _drop_and_tell(connection: psycopg.Connection[Any]) -> None:
    _drop(connection)
    connection.execute("SELECT 1")


_locked, _broken = _sqlite(sqlite3.SQLITE_BUSY, "database is locked"), _sqlite(sqlite3.SQLITE_IOERR, "disk I/O error")

KINDS: dict[str, tuple[Callable[[Any], None], bool, bool]] = {
    "a locked database": (_locked, False, False),
    "a disk that fails": (_broken, False, False),
    "a commit that is refused": (_broken, True, False),
    "a commit whose answer is lost": (_broken, True, True),
    "a lost connection": (_drop, False, False),
    "a connection lost before a commit": (_drop, True, False),
    "a connection lost after a commit": (_drop_and_tell, True, True),
}
"""How each fails, whether commits do and not statements, and whether after they have taken effect."""
