"""What a job does: its events, and its end, written by the owner that still holds it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, update

from engine.models.job import Event, Finish, LogLine, Outcome, Owner, State, StepEnded, StepStarted, StepStatus
from engine.store import prepared
from engine.store.claiming import IS_MINE, MY_STATE_HELD, claim_pending, mine
from engine.store.tables import insert_absent, jobs, logs, steps
from engine.store.unblocking import hand_over

END_STEP = (
    update(steps)
    .where(steps.c.job_id == bindparam("job"), steps.c.number == bindparam("step"))
    .values(
        status=bindparam("status"),
        end_time=bindparam("end_time"),
        error=bindparam("error"),
        result_key=bindparam("result_key"),
        output=bindparam("output"),
    )
)
STOP_STEPS = (
    update(steps)
    .where(steps.c.job_id == bindparam("job"), steps.c.status == StepStatus.RUNNING)
    .values(status=StepStatus.STOPPED, end_time=bindparam("now"))
)
FINISH = (
    update(jobs)
    .where(IS_MINE)
    .values(
        state=State.FINISHED,
        status=bindparam("status"),
        reason=bindparam("reason"),
        message=bindparam("message"),
        errors=bindparam("errors"),
        result=bindparam("result"),
        end_time=bindparam("end_time"),
        secrets=None,
        lock=None,
        owner=None,
        host=None,
        lease_until=None,
    )
)


@dataclass(frozen=True, slots=True)
class Batch:
    """Events as rows: one statement for each list that is not empty."""

    begun: list[dict[str, Any]] = field(default_factory=list)
    ended: list[dict[str, Any]] = field(default_factory=list)
    lines: list[dict[str, Any]] = field(default_factory=list)


def fold(id: str, events: Sequence[Event], *, again: bool = False) -> Batch:
    """The events of one job as rows; a step that begins and ends among them is a single row.

    `again`: its beginning may be there from an earlier attempt, so that its end is told once more by itself.
    """
    batch = Batch()
    begun: dict[int, dict[str, Any]] = {}
    for event in events:
        match event:
            case StepStarted():
                begun[event.number] = _beginning(id, event)
            case StepEnded() if event.number in begun and not again:
                begun[event.number].update(_ending(event))
            case StepEnded():
                batch.ended.append({"job": id, "step": event.number, **_ending(event)})
            case LogLine():
                batch.lines.append(
                    {
                        "job_id": id,
                        "time": event.time,
                        "level": event.level,
                        "step": event.step,
                        "message": event.message,
                    }
                )
    batch.begun.extend(begun.values())
    return batch


def record(
    connection: Connection,
    id: str,
    owner_id: str,
    epoch: int,
    events: Sequence[Event],
    first_line: int,
    again: bool,
) -> bool:
    """Write the events if this owner still holds the job."""
    if prepared.first_value(connection, MY_STATE_HELD, mine(id, owner_id, epoch)) is None:
        return False
    write(connection, id, fold(id, events, again=again), first_line)
    return True


def finish(
    connection: Connection,
    id: str,
    owner_id: str,
    epoch: int,
    outcome: Outcome,
    events: Sequence[Event],
    now: datetime,
    first_line: int,
    again: bool,
    lock: str | None,
    next_for: Owner | None = None,
    lease_until: datetime | None = None,
) -> Finish:
    """Close the job with its last events if this owner still holds it, hand its lock over, and claim the next job."""
    ending = {
        "status": outcome.status,
        "reason": outcome.reason,
        "message": outcome.message,
        "errors": outcome.errors or None,
        "result": outcome.result,
        "end_time": now,
    }
    if prepared.change(connection, FINISH, {**mine(id, owner_id, epoch), **ending}) == 0:
        return Finish(is_ours=False)
    write(connection, id, fold(id, events, again=again), first_line)
    prepared.change(connection, STOP_STEPS, {"job": id, "now": now})
    hand_over(connection, lock)
    if next_for is None or lease_until is None:
        return Finish(is_ours=True)
    claims = claim_pending(connection, next_for, now, lease_until, limit=1)
    return Finish(is_ours=True, next=claims[0] if claims else None)


def write(connection: Connection, id: str, batch: Batch, first_line: int) -> None:
    """Write the rows. The same batch once more changes nothing."""
    dialect = connection.dialect.name
    if batch.begun:
        prepared.change_each(connection, insert_absent(steps, dialect), batch.begun)
    if batch.ended:
        prepared.change_each(connection, END_STEP, batch.ended)
    if batch.lines:
        numbered = [{**line, "sequence": sequence} for sequence, line in enumerate(batch.lines, first_line)]
        prepared.change_each(connection, insert_absent(logs, dialect), numbered)


def _beginning(id: str, event: StepStarted) -> dict[str, Any]:
    return {
        "job_id": id,
        "number": event.number,
        "type": event.type,
        "status": StepStatus.RUNNING,
        "is_finally": event.is_finally,
        "start_time": event.time,
        "end_time": None,
        "name": event.name,
        "parent": event.parent,
        "result_key": None,
        "error": None,
        "output": None,
    }


def _ending(event: StepEnded) -> dict[str, Any]:
    return {
        "status": event.status,
        "end_time": event.time,
        "error": event.error,
        "result_key": event.result_key,
        "output": event.output,
    }
