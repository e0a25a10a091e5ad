"""Reading jobs: selects that are written once, rows that become models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import Connection, bindparam, func, literal, select

from engine.errors import JobNotFound
from engine.models.input_values import with_secrets
from engine.models.job import Claim, Job, Json, LogLine, Source, State, Status, StepRow, StepStatus
from engine.store import prepared
from engine.store.tables import jobs, logs, steps

IN_LISTS = [
    jobs.c[name]
    for name in (
        "id", "path", "name", "revision", "state", "status", "reason", "message", "priority", "source", "schedule_id",
        "timeout_seconds", "queued_time", "start_time", "end_time", "errors",
    )
]  # fmt: skip
ONE = select(*IN_LISTS, jobs.c.data, jobs.c.result).where(jobs.c.id == bindparam("id"))
STATE = select(jobs.c.state).where(jobs.c.id == bindparam("id"))
PATH = select(jobs.c.path).where(jobs.c.id == bindparam("id"))
PENDING = select(literal(1)).where(jobs.c.state == State.PENDING).limit(1)
STEPS = (
    select(*(steps.c[each.name] for each in fields(StepRow)))
    .where(steps.c.job_id == bindparam("id"))
    .order_by(steps.c.number)
)
OUTPUTS = (
    select(steps.c.result_key, steps.c.output)
    .where(steps.c.job_id == bindparam("id"), steps.c.status != StepStatus.RUNNING)
    .where(steps.c.parent.is_(None), steps.c.result_key.is_not(None), steps.c.output.is_not(None))
    .order_by(steps.c.number)
)
LAST_STEP = select(func.max(steps.c.number)).where(steps.c.job_id == bindparam("id"))
LAST_LINE = select(func.max(logs.c.sequence)).where(logs.c.job_id == bindparam("id"))
LINES = (
    select(logs)
    .where(logs.c.job_id == bindparam("id"), logs.c.sequence > bindparam("after"))
    .order_by(logs.c.sequence)
    .limit(bindparam("limit"))
)

STATES = {state.value: state for state in State}
STATUSES: dict[str | None, Status | None] = {None: None, **{status.value: status for status in Status}}
STEP_STATUSES = {status.value: status for status in StepStatus}
SOURCES = {source.value: source for source in Source}


def get_job(connection: Connection, id: str) -> Job:
    """The job with its data, result and errors; JobNotFound."""
    found = prepared.all_rows(connection, ONE, {"id": id})
    if not found:
        raise JobNotFound(id)
    return to_job(found[0])


def get_path(connection: Connection, id: str) -> str:
    """The job's document; JobNotFound."""
    path: str | None = connection.scalar(PATH, {"id": id})
    if path is None:
        raise JobNotFound(id)
    return path


def get_state(connection: Connection, id: str) -> State:
    """The job's state; JobNotFound."""
    state = connection.scalar(STATE, {"id": id})
    if state is None:
        raise JobNotFound(id)
    return State(state)


def get_steps(connection: Connection, id: str) -> list[StepRow]:
    """Every step run that was recorded, in the order they began."""
    return [_to_step(row) for row in prepared.all_rows(connection, STEPS, {"id": id})]


def get_outputs(connection: Connection, id: str) -> list[tuple[str, Json]]:
    """What the finished steps of the flow itself stored, in the order they began."""
    return [(row.result_key, row.output) for row in connection.execute(OUTPUTS, {"id": id})]


def get_logs(connection: Connection, id: str, after: int, limit: int) -> tuple[list[LogLine], int | None]:
    """The lines after that number, and the number to go on from: None when the job has ended and has no more."""
    ended = get_state(connection, id) is State.FINISHED
    rows = connection.execute(LINES, {"id": id, "after": after, "limit": limit}).all()
    lines = [LogLine(time=row.time, level=row.level, message=row.message, step=row.step) for row in rows]
    if ended and len(rows) < limit:
        return lines, None
    return lines, rows[-1].sequence if rows else after


def get_last_numbers(connection: Connection, id: str) -> tuple[int, int]:
    """The numbers of the last step run and of the last log line, 0 where there is none."""
    return connection.scalar(LAST_STEP, {"id": id}) or 0, connection.scalar(LAST_LINE, {"id": id}) or 0


def to_job(row: Sequence[Any]) -> Job:
    """A job of a row with the columns of a list, or of `ONE`. By position: pages are long, and names take longer."""
    id, path, name, revision, state, status, reason, message, priority, source, schedule, timeout, *others = row
    queued, start, end, errors, *data_and_result = others
    return Job(
        id, path, name, revision, STATES[state], STATUSES[status], reason, message, priority, SOURCES[source],
        schedule, timeout, queued, start, end, errors or [], *data_and_result,
    )  # fmt: skip


def to_claim(row: Sequence[Any], owner: str) -> Claim:
    """This owner's claim of a row with the columns of `TO_CLAIM` (claiming.py), with the next epoch."""
    id, path, name, revision, timeout, epoch, start, source, reason, has_finally, lock, data, secrets = row
    return Claim(
        id, path, name, revision, with_secrets(data, secrets), timeout, owner, epoch + 1, start,
        SOURCES[source], reason, bool(has_finally), lock, tuple((secrets or {}).values()),
    )  # fmt: skip


def _to_step(row: Sequence[Any]) -> StepRow:
    number, name, type, status, *others = row
    return StepRow(number, name, type, STEP_STATUSES[status], *others)
