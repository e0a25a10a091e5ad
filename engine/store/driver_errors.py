"""What a driver's error means: the store's edge, where SQLAlchemy's errors become ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from engine.errors import DatabaseBusy, DatabaseDown, DatabaseRefused, OctoflowError, StorageFull

SQLITE = {
    5: DatabaseBusy,  # SQLITE_BUSY
    6: DatabaseBusy,  # SQLITE_LOCKED
    11: DatabaseRefused,  # SQLITE_CORRUPT
    13: StorageFull,  # SQLITE_FULL
    26: DatabaseRefused,  # SQLITE_NOTADB
}
POSTGRESQL = {
    "40001": DatabaseBusy,  # serialization_failure
    "40P01": DatabaseBusy,  # deadlock_detected
    "53100": StorageFull,  # disk_full
    "53300": DatabaseBusy,  # too_many_connections
    "55P03": DatabaseBusy,  # lock_not_available
    "57014": DatabaseBusy,  # query_canceled, by statement_timeout
    "XX001": DatabaseRefused,  # data_corrupted
    "XX002": DatabaseRefused,  # index_corrupted
}
MYSQL = {
    1021: StorageFull,  # ER_DISK_FULL
    1040: DatabaseBusy,  # ER_CON_COUNT_ERROR
    1114: StorageFull,  # ER_RECORD_FILE_FULL
    1205: DatabaseBusy,  # ER_LOCK_WAIT_TIMEOUT
    1213: DatabaseBusy,  # ER_LOCK_DEADLOCK
}
WORTH_REPEATING = frozenset({"40001", "40P01", 1213})
"""A deadlock's or a serialization failure's victim has changed nothing and may try again."""

SENTENCES = {
    DatabaseBusy: "{place} is busy: others held it for longer than we wait. Try again.",
    DatabaseDown: "{place} cannot be reached or written ({code}).",
    DatabaseRefused: "{place} is damaged, or is no database ({code}). Put a backup in its place; it is left as it is.",
    StorageFull: "{place} has no room left: free some on its volume.",
}


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Raise SQLAlchemy's errors as ours; `place` names the database in the sentence, without credentials."""
    try:
        yield
    except (DBAPIError, PoolTimeout) as error:
        raise meaning(error, place) from error


def meaning(error: SQLAlchemyError, place: str) -> OctoflowError:
    """Our error for SQLAlchemy's. The driver's own text stays in the cause: it may name hosts, users and values."""
    code = driver_code(error)
    kind = _kind(error, code)
    return kind(SENTENCES[kind].format(place=place, code=_word(error, code)))


def driver_code(error: SQLAlchemyError) -> int | str | None:
    """SQLite's primary result code, PostgreSQL's SQLSTATE or MySQL's number, None when the driver gave none."""
    original = error.orig if isinstance(error, DBAPIError) else None
    if original is None:
        return None
    if hasattr(original, "sqlite_errorcode"):
        return int(original.sqlite_errorcode) & 0xFF
    # PyMySQL's errors have a `sqlstate` as well, a coarser one: their number comes first.
    number = original.args[0] if original.args else None
    if isinstance(number, int):
        return number
    state: str | None = getattr(original, "sqlstate", None)
    return state


def is_worth_repeating(error: DBAPIError) -> bool:
    """Whether the same transaction may well succeed when it is run again at once."""
    return driver_code(error) in WORTH_REPEATING


def _kind(error: SQLAlchemyError, code: int | str | None) -> type[OctoflowError]:
    if isinstance(error, PoolTimeout):
        return DatabaseBusy
    if isinstance(code, str):
        return POSTGRESQL.get(code, DatabaseDown)
    # MySQL's numbers begin at 1000 (and 3 for a full temporary folder), SQLite's primary codes end at 101.
    return DatabaseDown if code is None else {**SQLITE, **MYSQL}.get(code, DatabaseDown)


def _word(error: SQLAlchemyError, code: int | str | None) -> str:
    original = error.orig if isinstance(error, DBAPIError) else None
    name = getattr(original, "sqlite_errorname", None) or type(original or error).__name__
    if hasattr(original, "sqlite_errorcode"):
        return f"{name}: {original}"
    return name if code is None else f"{name} {code}"
