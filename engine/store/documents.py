"""Documents: each text once for each revision, so that a job runs what it was launched with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from engine.errors import FlowNotFound
from engine.models.flow import Document
from engine.models.problem import Problem
from engine.store import prepared
from engine.store.database import Database
from engine.store.tables import documents, insert_or_renew

MAX_KEPT = 1_000
MAX_KEPT_CHARACTERS = 20_000_000
"""So many bundles are kept in memory, and so much text in them: a revision never changes."""
MAX_NOTED = 10_000
REMEMBERED = timedelta(hours=1)
"""So long a process relies on having stored a document; then it tells the database once more that it is in use."""

LookUp = Callable[[Sequence[str]], Mapping[str, Document]]

SELECT = select(documents.c.path, documents.c.text, documents.c.revision, documents.c.parts)
BY_REVISION = SELECT.where(documents.c.revision == bindparam("revision"))
VERDICTS = select(documents.c.revision, documents.c.problems).where(
    documents.c.revision.in_(bindparam("revisions", expanding=True)), documents.c.problems.is_not(None)
)
BY_REVISIONS = SELECT.where(documents.c.revision.in_(bindparam("revisions", expanding=True)))


class DocumentStore:
    """The documents of one database. Remembers which revisions are stored, so that a repeated launch writes none.

    Nobody deletes a document within a day of its use, and what is remembered here was used within the hour.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._stored: dict[str, datetime] = {}
        self._bundles: dict[str, dict[str, Document]] = {}
        self._kept_characters = 0
        self._sound: set[str] = set()

    def put(self, documents: Sequence[Document], now: datetime) -> None:
        """Store those that are not stored yet."""
        missing = self.missing(documents, now)
        if missing:
            self._database.change(lambda connection: insert_documents(connection, missing, now))
            self.remember(missing, now)

    def get(self, revision: str) -> Document:
        """The document at this revision; FlowNotFound when it was never stored."""
        row = self._database.ask(lambda connection: connection.execute(BY_REVISION, {"revision": revision}).first())
        if row is None:
            raise FlowNotFound(f"There is no document of revision {revision!r} in the database.")
        return _document(row)

    def bundle(self, revision: str) -> Mapping[str, Document]:
        """The document and all it is run with, each under `flow:<path>` or `template:<path>`, itself as a flow."""
        found = self._bundles.get(revision)
        if found is None:
            main = self.get(revision)
            found = {f"flow:{main.path}": main}
            self._database.ask(lambda c: _collect(main.parts, partial(_look_up, c), found))
            self._keep(revision, found)
        return found

    def keep_bundle(self, launched: Sequence[Document]) -> None:
        """A job of the first of these is about to run; its parts are among the others, or else looked up by then."""
        main = launched[0]
        if main.revision not in self._bundles:
            found = {f"flow:{main.path}": main}
            with suppress(FlowNotFound):
                _collect(main.parts, lambda _: {document.revision: document for document in launched}, found)
                self._keep(main.revision, found)

    def verdicts(self, revisions: Sequence[str]) -> dict[str, list[Problem]]:
        """What compiling their expressions found, of those where somebody has tried."""
        rows = self._database.ask(lambda connection: connection.execute(VERDICTS, {"revisions": revisions}).all())
        return {row.revision: [Problem(**problem) for problem in row.problems] for row in rows}

    def keep_verdicts(self, verdicts: Sequence[tuple[Document, Sequence[Problem]]], now: datetime) -> None:
        """Store the documents with what compiling their expressions found."""
        rows = [_row(document, now) | {"problems": [each.to_json() for each in found]} for document, found in verdicts]
        self._database.change(lambda connection: _insert(connection, rows))
        self.remember((document for document, _ in verdicts), now)

    def note_sound(self, revisions: Iterable[str]) -> None:
        """These have no expression that does not compile: it is stored with them, at their launch."""
        if len(self._sound) >= MAX_NOTED:
            self._sound.clear()
        self._sound.update(revisions)

    def missing(self, documents: Iterable[Document], now: datetime) -> list[Document]:
        """Those that this process does not know to be stored, or has not used for an hour."""
        return [
            replace(document, compiles=True) if document.revision in self._sound else document
            for document in documents
            if not self._remembers(document, now)
        ]

    def remember(self, documents: Iterable[Document], now: datetime) -> None:
        """These were stored with that time: to be called after the commit."""
        if len(self._stored) >= MAX_NOTED:
            self._stored.clear()
        self._stored.update((document.revision, now) for document in documents)

    def _keep(self, revision: str, bundle: dict[str, Document]) -> None:
        if len(self._bundles) >= MAX_KEPT or self._kept_characters > MAX_KEPT_CHARACTERS:
            self._bundles, self._kept_characters = {}, 0
        self._bundles[revision] = bundle
        self._kept_characters += sum(len(document.text) for document in bundle.values())

    def _remembers(self, document: Document, now: datetime) -> bool:
        stored = self._stored.get(document.revision)
        return stored is not None and abs(now - stored) < REMEMBERED


def insert_documents(connection: Connection, missing: Sequence[Document], now: datetime) -> None:
    """Insert those that are absent and renew the others' `stored_time`, within the caller's transaction."""
    _insert(connection, [_row(document, now) for document in missing])


def _insert(connection: Connection, rows: Iterable[dict[str, Any]]) -> None:
    # In the order of the key, so that two launches that share parts cannot wait for each other.
    ordered = sorted(rows, key=lambda row: row["revision"])
    if ordered:
        insert = insert_or_renew(documents, connection.dialect.name, ("stored_time",), kept=("problems",))
        prepared.change_each(connection, insert, ordered)


def _collect(parts: Mapping[str, str], look_up: LookUp, found: dict[str, Document]) -> None:
    """Add these parts and their own, at any depth; FlowNotFound."""
    while wanted := {key: revision for key, revision in parts.items() if key not in found}:
        known = look_up(sorted(set(wanted.values())))
        further: dict[str, str] = {}
        for key, revision in wanted.items():
            if revision not in known:
                raise FlowNotFound(f"{key!r} at revision {revision!r} is not in the database.")
            found[key] = known[revision]
            further.update(known[revision].parts)
        parts = further


def _look_up(connection: Connection, revisions: Sequence[str]) -> dict[str, Document]:
    return {row.revision: _document(row) for row in connection.execute(BY_REVISIONS, {"revisions": revisions})}


def _document(row: Row[*tuple[Any, ...]]) -> Document:
    return Document(path=row.path, text=row.text, revision=row.revision, parts=row.parts)


def _row(document: Document, now: datetime) -> dict[str, Any]:
    return {
        "revision": document.revision,
        "path": document.path,
        "text": document.text,
        "parts": document.parts,
        "stored_time": now,
        "problems": [] if document.compiles else None,
    }
