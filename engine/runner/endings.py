"""How a flow can end, and what the runner asks of the process it is in."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime
from threading import Event as Flag
from typing import Any, Protocol, Self

from engine.models.flow import StepSpec
from engine.models.job import Event, Json


class Stopped(BaseException):
    """The job is to stop, now: raised in the main thread by a signal, in a loop's threads where they look."""


class FlowFailed(Exception):
    """A step's error ended the flow; `entry` is what the job's `errors` will hold."""

    def __init__(self, entry: dict[str, Any], reason: str = "step_error") -> None:
        super().__init__(entry["error"])
        self.entry = entry
        self.reason = reason


class LimitReached(Exception):
    """The job as a whole used up something it has a limit of; no `ignore_errors` forgives that."""


class Host(Protocol):
    """The process a job runs in, as far as its flows need it."""

    stopped: Flag

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""

    def emit(self, event: Event, *, urgent: bool = False) -> None:
        """Say what happened; an urgent event is passed on at once, others may wait a moment."""

    def sync(self) -> None:
        """Return when everything said so far is on disk."""

    def secret(self, name: str, *, fresh: bool = False) -> dict[str, Json]:
        """A secret as its keeper gives it, read anew if `fresh`; StepFailed when there is none of this name."""

    def hide(self, values: list[str], pairs: list[tuple[str, str]]) -> None:
        """Return when these values, and users with passwords, are masked in everything that is kept."""

    def hide_inputs(self, values: list[str]) -> None:
        """Return when these values are masked in everything that is kept of this job."""

    def stopping(self) -> None:
        """Say that the stop was heard: what is left is the `finally_step`."""

    def stoppable(self) -> AbstractContextManager[None]:
        """While it is open, a stop raises `Stopped` in the main thread; one that came before does so now."""

    def protected(self) -> AbstractContextManager[None]:
        """While it is open, a stop is heard and said, but raises nothing; unless the other is open in it again."""


@dataclass(frozen=True, slots=True)
class FlowEnd:
    """How a flow ended: `status` is success, failed or exit; `reason` is `stopped` after a stop."""

    status: str = "success"
    reason: str | None = None
    message: str | None = None
    errors: list[dict[str, Any]] = field(default_factory=list)
    data_json: bytes = b"{}"
    unclean: bool = False
    """Whether something of the job may live on in this process, so that no other job should run in it."""

    def failed(self, failure: FlowFailed) -> FlowEnd:
        """The same end with one more error; one that had failed before keeps its reason."""
        reason = self.reason if self.status == "failed" else failure.reason
        return replace(self, status="failed", reason=reason, errors=[*self.errors, failure.entry])

    def with_data(self, data: dict[str, Json], *, unclean: bool) -> Self:
        """The same end with `_data` as JSON text; data that cannot be written fails it."""
        try:
            return replace(self, data_json=encode(data), unclean=unclean)
        except (ValueError, TypeError, RecursionError, MemoryError) as error:
            entry = {"step": None, "type": None, "error": f"The result could not be written: {error}."}
            return replace(self, status="failed", reason="limit", errors=[*self.errors, entry], unclean=True)


def entry_of(step: StepSpec, error: str) -> dict[str, Any]:
    """A step's error as the job's `errors` and `__errors__` hold it."""
    return {"step": step.name, "type": step.type, "error": error}


def encode(value: Json) -> bytes:
    """Compact JSON; ValueError or TypeError for what JSON has not, such as NaN."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
