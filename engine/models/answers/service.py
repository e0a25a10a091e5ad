"""Answers about the service itself, and about what went wrong."""

from __future__ import annotations

from typing import Literal, NotRequired

from engine.models.answers.shown import Shown, Time


class Tick(Shown):
    """Counts of what one tick did."""

    fired: int
    missed: int
    skipped: int
    swept: int
    dispatched: int
    woken: int
    pruned: int
    errors: list[str]
    """A sentence for each stage or schedule that failed."""
    duration_ms: float


class Health(Shown):
    """The process lives."""

    status: Literal["ok"]
    version: str


class Parts(Shown):
    """What a service needs to do its work."""

    status: Literal["ok"]
    database: Literal["ok"]
    data: Literal["ok"]


class Readiness(Parts):
    """The service can do its work."""

    last_tick: Time | None
    """The last good tick."""


class ClockHealth(Shown):
    """The clock is heard."""

    status: Literal["ok"]
    last_tick: Time | None


class Problem(Shown):
    """One thing that is wrong with a document."""

    code: str
    message: str
    path: str
    """Such as `steps.2.rest.uri`."""
    line: int | None
    column: int | None
    hint: str | None
    severity: str


class FieldProblem(Shown):
    """One field of a body, or one parameter, that cannot be used."""

    field: str
    message: str


class Error(Shown):
    """What went wrong."""

    error: str
    """A sentence for people."""
    code: str
    """A word for programs."""
    details: NotRequired[list[Problem | FieldProblem]]
    """Each thing that is wrong, where there can be several."""
    job_id: NotRequired[str | None]
    """With `flow_running`: the job that runs."""
    schedule_id: NotRequired[str | None]
    """With `schedule_exists`: the schedule that is there already."""
    path: NotRequired[str]
    """With `document_invalid`: the document."""
    paths: NotRequired[list[str]]
    """With `lock_ambiguous`: the flows that can be meant."""
