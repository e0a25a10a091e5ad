"""Threads that write to one SQLite file at once: committed together, refused apart."""

from __future__ import annotations

import sqlite3
from threading import Thread

import pytest
from clocks import NOON
from failing_calls import failing, watched
from services import until
from sqlalchemy import event
from traced import traced

from engine.errors import DatabaseBusy, DatabaseDown, FlowNotFound
from engine.models.flow import Document
from engine.store.database import Database
from engine.store.documents import DocumentStore, insert_documents
from engine.store.turns import MOST, Turns, Wish


def document(revision):
    return Document("f.yml", "text", revision)


class Writers:
    """Threads that change the database while somebody holds it; what each got, by its number."""

    def __init__(self, database):
        self.database = database
        self.outcomes = {}
        self.threads = []

    def add(self, verb):
        number = len(self.threads)

        def write():
            try:
                self.outcomes[number] = self.database.change(verb)
            except Exception as error:
                self.outcomes[number] = error

        self.threads.append(Thread(target=write, daemon=True))
        self.threads[-1].start()
        until(lambda: len(self.database._turns._waiting) == number + 1)

    def ended(self):
        for thread in self.threads:
            thread.join(20)
            assert not thread.is_alive()
        return [self.outcomes[number] for number in range(len(self.threads))]


@pytest.fixture
def commits(sqlite):
    seen = []
    event.listen(sqlite.engine, "commit", seen.append)
    return seen


def storing(revision):
    def store(connection):
        insert_documents(connection, [document(revision)], NOON)
        return revision

    return store


def refusing(revision):
    def refuse(connection):
        insert_documents(connection, [document(revision)], NOON)
        raise FlowNotFound(revision)

    return refuse


def stored(database):
    return {revision for revision in ("r0", "r1", "r2", "r3") if is_stored(database, revision)}


def is_stored(database, revision):
    try:
        DocumentStore(database).get(revision)
    except FlowNotFound:
        return False
    return True


def test_changes_that_wait_are_committed_together(sqlite, commits):
    writers = Writers(sqlite)

    with sqlite.write():
        for number in range(4):
            writers.add(storing(f"r{number}"))

    assert writers.ended() == ["r0", "r1", "r2", "r3"]
    assert len(commits) == 2  # The holder's, and one for the four.
    assert stored(sqlite) == {"r0", "r1", "r2", "r3"}


def test_a_refusal_is_its_own_and_leaves_nothing(sqlite):
    writers = Writers(sqlite)

    with sqlite.write():
        for verb in (storing("r0"), refusing("r1"), storing("r2")):
            writers.add(verb)

    first, refused, last = writers.ended()
    assert (first, str(refused), last) == ("r0", "r1", "r2")
    assert stored(sqlite) == {"r0", "r2"}


def test_who_leads_may_be_the_one_that_is_refused(sqlite):
    writers = Writers(sqlite)

    with sqlite.write():
        for verb in (refusing("r0"), storing("r1")):
            writers.add(verb)

    refused, other = writers.ended()
    assert (str(refused), other) == ("r0", "r1")
    assert stored(sqlite) == {"r1"}


def test_a_writer_that_wants_to_be_alone_gets_its_turn_between_the_others(sqlite):
    writers = Writers(sqlite)
    held = []

    def hold():
        with sqlite.write() as connection:
            held.append(connection)

    holder = Thread(target=hold, daemon=True)
    with sqlite.write():
        writers.add(storing("r0"))
        holder.start()
        until(lambda: len(sqlite._turns._waiting) == 2)
        writers.threads.append(holder)  # So that the next one waits for three.
        late = Thread(target=lambda: sqlite.change(storing("r1")), daemon=True)
        late.start()
        until(lambda: len(sqlite._turns._waiting) == 3)

    for thread in (*writers.threads, late):
        thread.join(20)
        assert not thread.is_alive()
    assert len(held) == 1
    assert stored(sqlite) == {"r0", "r1"}


