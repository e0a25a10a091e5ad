"""What a supervisor works with: the store, the secrets, the workers, the clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from engine.clock import Clock
from engine.frames import Channel
from engine.models.flow import Document
from engine.models.job import Event, Finish, Job, Json, Outcome, Owner, State

Observer = Callable[[Event], None]
"""Hears of each event as it happens, secrets masked."""


class Worker(Protocol):
    """A process that runs jobs, as its supervisor sees it."""

    channel: Channel

    def exit_status(self, seconds: float) -> int | None: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...
    def discard(self) -> None: ...


class Workers(Protocol):
    """Where workers come from, and go when a job left them clean."""

    def take(self) -> Worker: ...
    def give(self, worker: Any) -> None: ...


class Jobs(Protocol):
    """What a supervisor asks of the jobs table; a write is refused (None, False) when the job is no longer its own."""

    def renew(self, id: str, owner_id: str, epoch: int, lease_until: datetime) -> State | None: ...
    def stop(self, id: str, owner_id: str, epoch: int, reason: str) -> bool: ...
    def record(
        self,
        id: str,
        owner_id: str,
        epoch: int,
        events: Sequence[Event],
        *,
        first_line: int,
        again: bool = False,
    ) -> bool: ...
    def finish(
        self,
        id: str,
        owner_id: str,
        epoch: int,
        outcome: Outcome,
        events: Sequence[Event],
        now: datetime,
        *,
        lock: str | None = None,
        first_line: int,
        again: bool = False,
        next_for: Owner | None = None,
        lease_until: datetime | None = None,
    ) -> Finish: ...
    def get(self, id: str) -> Job: ...
    def step_outputs(self, id: str) -> list[tuple[str, Json]]: ...
    def last_numbers(self, id: str) -> tuple[int, int]: ...


class Documents(Protocol):
    """The texts a job was launched with."""

    def bundle(self, revision: str) -> Mapping[str, Document]: ...


class Masker(Protocol):
    """Takes secrets out of what is kept."""

    def text(self, text: str) -> str: ...
    def json_text(self, text: str) -> str: ...
    def json(self, value: Json) -> Json: ...
    def hiding(self, values: Iterable[str]) -> Masker: ...


class Secrets(Protocol):
    """The keeper of secrets."""

    def get(self, name: str, *, fresh: bool = False) -> dict[str, Json]: ...
    def hide(self, values: Iterable[str], pairs: Iterable[tuple[str, str]]) -> None: ...
    def mask(self) -> Masker: ...


@dataclass(frozen=True)
class Tools:
    """What every supervisor of a service shares."""

    jobs: Jobs
    documents: Documents
    secrets: Secrets
    workers: Workers
    clock: Clock
    limits: dict[str, Any]
    """`engine.models.limits.RunLimits` as a mapping."""
    memory_bytes: int
    max_result_bytes: int
    grace_seconds: float
    format_time: Callable[[datetime], str]
    """`__timestamp__` of a moment, in TIMEZONE."""
