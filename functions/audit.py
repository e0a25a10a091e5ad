"""The audit: who changed what, when, and from where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.models.access import Role
from engine.models.access_view import audit_json
from functions._http import operation

if TYPE_CHECKING:
    from engine.models import answers
    from engine.orchestrator import Orchestrator
    from functions._queries import ListAudit


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
