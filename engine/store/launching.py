"""A launch: the row, its lock and its documents in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select

from engine.errors import FlowRunning
from engine.models.audit import AuditRow
from engine.models.flow import Document
from engine.models.input_values import with_secrets
from engine.models.job import Claim, NewJob, Owner, State
from engine.models.once import Once
from engine.store import prepared
from engine.store.audit import insert_audit
from engine.store.documents import insert_documents
from engine.store.once import use_key
from engine.store.tables import insert_absent, jobs

HOLDER = select(jobs.c.id).where(jobs.c.lock.in_(bindparam("locks", expanding=True))).order_by(jobs.c.id).limit(1)
INSERT = jobs.insert()
ATTEMPTS = 3
"""A lock can become free between the refused insert and the look at its holder; then the insert is tried again."""


def launch(
    connection: Connection,
    job: NewJob,
    now: datetime,
    *,
    owner: Owner | None,
    lease_until: datetime | None,
    documents: Sequence[Document],
    audit: AuditRow | None = None,
    once: Once | None = None,
) -> Claim | None:
    """Insert the job, claimed when an owner is given; AskedBefore, FlowRunning when another holds its last lock."""
    if once is not None:
        use_key(connection, once, job.id, now)
    insert_documents(connection, documents, now)
    row = pending_row(job, now)
    if owner is not None:
        row |= {
            "state": State.RUNNING,
            "owner": owner.id,
            "host": owner.host,
            "epoch": 1,
            "lease_until": lease_until,
            "start_time": now,
        }
    lock = None
    if job.lock_slots:
        lock = _insert_locked(connection, job.lock_slots, row)
    else:
        prepared.change(connection, INSERT, row)
    if audit is not None:
        insert_audit(connection, audit)
    return None if owner is None else _claim(job, owner, now, lock)


def _insert_locked(connection: Connection, slots: Sequence[str], row: dict[str, Any]) -> str:
    # The unique column decides, not a look before the insert. No refused INSERT is an error inside the transaction,
    # because PostgreSQL would give the whole transaction up.
    insert = insert_absent(jobs, connection.dialect.name)
    for _ in range(ATTEMPTS):
        for slot in slots:
            if prepared.change(connection, insert, {**row, "lock": slot}) == 1:
                return slot
        holder = connection.scalar(HOLDER, {"locks": list(slots)})
        if holder is not None:
            raise FlowRunning(holder)
    raise FlowRunning(None)


def pending_row(job: NewJob, now: datetime) -> dict[str, Any]:
    """The row of a job that holds no lock yet and that nobody has claimed."""
    return {
        "id": job.id,
        "path": job.path,
        "revision": job.revision,
        "state": State.PENDING,
        "priority": job.priority,
        "source": job.source,
        "schedule_id": job.schedule_id,
        "timeout_seconds": job.timeout_seconds,
        "lock": None,
        "epoch": 0,
        "queued_time": now,
        "has_finally": job.has_finally,
        "name": job.name,
        "data": job.data,
        "secrets": job.secrets,
    }


def _claim(job: NewJob, owner: Owner, now: datetime, lock: str | None) -> Claim:
    return Claim(
        id=job.id,
        path=job.path,
        name=job.name,
        revision=job.revision,
        data=with_secrets(job.data, job.secrets),
        secrets=tuple((job.secrets or {}).values()),
        timeout_seconds=job.timeout_seconds,
        owner=owner.id,
        epoch=1,
        start_time=now,
        source=job.source,
        has_finally=job.has_finally,
        lock=lock,
    )
