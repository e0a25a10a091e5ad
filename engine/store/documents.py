"""Documents: each text once for each revision, so that a job runs what it was launched with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from engine.errors import FlowNotFound
from engine.models.flow import Document
from engine.store.database import Database
from engine.store.tables import documents, insert_absent

MAX_KEPT = 200
"""So many bundles are kept in memory: a revision never changes."""

SELECT = select(documents.c.path, documents.c.text, documents.c.revision, documents.c.parts)
BY_REVISION = SELECT.where(documents.c.revision == bindparam("revision"))
BY_REVISIONS = SELECT.where(documents.c.revision.in_(bindparam("revisions", expanding=True)))


class DocumentStore:
    """The documents of one database. Remembers which revisions are stored, so that a repeated launch writes none."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._stored: set[str] = set()
        self._bundles: dict[str, dict[str, Document]] = {}

    def put(self, documents: Sequence[Document]) -> None:
        """Store those that are not stored yet."""
        missing = self.missing(documents)
        if missing:
            self._database.change(lambda connection: insert_documents(connection, missing))
            self.remember(missing)

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
            self._database.ask(lambda connection: _collect(connection, main.parts, found))
            if len(self._bundles) >= MAX_KEPT:
                self._bundles.clear()
            self._bundles[revision] = found
        return found

    def missing(self, documents: Iterable[Document]) -> list[Document]:
        """Those that this process does not know to be stored."""
        return [document for document in documents if document.revision not in self._stored]

    def remember(self, documents: Iterable[Document]) -> None:
        """These are stored now: to be called after the commit."""
        self._stored.update(document.revision for document in documents)


def insert_documents(connection: Connection, missing: Sequence[Document]) -> None:
    """Insert those that are absent, within the caller's transaction."""
    if missing:
        # In the order of the key, so that two launches that share parts cannot wait for each other.
        rows = [_row(document) for document in sorted(missing, key=lambda document: document.revision)]
        connection.execute(insert_absent(documents, connection.dialect.name), rows)


def _collect(connection: Connection, parts: Mapping[str, str], found: dict[str, Document]) -> None:
    while wanted := {key: revision for key, revision in parts.items() if key not in found}:
        rows = connection.execute(BY_REVISIONS, {"revisions": sorted(set(wanted.values()))})
        known = {row.revision: _document(row) for row in rows}
        further: dict[str, str] = {}
        for key, revision in wanted.items():
            if revision not in known:
                raise FlowNotFound(f"{key!r} at revision {revision!r} is not in the database.")
            found[key] = known[revision]
            further.update(known[revision].parts)
        parts = further


def _document(row: Row[*tuple[Any, ...]]) -> Document:
    return Document(path=row.path, text=row.text, revision=row.revision, parts=row.parts)


def _row(document: Document) -> dict[str, Any]:
    return {"revision": document.revision, "path": document.path, "text": document.text, "parts": document.parts}
