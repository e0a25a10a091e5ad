"""Two ways to the audit: a service over HTTP, or the data folder of this machine.

What they give is JSON as the API answers it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from engine.cli.opening import moment, visit_engine
from engine.cli.service import Object, Service, named_service
from engine.models.access_view import audit_json
from engine.models.audit import Action, AuditFilter


class AuditClient(Protocol):
    """What can be asked. What cannot be done is an OctoflowError of one sentence."""

    def find(self, filters: Mapping[str, str], limit: int) -> list[Object]:
        """The changes that match, newest first; `filters` are named and written as in the API's query."""

    def close(self) -> None:
        """Let go of everything."""


def audit_client() -> AuditClient:
    """The service that OCTOFLOW_URL names, else the data folder."""
    service = named_service()
    return FolderAudit() if service is None else ServiceAudit(service)


class FolderAudit:
    """The audit of the data folder."""

    def __init__(self) -> None:
        self._engine = visit_engine()

    def find(self, filters: Mapping[str, str], limit: int) -> list[Object]:
        asked = AuditFilter(
            actor=filters.get("actor"),
            action=Action(filters["action"]) if "action" in filters else None,
            time_from=moment(self._engine, "--since", filters.get("time_from")),
            time_to=moment(self._engine, "--until", filters.get("time_to")),
            limit=limit,
        )
        return [audit_json(row, self._engine.settings.timezone) for row in self._engine.audit(asked)]

    def close(self) -> None:
        self._engine.close()


class ServiceAudit:
    """The audit of a service."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def find(self, filters: Mapping[str, str], limit: int) -> list[Object]:
        rows: list[Object] = self._service.ask("GET", "/api/audit", "audit", {**filters, "limit": limit})["audit"]
        return rows

    def close(self) -> None:
        self._service.close()
