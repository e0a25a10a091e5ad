"""The audit: who changed what, when, and from where."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from engine.models.access import Role
from engine.models.access_view import audit_json
from engine.models.audit import AuditFilter
from functions._http import operation
from functions._query import bounded

if TYPE_CHECKING:
    from engine.models import answers
    from engine.orchestrator import Orchestrator


@dataclass(frozen=True)
class ListAudit(AuditFilter):
    """Which changes, and which page of them."""

    limit: int = bounded(50, 1, 500)
    offset: int = bounded(0, 0, 1_000_000_000)

    def filter(self, **changes: Any) -> AuditFilter:
        """The same as the engine takes it."""
        return AuditFilter(**{each.name: getattr(self, each.name) for each in fields(AuditFilter)} | changes)


@operation("GET", "/api/audit", role=Role.ADMIN)
def list_audit(engine: Orchestrator, query: ListAudit) -> answers.AuditPage:
    """A page of the changes that were made, newest first."""
    found = engine.audit(query.filter(limit=query.limit + 1))
    return {
        "audit": [audit_json(row, engine.settings.timezone) for row in found[: query.limit]],
        "limit": query.limit,
        "offset": query.offset,
        "next": query.offset + query.limit if len(found) > query.limit else None,
    }
