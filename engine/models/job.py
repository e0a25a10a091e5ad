"""A job: one run of a document, from its launch to its last row."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

Json = Any
"""Only JSON values: dict with string keys, list, str, int, finite float, bool, None."""


class State(StrEnum):
    """Where a job is; only `finished` is an end."""

    BLOCKED = "blocked"
    PENDING = "pending"
    RUNNING = "running"
    STOPPING = "stopping"
    WAITING = "waiting"
    SUSPENDED = "suspended"
    FINISHED = "finished"


class Status(StrEnum):
    """How a finished job ended."""

    SUCCESS = "success"
    FAILED = "failed"
    EXIT = "exit"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


class Source(StrEnum):
    """Who launched a job."""

    API = "api"
    SCHEDULE = "schedule"
    BATCH = "batch"
    CLI = "cli"


class StepStatus(StrEnum):
    """How a step run stands. `ignored` is a failure that `ignore_errors` forgave."""

    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    IGNORED = "ignored"
    SKIPPED = "skipped"
    STOPPED = "stopped"


class Reason(StrEnum):
    """Why a job ended as it did, in one word."""

    STEP_ERROR = "step_error"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    WORKER_LOST = "worker_lost"
    PROCESS_DIED = "process_died"
    LIMIT = "limit"
    SHUTDOWN = "shutdown"
    DOCUMENT = "document"


@dataclass(frozen=True, slots=True)
class NewJob:
    """What a launch writes. `lock` is None for documents that may run any number of times at once."""

    id: str
    path: str
    name: str
    revision: str
    data: Json = None
    lock_slots: tuple[str, ...] = ()
    """The locks of which one must be free: `key#0` .. `key#N-1`; empty means that no lock is taken."""
    priority: int = 0
    timeout_seconds: float | None = None
    source: Source = Source.API
    schedule_id: str | None = None
    has_finally: bool = False
    secrets: dict[str, str] | None = None
    """The values of secret inputs, which `data` has masked."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job as its readers see it. `result`, `data` and `errors` are None or empty in lists."""

    id: str
    path: str
    name: str
    revision: str
    state: State
    status: Status | None
    reason: str | None
    message: str | None
    priority: int
    source: Source
    schedule_id: str | None
    timeout_seconds: float | None
    queued_time: datetime
    start_time: datetime | None
    end_time: datetime | None
    errors: list[dict[str, Any]] = field(default_factory=list)
    data: Json = None
    result: Json = None


@dataclass(frozen=True, slots=True)
class Owner:
    """Who runs jobs: `id` is unique for each process start, `host` tells whose OS locks mean anything here."""

    id: str
    host: str


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to run one job until its lease ends: every write names `owner` and `epoch`.

    `reason` is set when the job was started before and lost: then only its `finally_step` is to run.
    """

    id: str
    path: str
    name: str
    revision: str
    data: Json
    timeout_seconds: float | None
    owner: str
    epoch: int
    start_time: datetime
    source: Source = Source.API
    reason: str | None = None
    has_finally: bool = False
    lock: str | None = None
    """What the job holds while it is active, None when it took no lock."""
    secrets: tuple[str, ...] = ()
    """Values in `data` that nobody else may see."""


@dataclass(frozen=True, slots=True)
class Finish:
    """What came of closing a job: whether it was still its owner's, and the job that is the owner's next."""

    is_ours: bool
    next: Claim | None = None


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A step run begins. `number` counts step runs of the job from 1; `parent` names the sub-flow it is in."""

    number: int
    name: str
    type: str
    time: datetime
    parent: str | None = None
    is_finally: bool = False


@dataclass(frozen=True, slots=True)
class StepEnded:
    """A step run is over. `output` is JSON text: what was stored, or why a step was skipped; None inside sub-flows."""

    number: int
    status: StepStatus
    time: datetime
    error: str | None = None
    result_key: str | None = None
    output: str | None = None


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a job's log; `level` is debug, info, warning or error."""

    time: datetime
    level: str
    message: str
    step: str | None = None


Event = StepStarted | StepEnded | LogLine


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step run as readers see it."""

    number: int
    name: str
    type: str
    status: StepStatus
    start_time: datetime
    end_time: datetime | None
    parent: str | None
    error: str | None
    result_key: str | None
    output: Json
    is_finally: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended. `result` is JSON text, or None."""

    status: Status
    reason: str | None = None
    message: str | None = None
    errors: list[dict[str, Any]] = field(default_factory=list)
    result: str | None = None


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs a list shows, newest first. Times are inclusive at `from`, exclusive at `to`.

    A page begins after the job `before`, and `offset` jobs later: a deep offset is a long walk, `before` is none.
    """

    state: State | None = None
    status: Status | None = None
    path: str | None = None
    schedule_id: str | None = None
    start_time_from: datetime | None = None
    start_time_to: datetime | None = None
    end_time_from: datetime | None = None
    end_time_to: datetime | None = None
    before: str | None = None
    limit: int = 50
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did with jobs whose worker was lost: how many it closed, handed on, and let begin anew."""

    closed: int = 0
    handed_on: int = 0
    """For their `finally_step`."""
    requeued: int = 0
    """No step of theirs had begun."""

    @property
    def total(self) -> int:
        return self.closed + self.handed_on + self.requeued
