"""The audit: what was changed is written down, and can be looked up."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from engine.clock import new_id
from engine.errors import OctoflowError
from engine.models.audit import AuditFilter, AuditRow, Change
from engine.orchestrator.part import Part
from engine.orchestrator.parts import Parts

if TYPE_CHECKING:
    from engine.store.audit import AuditStore

log = logging.getLogger("octoflow")


class AuditVerbs(Parts):
    """Write a row, list them, forget the old ones."""

    def record(self, change: Change) -> None:
        """Write down a change that was made. It stands also where this fails: then the service log has it."""
        try:
            self._audit.insert(audit_row(change, self.clock.now()))
        except OctoflowError as error:
            log.error("The audit could not be written (%s), and lacks %s", error, change)

    def audit(self, filter: AuditFilter) -> list[AuditRow]:
        """The changes that match, newest first."""
        return self._audit.list(filter)

    def _prune_audit(self, limit: int) -> int:
        """What the tick asks: forget at most so many changes that are older than RETENTION_AUDIT_DAYS; how many."""
        before = self._audit_kept_since(self.clock.now())
        return 0 if before is None else self._audit.prune(before, limit)

    def _audit_kept_since(self, now: datetime) -> datetime | None:
        """Changes before that time are forgotten; None keeps all."""
        days = self.settings.retention_audit_days
        return now - timedelta(days=days) if days else None

    @Part
    def _audit(self) -> AuditStore:
        from engine.store.audit import AuditStore

        return AuditStore(self._database)


def audit_row(change: Change, now: datetime, *, target: str | None = None, result_id: str | None = None) -> AuditRow:
    """The row of a change that is made now; of what was named and what was made, what is known better by now."""
    known = replace(change, target=target or change.target, result_id=result_id or change.result_id)
    return AuditRow(new_id(now), now, known)