def test_more_than_are_committed_together_are_all_written(sqlite, commits):
    writers = Writers(sqlite)

    with sqlite.write():
        for number in range(MOST + 5):
            writers.add(storing(f"r{number}"))

    assert writers.ended() == [f"r{number}" for number in range(MOST + 5)]
    assert len(commits) == 3


def test_who_waits_in_vain_is_told_and_writes_nothing_later(sqlite, monkeypatch):
    monkeypatch.setattr("engine.store.database.BUSY_SECONDS", 0.05)
    writers = Writers(sqlite)

    with sqlite.write():
        writers.add(storing("r0"))
        [refused] = writers.ended()

    assert isinstance(refused, DatabaseBusy)
    DocumentStore(sqlite).put([document("r1")], NOON)
    assert stored(sqlite) == {"r1"}


class Interrupted(Wish):
    """A wish whose thread hears Ctrl-C while it waits, once `before` has happened."""

    def __init__(self, before, verb=None):
        super().__init__(verb)
        self._before = before

    def wait(self, seconds=-1):
        self._before()
        raise KeyboardInterrupt


def test_who_is_interrupted_while_it_waits_gives_up_its_place():
    turns = Turns()
    turns.take(Wish(), 1)

    with pytest.raises(KeyboardInterrupt):
        turns.take(Interrupted(lambda: None), 1)
    turns.pass_on()

    assert turns.take(Wish(), 0.01)


def test_who_is_interrupted_when_it_was_called_passes_the_turn_on():
    turns = Turns()
    turns.take(Wish(), 1)

    with pytest.raises(KeyboardInterrupt):
        turns.take(Interrupted(turns.pass_on), 1)

    assert turns.take(Wish(), 0.01)


def test_who_is_interrupted_while_another_writes_for_it_takes_no_turn_away():
    turns = Turns()
    turns.take(Wish(), 1)

    with pytest.raises(KeyboardInterrupt):
        turns.take(Interrupted(turns._take_along, verb=lambda connection: None), 1)

    with pytest.raises(TimeoutError):
        turns.take(Wish(), 0.01)
    turns.pass_on()
    assert turns.take(Wish(), 0.01)


def test_when_another_process_holds_the_file_all_are_told_after_one_wait(sqlite, monkeypatch):
    monkeypatch.setattr("engine.store.connecting.BUSY_SECONDS", 0.05)
    hasty = Database(f"sqlite:///{sqlite.file}")
    writers = Writers(hasty)
    holder = sqlite3.connect(str(sqlite.file), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    hasty._turns.take(Wish(), 1)
    with traced(hasty) as statements:
        for number in range(3):
            writers.add(storing(f"r{number}"))
        hasty._turns.pass_on()

        assert [type(error) for error in writers.ended()] == [DatabaseBusy] * 3
    assert statements.count("BEGIN IMMEDIATE") == 1
    holder.close()
    hasty.dispose()


@pytest.mark.parametrize("kind", ["a commit whose answer is lost", "a commit that is refused"])
def test_when_the_common_commit_fails_all_are_told_and_nothing_is_run_again(sqlite, kind):
    writers = Writers(sqlite)
    ran = []

    def launching(revision):
        def launch(connection):
            ran.append(revision)
            return storing(revision)(connection)

        return launch

    with failing(sqlite, 2, kind, in_any_thread=True):  # The first is the holder's.
        with sqlite.write():
            for number in range(3):
                writers.add(launching(f"r{number}"))
        told = writers.ended()

    assert [type(each) for each in told] == [DatabaseDown] * 3
    assert ran == ["r0", "r1", "r2"]
    assert stored(sqlite) == ({"r0", "r1", "r2"} if "lost" in kind else set())


def test_the_tests_see_statements_that_pass_sqlalchemy_by(sqlite):
    seen = []

    with watched(sqlite, seen.append), sqlite.write() as connection:
        connection.exec_driver_sql("SELECT 1")
        connection.connection.driver_connection.execute("SELECT 1")
        connection.connection.driver_connection.executemany("DELETE FROM marks WHERE name = ?", [("a",), ("b",)])

    assert len(seen) == 4  # BEGIN is one.
