"""Jobs whose worker was lost: closed, handed on for their `finally_step`, or pending again if none had begun."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, or_, select, update

from engine.models.job import Reason, State, Status, StepStatus, Swept
from engine.store.claiming import ACTIVE
from engine.store.tables import jobs, steps
from engine.store.unblocking import hand_over

BATCH = 100
LAST_CLAIM = 3
"""After so many claims a job that no step began of is closed, as it seems to kill whoever takes it."""
LAST_EPOCH = 7
"""A claim and three adoptions: after that the `finally_step` is given up, as it seems to kill whoever takes it."""

# No lease and no owner means handed on already, or a batch: neither condition holds for NULL.
LOST = (
    select(jobs.c.id, jobs.c.state, jobs.c.epoch, jobs.c.reason, jobs.c.has_finally, jobs.c.lock, jobs.c.errors)
    .where(jobs.c.state.in_(ACTIVE))
    .where(or_(jobs.c.lease_until < bindparam("now"), jobs.c.owner.in_(bindparam("dead", expanding=True))))
    .order_by(jobs.c.id)
    .limit(bindparam("limit"))
)
LOST_STEPS = (
    select(steps.c.job_id, steps.c.name, steps.c.type, steps.c.status, steps.c.is_finally)
    .where(steps.c.job_id.in_(bindparam("ids", expanding=True)))
    .where(or_(steps.c.number == 1, steps.c.status == StepStatus.RUNNING, steps.c.is_finally.is_(True)))
    .order_by(steps.c.number)
)
STOP_STEPS = (
    update(steps)
    .where(steps.c.job_id.in_(bindparam("ids", expanding=True)), steps.c.status == StepStatus.RUNNING)
    .values(status=StepStatus.STOPPED, end_time=bindparam("now"))
)
RELEASE = (
    update(jobs)
    .where(jobs.c.id == bindparam("job"), jobs.c.epoch == bindparam("claimed"), jobs.c.state == bindparam("was"))
    .values(
        owner=None,
        host=None,
        lease_until=None,
        reason=bindparam("why"),
        message=bindparam("text"),
        errors=bindparam("found"),
    )
)
REQUEUE = RELEASE.values(state=State.PENDING, start_time=None)
HAND_ON = RELEASE.values(state=State.STOPPING, epoch=jobs.c.epoch + 1)
CLOSE = RELEASE.values(
    state=State.FINISHED, status=bindparam("ended"), lock=None, secrets=None, end_time=bindparam("now")
)

MESSAGES = {
    Reason.CANCELLED: "Cancelled; its worker was lost before it could say how far it came.",
    Reason.TIMEOUT: "Timed out; its worker was lost while it stopped.",
    Reason.SHUTDOWN: "Stopped because the service shut down.",
}
LOST_MESSAGE = "The worker that ran this job was lost."


@dataclass(frozen=True, slots=True)
class Loss:
    """What becomes of one lost job."""

    hands_on: bool
    status: Status
    reason: str
    message: str
    errors: list[dict[str, Any]]


def decide(
    *,
    reason: str | None,
    has_finally: bool,
    finally_began: bool,
    epoch: int,
    errors: Sequence[dict[str, Any]],
    running: tuple[str, str] | None,
) -> Loss:
    """What becomes of a lost job. `running` is name and type of the step it was in; an earlier reason to stop stays."""
    kept = reason or Reason.WORKER_LOST
    message = next((text for known, text in MESSAGES.items() if known == kept), LOST_MESSAGE)
    cancelled = kept == Reason.CANCELLED
    known = list(errors)
    if not cancelled and (running is not None or not known):
        name, type = running or (None, None)
        known.append({"step": name, "type": type, "error": message})
    return Loss(
        hands_on=has_finally and not finally_began and epoch < LAST_EPOCH,
        status=Status.CANCELLED if cancelled else Status.FAILED,
        reason=kept,
        message=message,
        errors=known,
    )


def any_lost(connection: Connection, now: datetime, dead: Collection[str]) -> bool:
    """Whether a sweep would find anything."""
    return connection.execute(LOST, {"now": now, "dead": sorted(dead), "limit": 1}).first() is not None


def sweep_batch(connection: Connection, now: datetime, dead: Collection[str]) -> Swept:
    """Settle at most `BATCH` lost jobs."""
    to_settle = LOST.with_for_update(skip_locked=True)
    rows = connection.execute(to_settle, {"now": now, "dead": sorted(dead), "limit": BATCH}).all()
    if not rows:
        return Swept()
    ids = [row.id for row in rows]
    seen = connection.execute(LOST_STEPS, {"ids": ids}).all()
    begun = {step.job_id for step in seen}
    finally_begun = {step.job_id for step in seen if step.is_finally}
    running = {step.job_id: (step.name, step.type) for step in seen if step.status == StepStatus.RUNNING}
    idle = [row for row in rows if row.id not in begun and _may_begin_anew(row)]
    for row in idle:
        connection.execute(REQUEUE, {**_held(row), "why": None, "text": None, "found": None})
    lost = [row for row in rows if row not in idle]
    swept = [_settle(connection, row, row.id in finally_begun, running.get(row.id), now) for row in lost]
    connection.execute(STOP_STEPS, {"ids": ids, "now": now})
    return Swept(closed=swept.count(False), handed_on=swept.count(True), requeued=len(idle))


def _may_begin_anew(row: Row[*tuple[Any, ...]]) -> bool:
    """Whether a job may be run by another, none of its steps being on the disk.

    A step that acts is on the disk before it does so (`Step.acts`): what may have run had no effect outside the job.
    """
    return row.state == State.RUNNING and row.reason is None and row.epoch < LAST_CLAIM


def _held(row: Row[*tuple[Any, ...]]) -> dict[str, Any]:
    return {"job": row.id, "claimed": row.epoch, "was": row.state}


def _settle(
    connection: Connection,
    row: Row[*tuple[Any, ...]],
    finally_began: bool,
    running: tuple[str, str] | None,
    now: datetime,
) -> bool:
    loss = decide(
        reason=row.reason,
        has_finally=row.has_finally,
        finally_began=finally_began,
        epoch=row.epoch,
        errors=row.errors or [],
        running=running,
    )
    values = {
        **_held(row),
        "why": loss.reason,
        "text": loss.message,
        "found": loss.errors or None,
    }
    if loss.hands_on:
        connection.execute(HAND_ON, values)
    else:
        connection.execute(CLOSE, {**values, "ended": loss.status, "now": now})
        hand_over(connection, row.lock)
    return loss.hands_on
