"""Reading jobs: selects that are written once, rows that become models."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, func, literal, select

from engine.errors import JobNotFound
from engine.models.job import Claim, Job, JobFilter, Json, LogLine, Source, State, Status, StepRow, StepStatus
from engine.store.globs import path_matches
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
STEPS = select(steps).where(steps.c.job_id == bindparam("id")).order_by(steps.c.number)
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


def get_job(connection: Connection, id: str) -> Job:
    """The job with its data, result and errors; JobNotFound."""
    row = connection.execute(ONE, {"id": id}).first()
    if row is None:
        raise JobNotFound(id)
    return to_job(row)


def list_jobs(connection: Connection, filter: JobFilter, flows: str | None) -> list[Job]:
    """The page that the filter names, newest first, of the documents that the glob `flows` means."""
    newest = _matching(select(*IN_LISTS), filter, flows, connection.dialect.name).order_by(jobs.c.id.desc())
    return [to_job(row) for row in connection.execute(newest.limit(filter.limit).offset(filter.offset))]


def count_jobs(connection: Connection, filter: JobFilter, flows: str | None) -> int:
    """How many jobs the filter lets through, whatever its limit and offset."""
    number = select(func.count()).select_from(jobs)
    return connection.scalar(_matching(number, filter, flows, connection.dialect.name)) or 0


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
    return [_to_step(row) for row in connection.execute(STEPS, {"id": id})]


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


def to_job(row: Row[*tuple[Any, ...]]) -> Job:
    """A job of a row with the columns of a list, or with all of `ONE`."""
    fields = dict(row._mapping)
    fields.update(
        state=State(row.state),
        status=None if row.status is None else Status(row.status),
        source=Source(row.source),
        errors=row.errors or [],
    )
    return Job(**fields)


def to_claim(row: Row[*tuple[Any, ...]], **changed: Any) -> Claim:
    """A claim of a row with the columns of a Claim, and what the claim has changed."""
    fields = {**row._mapping, "source": Source(row.source), **changed}
    return Claim(**fields)


def _to_step(row: Row[*tuple[Any, ...]]) -> StepRow:
    fields = {**row._mapping, "status": StepStatus(row.status)}
    del fields["job_id"]
    return StepRow(**fields)


def _matching(query: Select[Any], filter: JobFilter, flows: str | None, dialect: str) -> Select[Any]:
    query = query.where(*_conditions(filter))
    return query if flows is None else query.where(path_matches(jobs.c.path, flows, dialect))


def _conditions(filter: JobFilter) -> list[ColumnElement[bool]]:
    equal = [(jobs.c[name], getattr(filter, name)) for name in ("state", "status", "path", "schedule_id")]
    conditions = [column == value for column, value in equal if value is not None]
    for name in ("start_time", "end_time"):
        first, beyond = getattr(filter, f"{name}_from"), getattr(filter, f"{name}_to")
        if first is not None:
            conditions.append(jobs.c[name] >= first)
        if beyond is not None:
            conditions.append(jobs.c[name] < beyond)
    return conditions
