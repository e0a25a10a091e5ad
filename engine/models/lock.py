"""The lock of a flow: the job that keeps others of its flow from starting."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from posixpath import normpath

from engine.models.job import State


@dataclass(frozen=True, slots=True)
class Lock:
    """A job that holds a lock of the flow at `path`; a flow of `max_concurrent: N` can have N of them."""

    path: str
    name: str
    job_id: str
    state: State
    queued_time: datetime
    start_time: datetime | None

    def is_called(self, flow: str) -> bool:
        """Whether this is the flow's path without its suffix, its file's name, that without the suffix, or its name."""
        path = PurePosixPath(self.path)
        return flow in (str(path.with_suffix("")), path.name, path.stem, self.name)


def locks_of(flow: str, locks: Iterable[Lock]) -> Sequence[Lock]:
    """The locks that are meant: those of this path, else those of the flows that are called so."""
    locks = list(locks)
    exact = [lock for lock in locks if lock.path in (flow, normpath(flow))]
    return exact or [lock for lock in locks if lock.is_called(flow)]
