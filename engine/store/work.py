"""Whether time has brought a tick anything to do: one question, for what its stages would ask one after another."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, bindparam, exists, or_, select

from engine.clock import id_floor
from engine.models.job import State
from engine.store import once, prepared
from engine.store.claiming import ACTIVE
from engine.store.database import Database
from engine.store.deleting import beyond
from engine.store.pruning import FAILED, OTHERS
from engine.store.tables import audit, idempotency_keys, jobs, marks, schedules, slots
from engine.store.unblocking import STRANDED


def _ended(kind: str, *statuses: str) -> ColumnElement[bool]:
    """Jobs that are to be pruned, found by the index as `pruning` finds them; none where the time is NULL."""
    ids, ends = jobs.c.id < bindparam(f"{kind}_beyond"), jobs.c.end_time < bindparam(f"{kind}_before")
    return or_(*(exists().where(jobs.c.status == status, ids, ends) for status in statuses))


# A list of states or statuses would be compiled anew each time.
IS_ANY = select(
    or_(
        exists().where(schedules.c.next_due <= bindparam("now")),
        exists().where(jobs.c.state == State.PENDING),
        *(exists().where(jobs.c.state == state, jobs.c.lease_until < bindparam("now")) for state in ACTIVE),
        STRANDED.exists(),
        _ended("others", *OTHERS),
        _ended("failed", *FAILED),
        exists().where(slots.c.due_time < bindparam("others_before")),
        exists().where(audit.c.id < bindparam("audit_beyond")),
        exists().where(idempotency_keys.c.time <= bindparam("keys_before")),
        ~exists().where(marks.c.name == "timezone", marks.c.text == bindparam("zone")),
        ~exists().where(marks.c.name == "tidied", marks.c.time.between(bindparam("earliest"), bindparam("latest"))),
    )
)


class WorkStore:
    """Looks at everything that a tick is for."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def is_any(
        self,
        now: datetime,
        *,
        zone: str,
        ended_before: datetime | None,
        failed_before: datetime | None,
        audit_before: datetime | None,
        tidied_within: timedelta,
    ) -> bool:
        """Whether a stage of the tick would find anything. None keeps for ever.

        Not looked at is what files say: dead owners, config.yml.
        """
        row = {
            "now": now,
            "others_before": ended_before,
            "others_beyond": None if ended_before is None else beyond(ended_before),
            "failed_before": failed_before,
            "failed_beyond": None if failed_before is None else beyond(failed_before),
            "audit_beyond": None if audit_before is None else id_floor(audit_before),
            "keys_before": now - once.KEPT,
            "zone": zone,
            "earliest": now - tidied_within,
            "latest": now + tidied_within,
        }
        return bool(self._database.ask(lambda c: prepared.first_value(c, IS_ANY, row)))
