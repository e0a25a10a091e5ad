"""Each driver's codes mean one of our errors."""

from __future__ import annotations

import sqlite3

import psycopg.errors
import pymysql.err
import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from engine.errors import DatabaseBusy, DatabaseDown, DatabaseRefused, StorageFull
from engine.store.driver_errors import is_worth_repeating, meaning


def sqlite(code: int, name: str) -> sqlite3.Error:
    error = sqlite3.OperationalError("what SQLite says")
    error.sqlite_errorcode, error.sqlite_errorname = code, name
    return error


@pytest.mark.parametrize(
    ("original", "kind"),
    [
        (sqlite(5, "SQLITE_BUSY"), DatabaseBusy),
        (sqlite(517, "SQLITE_BUSY_SNAPSHOT"), DatabaseBusy),
        (sqlite(6, "SQLITE_LOCKED"), DatabaseBusy),
        (sqlite(13, "SQLITE_FULL"), StorageFull),
        (sqlite(8, "SQLITE_READONLY"), DatabaseDown),
        (sqlite(778, "SQLITE_IOERR_WRITE"), DatabaseDown),
        (sqlite(14, "SQLITE_CANTOPEN"), DatabaseDown),
        (sqlite(11, "SQLITE_CORRUPT"), DatabaseRefused),
        (sqlite(26, "SQLITE_NOTADB"), DatabaseRefused),
        (psycopg.errors.DiskFull("secret"), StorageFull),
        (psycopg.errors.QueryCanceled("secret"), DatabaseBusy),
        (psycopg.errors.LockNotAvailable("secret"), DatabaseBusy),
        (psycopg.errors.DeadlockDetected("secret"), DatabaseBusy),
        (psycopg.errors.SerializationFailure("secret"), DatabaseBusy),
        (psycopg.errors.AdminShutdown("secret"), DatabaseDown),
        (psycopg.errors.ReadOnlySqlTransaction("secret"), DatabaseDown),
        (psycopg.OperationalError("password secret"), DatabaseDown),
        (pymysql.err.OperationalError(1205, "secret"), DatabaseBusy),
        (pymysql.err.OperationalError(1213, "secret"), DatabaseBusy),
        (pymysql.err.OperationalError(1114, "secret"), StorageFull),
        (pymysql.err.OperationalError(2003, "secret"), DatabaseDown),
        (pymysql.err.OperationalError(1290, "secret"), DatabaseDown),
        (pymysql.err.InterfaceError(), DatabaseDown),
    ],
)
def test_a_drivers_error_means_one_of_ours(original, kind):
    error = meaning(OperationalError("SELECT 1", {}, original), "The database x")

    assert type(error) is kind
    assert str(error).startswith("The database x ")
    assert "secret" not in str(error)


def test_waiting_too_long_for_a_connection_is_busy():
    assert type(meaning(PoolTimeout("pool"), "The database x")) is DatabaseBusy


@pytest.mark.parametrize(
    ("original", "expected"),
    [
        (psycopg.errors.DeadlockDetected(), True),
        (psycopg.errors.SerializationFailure(), True),
        (pymysql.err.OperationalError(1213, "deadlock"), True),
        (pymysql.err.OperationalError(1205, "timeout"), False),
        (psycopg.errors.AdminShutdown(), False),
        (sqlite(5, "SQLITE_BUSY"), False),
    ],
)
def test_only_the_victim_of_a_conflict_is_run_again(original, expected):
    assert is_worth_repeating(OperationalError("SELECT 1", {}, original)) is expected
