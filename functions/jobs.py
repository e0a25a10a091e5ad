"""Jobs: launch, watch, cancel, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
from engine.models.job_view import job_json, job_summary_json, log_line_json
from functions._answers import Accepted, Done
from functions._http import operation

if TYPE_CHECKING:
    from engine.models import answers
    from engine.models.audit import Change
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
        "jobs": [job_summary_json(job, zone) for job in found[: query.limit]],
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
    return job_json(*engine.job(id), engine.settings.timezone)


@operation("GET", "/api/jobs/<id>/logs", role=Role.VIEWER, errors=[JobNotFound])
def get_job_logs(engine: Orchestrator, id: str, query: ListLogs) -> answers.LogPage:
    """The job's log lines, oldest first. `next` is the `after` of the next page."""
    lines, following = engine.logs(id, query.after, query.limit)
    return {"logs": [log_line_json(line, engine.settings.timezone) for line in lines], "next": following}


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
            return Done(job_json(job, steps, engine.settings.timezone))
