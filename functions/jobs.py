"""Jobs: launch, watch, cancel, delete."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

from engine.errors import (
    Busy,
    DocumentInvalid,
    FlowNotFound,
    FlowRunning,
    IdempotencyKeyReused,
    InputsInvalid,
    JobActive,
    JobEnded,
    JobNotFound,
    PathRefused,
)
from engine.models.access import Role
from engine.models.times import format_time
from functions._answers import Accepted, Done
from functions._http import operation

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

    from engine.models import answers
    from engine.models.audit import Change
    from engine.models.job import Job, LogLine, StepRow
    from engine.models.once import Once
    from engine.models.requests import LaunchJob
    from engine.orchestrator import Orchestrator
    from functions._queries import DeleteJobs, ListJobs, ListLogs


NOT_LAUNCHED = (FlowNotFound, DocumentInvalid, InputsInvalid, PathRefused, FlowRunning, Busy, IdempotencyKeyReused)


@operation("POST", "/api/jobs", role=Role.OPERATOR, status=202, errors=NOT_LAUNCHED)
def launch_job(
    engine: Orchestrator, body: LaunchJob, change: Change, wait: int, once: Once | None, up: str
) -> Accepted[answers.Launched] | Done[answers.Job]:
    """Start a flow and answer at once with its job id. With the whole job once it has ended: where the caller waits for
    it, and where jobs run inline."""
    job_id = engine.made_before(once) or engine.launch(
        body.path, body.data, timeout_seconds=body.timeout_seconds, priority=body.priority, change=change, once=once
    )
    return launched(engine, job_id, up, wait)


@operation("GET", "/api/jobs", role=Role.VIEWER)
def list_jobs(engine: Orchestrator, query: ListJobs) -> answers.JobPage:
    """A page of jobs, newest first."""
    found = engine.jobs(query.filter(limit=query.limit + 1))
    zone = engine.settings.timezone
    page: answers.JobPage = {
        "jobs": [job_summary(job, zone) for job in found[: query.limit]],
        "limit": query.limit,
        "offset": query.offset,
        "next": query.offset + query.limit if len(found) > query.limit else None,
    }
    if query.count:
        page["total"] = engine.count_jobs(query.filter())
    return page


@operation("GET", "/api/jobs/<id>", role=Role.VIEWER, errors=[JobNotFound])
def get_job(engine: Orchestrator, id: str) -> answers.Job:
    """Everything about one job: its data, its result, its steps."""
    return whole_job(*engine.job(id), engine.settings.timezone)


@operation("GET", "/api/jobs/<id>/logs", role=Role.VIEWER, errors=[JobNotFound])
def get_job_logs(engine: Orchestrator, id: str, query: ListLogs) -> answers.LogPage:
    """The job's log lines, oldest first; `next` is the `after` of the next page."""
    lines, following = engine.logs(id, query.after, query.limit)
    return {"logs": [log_line(line, engine.settings.timezone) for line in lines], "next": following}


@operation("POST", "/api/jobs/<id>/cancel", role=Role.OPERATOR, status=202, errors=[JobNotFound, JobEnded])
def cancel_job(engine: Orchestrator, id: str) -> answers.Stopping:
    """Stop the job; its finally_step still runs."""
    job = engine.cancel(id)
    return {"job_id": job.id, "state": job.state}


@operation("DELETE", "/api/jobs/<id>", role=Role.ADMIN, errors=[JobNotFound, JobActive])
def delete_job(engine: Orchestrator, id: str) -> answers.Deleted:
    """Forget one job that has ended."""
    engine.delete_job(id)
    return {"deleted": 1}


@operation("DELETE", "/api/jobs", role=Role.ADMIN)
def delete_jobs(engine: Orchestrator, query: DeleteJobs) -> answers.Deleted:
    """Forget the ended jobs that the filters name."""
    deleted = engine.delete_jobs(older_than_days=query.older_than_days, state=query.state, status=query.status)
    return {"deleted": deleted}


def launched(
    engine: Orchestrator, id: str, up: str, wait_seconds: int
) -> Accepted[answers.Launched] | Done[answers.Job]:
    """What a launch comes to: 200 with the job when it has ended, or does so in time, else 202 with its id.

    `up` leads from where it was asked to the API's root.
    """
    match engine.ended(id, wait_seconds):
        case None:
            return Accepted({"job_id": id}, {"Location": f"{up}jobs/{id}"})
        case job, steps:
            return Done(whole_job(job, steps, engine.settings.timezone))


def whole_job(job: Job, steps: Iterable[StepRow], zone: tzinfo) -> answers.Job:
    """A job with all it has."""
    return {
        **job_summary(job, zone),
        "data": job.data,
        "result": job.result,
        "steps": [step_summary(step, zone) for step in steps],
    }


def job_summary(job: Job, zone: tzinfo) -> answers.JobSummary:
    """A job as it stands in a list."""
    return {
        "id": job.id,
        "path": job.path,
        "name": job.name,
        "revision": job.revision,
        "state": job.state,
        "status": job.status,
        "reason": job.reason,
        "message": job.message,
        "priority": job.priority,
        "source": job.source,
        "schedule_id": job.schedule_id,
        "timeout_seconds": job.timeout_seconds,
        "queued_time": format_time(job.queued_time, zone),
        "start_time": format_time(job.start_time, zone),
        "end_time": format_time(job.end_time, zone),
        "duration_seconds": _seconds_between(job.start_time, job.end_time),
        "errors": cast("list[answers.JobError]", job.errors),
    }


def step_summary(step: StepRow, zone: tzinfo) -> answers.Step:
    """One step run of a job."""
    return {
        "number": step.number,
        "name": step.name,
        "type": step.type,
        "status": step.status,
        "parent": step.parent,
        "start_time": format_time(step.start_time, zone),
        "end_time": format_time(step.end_time, zone),
        "duration_seconds": _seconds_between(step.start_time, step.end_time),
        "error": step.error,
        "result_key": step.result_key,
        "output": step.output,
        "is_finally": step.is_finally,
    }


def log_line(line: LogLine, zone: tzinfo) -> answers.LogLine:
    """One line of a job's log."""
    return {"time": format_time(line.time, zone), "level": line.level, "step": line.step, "message": line.message}


def _seconds_between(start: datetime | None, end: datetime | None) -> float | None:
    return None if start is None or end is None else round((end - start).total_seconds(), 3)
