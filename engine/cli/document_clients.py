"""Two ways to the documents with the same verbs: a service over HTTP, or the data folder of this machine.

What they give is JSON as the API answers it.
"""

from __future__ import annotations

from posixpath import normpath
from typing import Any, Protocol
from urllib.parse import quote

from engine.cli.opening import below, visit_engine
from engine.cli.service import Object, Service, named_service
from engine.errors import FlowNotFound
from engine.models.document import DocumentFilter
from engine.models.document_view import document_json, document_summary_json


class DocumentClient(Protocol):
    """The verbs. What cannot be done is an OctoflowError of one sentence."""

    def find(self, q: str | None, glob: str | None, limit: int) -> list[Object]:
        """The documents with `q` in their path and those that the glob means, by path."""

    def show(self, path: str) -> Object:
        """One document with all that is known of it."""

    def close(self) -> None:
        """Let go of everything."""


def document_client() -> DocumentClient:
    """The service that OCTOFLOW_URL names, else the data folder."""
    service = named_service()
    return FolderDocuments() if service is None else ServiceDocuments(service)


class FolderDocuments:
    """The documents below FLOWS_PATH."""

    def __init__(self) -> None:
        self._engine = visit_engine()
        self._zone = self._engine.settings.timezone

    def find(self, q: str | None, glob: str | None, limit: int) -> list[Object]:
        found = self._engine.documents(DocumentFilter(q, glob, limit))
        return [document_summary_json(document, self._zone) for document in found]

    def show(self, path: str) -> Object:
        return document_json(self._engine.document(below(self._engine.settings.flows_path, path)), self._zone)

    def close(self) -> None:
        self._engine.close()


class ServiceDocuments:
    """The documents of a service."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def find(self, q: str | None, glob: str | None, limit: int) -> list[Object]:
        query: dict[str, Any] = {"q": q, "glob": glob, "limit": limit}
        documents: list[Object] = self._service.ask("GET", "/api/documents", "documents", query)["documents"]
        return documents

    def show(self, path: str) -> Object:
        return self._service.ask("GET", _place(path), "outline")

    def close(self) -> None:
        self._service.close()


def _place(path: str) -> str:
    """Where a document is; FlowNotFound for what cannot be one's path, and might lead elsewhere."""
    key = normpath(path)
    if key.startswith(("/", "..")) or key == ".":
        raise FlowNotFound(f"There is no flow {path!r} in FLOWS_PATH.")
    return f"/api/documents/{quote(key, errors='surrogateescape')}"
