"""Answers about jobs."""

from __future__ import annotations

from typing import NotRequired

from engine.models.answers.shown import Json, Shown, Time
from engine.models.job import Source, State, Status, StepStatus


class JobError(Shown):
    """A step's error."""

    step: str | None
    """null when no step had begun."""
    type: str | None
    error: str
    ignored: NotRequired[str]
    """The pattern of `ignore_errors` that forgave it."""


class JobSummary(Shown):
    """A job as it stands in a list."""

    id: str
    path: str
    """The document's path below FLOWS_PATH."""
    name: str
    """The name that the document has."""
    revision: str
    """What the document's text was, as a hash of it."""
    state: State
    status: Status | None
    """null until it has ended."""
    reason: str | None
    """Why it ended so, in a word such as `step_error`, `timeout`, `cancelled`, `worker_lost`, `limit` or `shutdown`."""
    message: str | None
    """The same as a sentence, or the message of an `exit` step."""
    priority: int
    """The lowest number runs first."""
    source: Source
    schedule_id: str | None
    """The schedule that launched it."""
    timeout_seconds: float | None
    queued_time: Time
    start_time: Time | None
    end_time: Time | None
    duration_seconds: float | None
    """From start to end."""
    errors: list[JobError]


class Step(Shown):
    """One step run of a job."""

    number: int
    """Step runs count from 1."""
    name: str
    type: str
    status: StepStatus
    parent: str | None
    """The sub-flow it ran in, null for the job's own flow."""
    start_time: Time
    end_time: Time | None
    duration_seconds: float | None
    error: str | None
    result_key: str | None
    output: Json
    """What was stored under `result_key`, or why the step was skipped; null inside sub-flows."""
    is_finally: bool


class Job(JobSummary):
    """A job with all it has."""

    data: Json
    """What it was launched with."""
    result: Json
    """The data of the flow at its end."""
    steps: list[Step]


class JobPage(Shown):
    """Jobs, newest first."""

    jobs: list[JobSummary]
    limit: int
    offset: int
    next: int | None
    """The `offset` of the next page, null on the last one."""
    total: NotRequired[int]
    """How many match, where `count` asks for it."""


class LogLine(Shown):
    """One line of a job's log."""

    time: Time
    level: str
    """`debug`, `info`, `warning` or `error`."""
    step: str | None
    message: str


class LogPage(Shown):
    """Log lines, oldest first."""

    logs: list[LogLine]
    next: int | None
    """The `after` of the next page, null when there is no more."""


class Launched(Shown):
    """A job that waits or runs by now."""

    job_id: str


class Stopping(Shown):
    """A job that is asked to stop."""

    job_id: str
    state: State


class Deleted(Shown):
    """How many were deleted."""

    deleted: int
