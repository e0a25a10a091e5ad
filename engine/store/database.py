"""One database: its connections and transactions. Verbs elsewhere say what happens in them."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import TypeVar
from uuid import uuid4
from weakref import ref

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import DBAPIError

from engine.clock import Clock
from engine.errors import DatabaseBusy, DatabaseDown, DatabaseRefused
from engine.store import prepared
from engine.store.connecting import BUSY_SECONDS, connect, read_uri, sqlite_file
from engine.store.driver_errors import is_worth_repeating, translated
from engine.store.tables import documents
from engine.store.turns import Turns, Wish

T = TypeVar("T")

PAUSES = (0.02, 0.08, 0.2)
"""The longest wait before each further attempt of a transaction that lost a deadlock, in seconds."""


class Database:
    """Transactions on one database, with one pool of connections for each process."""

    def __init__(self, uri: str, *, run_path: Path | None = None, clock: Clock | None = None) -> None:
        self._url = read_uri(uri)
        self._clock = clock or Clock()
        self.file = sqlite_file(self._url)
        """The file of an SQLite database, None for a server."""
        self.run_path = run_path or (self.file.parent / ".octoflow" if self.file else None)
        self.place = f"The database {self.file}" if self.file else f"The {self._url.get_backend_name()} database"
        self.dialect = self._url.get_backend_name()
        self._inherited: list[Engine] = []
        self._identity: tuple[int, int] | None = None
        self._open()
        os.register_at_fork(after_in_child=_reopener(self))

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads; on SQLite it neither waits for a writer nor makes one wait."""
        with translated(self.place), self._reading() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that is committed at the end of the block, and rolled back when it raises."""
        with translated(self.place), self._turn(), self._writing() as connection:
            yield connection

    def ask(self, verb: Callable[[Connection], T]) -> T:
        """What the verb returns in a transaction that only reads; asked again once when the connection was lost."""
        with translated(self.place):
            try:
                with self._reading() as connection:
                    return verb(connection)
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
            with self._reading() as connection:
                return verb(connection)

    def change(self, verb: Callable[[Connection], T]) -> T:
        """What the verb returns in a committed transaction.

        It may be run more than once: up to three times more after a lost deadlock, and once more by itself when
        others' verbs were run in the same transaction and one of them raised.
        """
        with translated(self.place):
            if self.file is None:
                return self._change_on_server(verb)
            with self._told_of_others():
                return self._turns.change(verb, self._change_alone, BUSY_SECONDS)

    def ping(self, write: bool) -> None:
        """Raise what keeps the database from being read, or from being written, down to the disk."""
        self._must_be_the_same_file()
        with self.read() as connection:
            connection.execute(select(documents.c.revision).limit(1)).first()
        if write:
            # A row that comes and goes: unlike an UPDATE to the same value it makes SQLite write a page.
            probe = f"probe-{uuid4().hex}"
            with self.write() as connection:
                connection.execute(documents.insert(), {"revision": probe, "path": "", "text": "", "parts": {}})
                connection.execute(documents.delete().where(documents.c.revision == probe))

    def check(self) -> None:
        """DatabaseRefused when an SQLite file is damaged. Reads the whole file: about a second for each GB."""
        if self.file is None:
            return
        with self.read() as connection:
            problem = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
        if problem != "ok":
            problem = str(problem).splitlines()[-1]  # The first line only says in which database of the connection.
            raise DatabaseRefused(
                f"{self.place} is damaged ({problem}). Put a backup in its place; it is left as it is."
            )

    def upgrade(self) -> None:
        """Bring the schema to what this code needs; DatabaseRefused when it is newer or another program's."""
        from engine.store.upgrading import upgrade

        upgrade(self)
        self._identity = self._identify()

    def dispose(self) -> None:
        """Close the connections that nobody uses at present."""
        self.engine.dispose()

    def _must_be_the_same_file(self) -> None:
        # A file that was removed or replaced goes on working for those that have it open, and is lost with them.
        if self._identity is not None and self._identify() != self._identity:
            raise DatabaseDown(f"{self.place} was removed or replaced while it was in use. Restart the service.")

    def _identify(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self.file) if self.file else None
        except OSError:
            return None
        return (status.st_dev, status.st_ino) if status else None

    def _open(self) -> None:
        self.engine = connect(self._url)
        self._turns = Turns()

    def reopen_after_fork(self) -> None:
        """Leave the parent's connections alone, open as they are, and begin with none."""
        # Closing them here would drop SQLite's locks and PostgreSQL's sessions under the parent.
        self._inherited.append(self.engine)
        self._open()

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        # It ends when the connection is given back, which is rolled back then whatever it did.
        with self.engine.connect() as connection:
            prepared.begin(connection, "BEGIN")
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self.engine.connect() as connection, connection.begin():
            prepared.begin(connection, "BEGIN IMMEDIATE")
            yield connection

    def _change_on_server(self, verb: Callable[[Connection], T]) -> T:
        for pause in PAUSES:
            try:
                return self._change_alone(verb)
            except DBAPIError as error:
                if not is_worth_repeating(error):
                    raise
            self._clock.wait(Event(), random.uniform(0, pause))
        return self._change_alone(verb)

    def _change_alone(self, verb: Callable[[Connection], T]) -> T:
        with self._writing() as connection:
            return verb(connection)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if self.file is None:
            yield
            return
        turns = self._turns
        with self._told_of_others():
            turns.take(Wish(), BUSY_SECONDS)
        try:
            yield
        finally:
            turns.pass_on()

    @contextmanager
    def _told_of_others(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            sentence = f"{self.place} is busy: other threads held it for longer than we wait. Try again."
            raise DatabaseBusy(sentence) from error


def _reopener(database: Database) -> Callable[[], None]:
    weak = ref(database)

    def reopen() -> None:
        alive = weak()
        if alive is not None:
            alive.reopen_after_fork()

    return reopen
