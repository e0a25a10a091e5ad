"""Who runs a job: taking it, keeping it, being told to stop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Update, bindparam, literal, or_, select, update

from engine.models.job import Claim, Job, Owner, Reason, State, Status
from engine.store import prepared
from engine.store.job_rows import get_job, to_claim
from engine.store.tables import jobs
from engine.store.unblocking import hand_over

ACTIVE = (State.RUNNING, State.STOPPING)

TO_CLAIM = (
    select(
        jobs.c.id,
        jobs.c.path,
        jobs.c.name,
        jobs.c.revision,
        jobs.c.timeout_seconds,
        jobs.c.epoch,
        jobs.c.start_time,
        jobs.c.source,
        jobs.c.reason,
        jobs.c.has_finally,
        jobs.c.lock,
        jobs.c.data,
        jobs.c.secrets,
    )
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True)  # SQLite has no such clause and no need of it: BEGIN IMMEDIATE.
)
PENDING: Select[Any] = TO_CLAIM.where(jobs.c.state == State.PENDING).order_by(jobs.c.priority, jobs.c.id)
IS_HANDED_ON = (jobs.c.state == State.STOPPING) & jobs.c.owner.is_(None)
HANDED_ON: Select[Any] = TO_CLAIM.where(IS_HANDED_ON).order_by(jobs.c.id)
ANY_HANDED_ON = select(literal(1)).where(IS_HANDED_ON).limit(1)

TAKE = (
    update(jobs)
    .where(jobs.c.id == bindparam("job"))
    .values(
        owner=bindparam("new_owner"),
        host=bindparam("new_host"),
        epoch=jobs.c.epoch + 1,
        lease_until=bindparam("until"),
    )
)
START = TAKE.where(jobs.c.state == State.PENDING).values(state=State.RUNNING, start_time=bindparam("now"))
ADOPT = TAKE.where(IS_HANDED_ON)

IS_MINE: ColumnElement[bool] = (
    (jobs.c.id == bindparam("job"))
    & (jobs.c.owner == bindparam("holder"))
    & (jobs.c.epoch == bindparam("claimed"))
    & or_(*(jobs.c.state == state for state in ACTIVE))  # A list would be compiled anew each time.
)
"""The fence that every write of an owner goes through; its parameters are `mine()`."""
MY_STATE = select(jobs.c.state).where(IS_MINE)
MY_STATE_HELD = MY_STATE.with_for_update()
RENEW = update(jobs).where(IS_MINE).values(lease_until=bindparam("until"))
STOP = update(jobs).where(IS_MINE, jobs.c.state == State.RUNNING).values(state=State.STOPPING, reason=bindparam("why"))

MY_STOPPING = select(jobs.c.id, jobs.c.reason).where(
    jobs.c.owner == bindparam("holder"), jobs.c.state == State.STOPPING
)

NOT_BEGUN = (State.BLOCKED, State.PENDING)
LOCK_OF_NOT_BEGUN = (
    select(jobs.c.lock).where(jobs.c.id == bindparam("job"), jobs.c.state.in_(NOT_BEGUN)).with_for_update()
)
CANCEL_NOT_BEGUN = (
    update(jobs)
    .where(jobs.c.id == bindparam("job"), jobs.c.state.in_(NOT_BEGUN))
    .values(
        state=State.FINISHED,
        status=Status.CANCELLED,
        reason=Reason.CANCELLED,
        message="Cancelled before it began.",
        lock=None,
        wanted=None,
        secrets=None,
        end_time=bindparam("now"),
    )
)
CANCEL_RUNNING = (
    update(jobs)
    .where(jobs.c.id == bindparam("job"), jobs.c.state == State.RUNNING)
    .values(state=State.STOPPING, reason=Reason.CANCELLED)
)


def mine(id: str, owner_id: str, epoch: int) -> dict[str, Any]:
    """The parameters of `IS_MINE`."""
    return {"job": id, "holder": owner_id, "claimed": epoch}


def claim_pending(
    connection: Connection, owner: Owner, now: datetime, lease_until: datetime, limit: int
) -> list[Claim]:
    """Start pending jobs: lowest priority number first, then oldest."""
    claims = [
        replace(to_claim(row, owner.id), start_time=now)
        for row in prepared.all_rows(connection, PENDING, {"limit": limit})
    ]
    _take(connection, START, claims, owner, {"until": lease_until, "now": now})
    return claims


def adopt_lost(connection: Connection, owner: Owner, lease_until: datetime, limit: int) -> list[Claim]:
    """Take over jobs whose worker was lost and whose `finally_step` is still to run."""
    claims = [to_claim(row, owner.id) for row in prepared.all_rows(connection, HANDED_ON, {"limit": limit})]
    _take(connection, ADOPT, claims, owner, {"until": lease_until})
    return claims


def renew(connection: Connection, id: str, owner_id: str, epoch: int, lease_until: datetime) -> State | None:
    """Lengthen the lease; None when the job is no longer ours."""
    key = mine(id, owner_id, epoch)
    if connection.execute(RENEW, {**key, "until": lease_until}).rowcount == 0:
        return None
    state = connection.scalar(MY_STATE, key)
    return None if state is None else State(state)


def cancel(connection: Connection, id: str, now: datetime) -> Job:
    """End the job if it has not begun, tell it to stop if it runs; the job as it is then."""
    held = connection.execute(LOCK_OF_NOT_BEGUN, {"job": id}).first()
    if held is None:
        connection.execute(CANCEL_RUNNING, {"job": id})
    else:
        connection.execute(CANCEL_NOT_BEGUN, {"job": id, "now": now})
        hand_over(connection, held.lock)
    return get_job(connection, id)


def _take(
    connection: Connection, statement: Update, claims: Sequence[Claim], owner: Owner, values: dict[str, Any]
) -> None:
    if claims:
        taken = {"new_owner": owner.id, "new_host": owner.host, **values}
        prepared.change_each(connection, statement, [{"job": claim.id, **taken} for claim in claims])
