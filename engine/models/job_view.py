"""How jobs, their steps and their log lines are shown: JSON, the same in an answer and on a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

from engine.models.times import format_time

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

    from engine.models import answers
    from engine.models.job import Job, LogLine, StepRow


def job_json(job: Job, steps: Iterable[StepRow], zone: tzinfo) -> answers.Job:
    """A job with all it has."""
    return {
        **job_summary_json(job, zone),
        "data": job.data,
        "result": job.result,
        "steps": [step_json(step, zone) for step in steps],
    }


def job_summary_json(job: Job, zone: tzinfo) -> answers.JobSummary:
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


def step_json(step: StepRow, zone: tzinfo) -> answers.Step:
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


def log_line_json(line: LogLine, zone: tzinfo) -> answers.LogLine:
    """One line of a job's log."""
    return {"time": format_time(line.time, zone), "level": line.level, "step": line.step, "message": line.message}


def _seconds_between(start: datetime | None, end: datetime | None) -> float | None:
    return None if start is None or end is None else round((end - start).total_seconds(), 3)
