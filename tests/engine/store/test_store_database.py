"""Transactions, and what they say when the database cannot."""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path
from threading import Barrier, Thread

import pytest
from clocks import NOON
from sqlalchemy import bindparam, event, select, text, update
from traced import traced

from engine.errors import DatabaseBusy, DatabaseDown, DatabaseRefused, SettingInvalid, StorageFull
from engine.models.flow import Document
from engine.store.database import Database
from engine.store.documents import DocumentStore
from engine.store.tables import documents as table


def document(revision: str = "r1", text: str = "text") -> Document:
    return Document(path="a.yml", text=text, revision=revision)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits long for a busy database."""
    monkeypatch.setattr("engine.store.connecting.BUSY_SECONDS", 0.05)
    monkeypatch.setattr("engine.store.database.BUSY_SECONDS", 0.05)


def test_a_sqlite_connection_is_safe_against_power_loss_and_checks_foreign_keys(sqlite):
    with sqlite.read() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }

    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}


def test_what_is_deleted_is_overwritten_in_its_file(sqlite):
    with sqlite.write() as connection:
        overwrites = connection.exec_driver_sql("PRAGMA secure_delete").scalar()
        connection.exec_driver_sql("INSERT INTO marks (name, time) VALUES ('canary-3c1f', 0)")
    with sqlite.write() as connection:
        connection.exec_driver_sql("DELETE FROM marks")
    sqlite.dispose()

    assert overwrites == 1
    assert b"canary-3c1f" not in sqlite.file.read_bytes()


def test_others_of_the_machine_cannot_read_a_new_database_whatever_the_umask_is(tmp_path):
    before = os.umask(0)
    try:
        database = Database(f"sqlite:///{tmp_path}/jobs.sqlite")
        database.upgrade()
        database.ping(write=True)
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.glob("jobs.sqlite*")}
        database.dispose()
    finally:
        os.umask(before)

    assert modes == dict.fromkeys(("jobs.sqlite", "jobs.sqlite-shm", "jobs.sqlite-wal"), 0o660)


@pytest.mark.parametrize("uri", ["postgresql", "mariadb"], indirect=True)
def test_a_server_isolates_by_read_committed(database):
    with database.read() as connection:
        level = connection.get_isolation_level()

    assert level == "READ COMMITTED"


def test_a_write_that_raises_leaves_nothing(database, documents):
    def verb(connection):
        connection.execute(table.insert(), {"revision": "r1", "path": "a", "text": "", "parts": {}})
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        database.change(verb)

    assert database.ask(lambda connection: connection.execute(select(table)).all()) == []


def test_readers_do_not_wait_for_a_writer(sqlite):
    with sqlite.write() as writer:
        writer.execute(table.insert(), {"revision": "r1", "path": "a", "text": "", "parts": {}})

        with sqlite.read() as reader:
            assert reader.execute(select(table)).all() == []


def test_a_database_that_another_process_holds_is_busy(hasty, sqlite):
    database = Database(f"sqlite:///{sqlite.file}")
    holder = sqlite3.connect(str(sqlite.file), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    with pytest.raises(DatabaseBusy, match=r"only\.sqlite is busy"):
        DocumentStore(database).put([document()], NOON)

    holder.close()
    DocumentStore(database).put([document()], NOON)
    database.dispose()


def test_a_database_that_another_thread_holds_is_busy(hasty, sqlite):
    refused = []

    def write():
        try:
            DocumentStore(sqlite).put([document()], NOON)
        except DatabaseBusy as error:
            refused.append(error)

    with sqlite.write():
        thread = Thread(target=write)
        thread.start()
        thread.join()

    assert len(refused) == 1
    DocumentStore(sqlite).put([document()], NOON)


def test_a_full_volume_is_told_and_can_still_be_read(sqlite):
    store = DocumentStore(sqlite)
    store.put([document("r1")], NOON)
    with sqlite.read() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(StorageFull, match=r"only\.sqlite has no room left"):
        store.put([document("r2", "x" * 100_000)], NOON)

    assert store.get("r1") == document("r1")
    sqlite.check()


def test_a_database_that_cannot_be_written_is_told_by_a_ping(sqlite):
    sqlite.ping(write=True)
    with sqlite.read() as connection:
        connection.exec_driver_sql("PRAGMA query_only = ON")

    sqlite.ping(write=False)
    with pytest.raises(DatabaseDown, match="SQLITE_READONLY"):
        sqlite.ping(write=True)


def test_a_ping_leaves_nothing_behind(database):
    database.ping(write=True)

    assert database.ask(lambda connection: connection.execute(select(table)).all()) == []


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path):
    file = tmp_path / "jobs.sqlite"
    file.write_bytes(b"not a database" * 1000)

    with pytest.raises(DatabaseRefused, match="SQLITE_NOTADB"):
        Database(f"sqlite:///{file}").upgrade()

    assert file.read_bytes() == b"not a database" * 1000


def test_damaged_pages_are_found(sqlite):
    DocumentStore(sqlite).put([document(f"r{n}", "x" * 3000) for n in range(50)], NOON)
    sqlite.check()
    with sqlite.read() as connection:
        root = connection.exec_driver_sql("SELECT rootpage FROM sqlite_master WHERE name = 'documents'").scalar()
    sqlite.dispose()
    with sqlite.file.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xff" * 4096)

    with pytest.raises(DatabaseRefused, match=r"only\.sqlite is damaged"):
        sqlite.check()


def test_a_server_that_is_not_there_is_down_and_its_address_is_not_told():
    for scheme in ("postgresql", "mariadb"):
        database = Database(f"{scheme}://somebody:hunter2@127.0.0.1:1/jobs")

        with pytest.raises(DatabaseDown) as down:
            database.ping(write=False)

        assert scheme in str(down.value)
        assert not [word for word in ("hunter2", "somebody", "127.0.0.1") if word in str(down.value)]


@pytest.mark.parametrize(
    "uri", ["", "nonsense", "sqlite://", "sqlite:///:memory:", "oracle://x/y", "nosuchthing://host/x"]
)
def test_a_uri_that_cannot_be_used_names_the_setting(uri):
    with pytest.raises(SettingInvalid, match="SQLALCHEMY_DATABASE_URI"):
        Database(uri)


def test_a_missing_folder_is_made(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/new/folder/jobs.sqlite")

    database.upgrade()

    database.ping(write=True)
    database.dispose()


@pytest.mark.parametrize("uri", ["postgresql", "mariadb"], indirect=True)
def test_the_loser_of_a_deadlock_is_run_again(database):
    DocumentStore(database).put([document("a"), document("b")], NOON)
    both_hold_one = Barrier(2)
    runs = []

    def swap(first, second):
        change = update(table).where(table.c.revision == bindparam("key")).values(path=bindparam("new"))

        def verb(connection):
            runs.append(first)
            connection.execute(change, {"key": first, "new": first})
            if runs.count(first) == 1:
                both_hold_one.wait(10)
            connection.execute(change, {"key": second, "new": first})

        database.change(verb)

    threads = [Thread(target=swap, args=pair) for pair in (("a", "b"), ("b", "a"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    rows = database.ask(lambda connection: connection.execute(select(table.c.path)).all())
    assert len(runs) > 2
    assert rows[0] == rows[1]


@pytest.mark.parametrize("uri", ["postgresql"], indirect=True)
def test_a_connection_that_the_server_closed_is_replaced(database):
    with pytest.raises(DatabaseDown), database.write() as connection:
        connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    database.ping(write=True)


@pytest.mark.parametrize("uri", ["postgresql"], indirect=True)
def test_a_read_whose_connection_breaks_is_asked_again(database):
    asked = []

    def verb(connection):
        asked.append(1)
        if len(asked) == 1:
            connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        return connection.scalar(text("SELECT 7"))

    assert database.ask(verb) == 7


def test_a_forked_child_opens_connections_of_its_own(database):
    store = DocumentStore(database)
    store.put([document("r1")], NOON)

    child = os.fork()
    if child == 0:
        code = 1
        try:
            opened = []
            event.listen(database.engine, "connect", lambda *args: opened.append(1))
            DocumentStore(database).put([document("r2")], NOON)
            code = 0 if opened and store.get("r2") == document("r2") else 2
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert store.get("r1") == document("r1")
    assert store.get("r2") == document("r2")


def test_an_error_shows_no_value(sqlite):
    with sqlite.write() as connection:
        connection.exec_driver_sql("DROP TABLE documents")

    with pytest.raises(DatabaseDown) as down:
        DocumentStore(sqlite).put([document("r1", "hunter2")], NOON)

    assert "hunter2" not in f"{down.value} {down.value.__cause__}"


def test_no_statement_waits_for_a_driver_that_begins_by_itself(sqlite):
    with traced(sqlite) as statements:
        DocumentStore(sqlite).put([document()], NOON)
        sqlite.ping(write=False)

    assert [statement for statement in statements if statement.startswith("BEGIN")] == ["BEGIN IMMEDIATE", "BEGIN"]


def test_the_database_is_named_by_its_file(tmp_path: Path):
    database = Database(f"sqlite:///{tmp_path}/jobs.sqlite")

    assert database.file == tmp_path / "jobs.sqlite"
    assert database.run_path == tmp_path / ".octoflow"
    assert database.place == f"The database {tmp_path}/jobs.sqlite"
