"""Answers about documents: what is wrong with one, what is there, and all that is known of one."""

from __future__ import annotations

from typing import Any, NotRequired

from engine.models.answers.jobs import JobSummary
from engine.models.answers.schedules import Schedule
from engine.models.answers.service import Problem
from engine.models.answers.shown import Shown, Time
from engine.models.job import State, Status


class OutlineStep(Shown):
    """One step of a flow; what cannot be read of it is null or empty."""

    name: str | None
    type: str | None
    line: int
    when: list[str]
    """The conditions as they are written."""
    leads_to: list[str]
    """The steps it may go on with, but for the one below it."""
    sub_flows: list[str]
    """The flows it runs, as their paths are written."""
    templates: list[str]
    """The templates it renders, as their paths are written."""


class Outline(Shown):
    """What can be drawn of a flow, also of one with problems. Long texts end in `...`."""

    name: str | None
    description: str | None
    inputs: list[dict[str, Any]]
    """As they are declared, without values that are long."""
    steps: list[OutlineStep]
    finally_step: str | None
    max_concurrent: int | None
    """How many jobs of it may run at once; null for `unlimited`."""
    is_cut: bool
    """Whether it has more than the 1000 steps that are shown."""


class Validation(Shown):
    """What is wrong with a document."""

    valid: bool
    """Whether it can be launched: warnings do not matter."""
    problems: list[Problem]
    """By line, at most 100 errors and 100 warnings."""
    outline: Outline | None
    """Null where the text is no flow at all."""


class LastJob(Shown):
    """The newest job of a document."""

    job_id: str
    state: State
    status: Status | None
    queued_time: Time
    end_time: Time | None


class DocumentSummary(Shown):
    """A document as it stands in a list. It is not checked for that."""

    path: str
    name: str | None
    """As the document says, or from its path; null where it is not readable, or not read yet."""
    description: str | None
    is_readable: bool | None
    """Whether it is an object with steps; null where it has not been read: ask again."""
    is_scheduled: bool
    next_run_time: Time | None
    last_job: LastJob | None


class DocumentPage(Shown):
    """Documents, by path."""

    documents: list[DocumentSummary]
    limit: int
    offset: int
    next: int | None
    """The `offset` of the next page, null on the last one."""
    total: NotRequired[int]
    """How many match, where `count` asks for it."""


class Document(Validation):
    """All that is known of a document."""

    path: str
    text: str | None
    """As it is in the file, with secrets masked; null where it is not UTF-8 or too large."""
    revision: str | None
    """Changes with the text, and with the sub-flows and templates it is run with; a job has the one it was run at."""
    next_run_time: Time | None
    """Of all its schedules."""
    schedules: list[Schedule]
    """The first 100, oldest first."""
    jobs: list[JobSummary]
    """The last ten, newest first."""
