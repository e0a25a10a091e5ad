"""The jobs that run in this process: their supervisors, their processes, and the lock that says who is alive.

What an executor adds is when a job is taken, and in which thread it is supervised.
"""

from __future__ import annotations

import logging
import os
import socket
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from secrets import token_hex
from threading import Condition, Event, Lock
from typing import ClassVar, Protocol

from engine.clock import Clock
from engine.errors import OctoflowError
from engine.executors.children import ChildPool
from engine.executors.endings import Endings
from engine.executors.owner import LONE, OwnerFile
from engine.models.job import Claim, Outcome, Owner, Reason, Status
from engine.supervisor import LEASE, Observer, Supervision, Tools

log = logging.getLogger("octoflow.executor")

LOOK_SECONDS = 1.0


class Queue(Protocol):
    """What an executor asks of the jobs table."""

    def claim(self, owner: Owner, now: datetime, lease_until: datetime, limit: int = 1) -> list[Claim]: ...
    def adopt(self, owner: Owner, now: datetime, lease_until: datetime, limit: int = 1) -> list[Claim]: ...
    def stopping(self, owner_id: str) -> list[tuple[str, str | None]]: ...
    def has_pending(self) -> bool: ...
    def has_lost(self) -> bool: ...


class Executor(ABC):
    """What executors share."""

    is_lone: ClassVar[bool]
    """Whether it takes no jobs by itself, so that nobody on this host leaves any to it."""

    def __init__(
        self,
        queue: Queue,
        make_tools: Callable[[ChildPool], Tools],
        clock: Clock,
        *,
        workers: int,
        owners_folder: Path,
        stop_seconds: float,
    ) -> None:
        """`stop_seconds` is how long jobs may take to end once `drain` has stopped them."""
        self._queue = queue
        self._clock = clock
        self._workers = workers
        self._owners_folder = owners_folder
        self._stop_seconds = stop_seconds
        self._pool = ChildPool(max(1, workers))
        self._tools = make_tools(self._pool)
        self._starting = Lock()
        self._changed = Condition()
        self.endings = Endings()
        self.ended: Counter[Status] = Counter()
        """How many jobs it has seen to their end, by how that was."""
        self._busy = 0
        """How many threads may hold a claim, or are about to: a claimed job is not in `_running` at once."""
        self._closing = Event()
        self._leave_by: float | None = None
        self._running: dict[str, Supervision] = {}
        self._stopped_for: str | None = None
        self._owner_file: OwnerFile | None = None
        host = socket.gethostname()
        self.owner = Owner(f"{host}:{os.getpid()}:{token_hex(4)}{LONE if self.is_lone else ''}", host)

    @property
    def pool(self) -> ChildPool:
        """The processes that its jobs run in."""
        return self._pool

    @property
    def running(self) -> int:
        """How many jobs it runs now."""
        return len(self._running)

    # Taking jobs

    def be_alive(self) -> None:
        """Hold the lock that tells others on this host that this owner lives, until `close`."""
        with self._starting:
            if self._owner_file is None and not self._closing.is_set():
                self._owner_file = OwnerFile(self._owners_folder, self.owner)

    @abstractmethod
    def start(self) -> None:
        """Be ready for jobs; once is enough."""

    @abstractmethod
    def nudge(self, jobs: int = 1) -> None:
        """There may be so many jobs to claim."""

    @contextmanager
    def free_worker(self) -> Iterator[Callable[[Claim], None] | None]:
        """Where to put a job that is claimed in this block, so that it is run at once; None when nobody is free."""
        yield None

    @abstractmethod
    def run_until_idle(self) -> None:
        """Run what there is to be taken, as many jobs at once as there are workers; returns when they have ended."""

    @contextmanager
    def room(self) -> Iterator[None]:
        """Be counted among those who run a job, or are about to."""
        with self._changed:
            self._busy += 1
        try:
            yield
        finally:
            with self._changed:
                self._busy -= 1

    def supervise(self, claim: Claim, observer: Observer | None = None) -> Outcome | None:
        """Run a claimed job here and now, in this thread; None when its lease was lost. Its caller has `room`."""
        return self._supervise(claim.id, Supervision(claim, self._tools, observer))

    def _supervise(self, id: str, supervision: Supervision) -> Outcome | None:
        self._running[id] = supervision
        if self._stopped_for is not None:
            supervision.stop(self._stopped_for)
        try:
            outcome = supervision.supervise()
            if outcome is not None:
                with self._changed:
                    self.ended[outcome.status] += 1
            return outcome
        finally:
            if self._running.get(id) is supervision:  # Else it was lost here, and another one has it since.
                del self._running[id]
            self.endings.tell(id)

    # Stopping them

    def stop(self, job_id: str, reason: str) -> None:
        """Stop a job that runs here; one that does not is no concern of ours."""
        supervision = self._running.get(job_id)
        if supervision is not None:
            supervision.stop(reason)

    def stop_all(self, reason: str) -> None:
        """Stop every job that runs here, and any that still begins to."""
        self._stopped_for = reason
        for supervision in list(self._running.values()):
            supervision.stop(reason)

    def drain(self) -> None:
        """Take no more jobs and stop those that run, each with its grace; returns at once. Once is enough."""
        if self._leave_by is None:
            self._leave_by = self._clock.monotonic() + self._stop_seconds
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
        self.endings.tell_all()
        self.stop_all(Reason.SHUTDOWN)

    def close(self) -> None:
        """Stop what runs, with the grace each job has since the drain, and end every process."""
        self.drain()
        assert self._leave_by is not None
        self._wait_until(self._leave_by)
        self._pool.close()
        with self._starting:
            if self._owner_file is not None and not self._running:
                # With a job still running the file stays, and is unlocked by our end: that tells the sweep at once.
                self._owner_file.close()
                self._owner_file = None

    @abstractmethod
    def _wait_until(self, deadline: float) -> None:
        """Return when what runs has ended, or at that time."""

    # The table

    def _claim(self) -> Claim | None:
        now = self._clock.now()
        try:
            claims = self._queue.claim(self.owner, now, now + LEASE)
        except OctoflowError as error:
            log.warning("no job could be claimed: %s", error)
            return None
        except Exception:
            log.exception("no job could be claimed")
            return None
        return claims[0] if claims else None

    def _adopt(self, limit: int) -> list[Claim]:
        """Take lost jobs whose `finally_step` is still to run."""
        now = self._clock.now()
        return self._queue.adopt(self.owner, now, now + LEASE, limit)

    def _hear_of_stops(self) -> None:
        """Stop the jobs that other processes want stopped."""
        for job_id, reason in self._queue.stopping(self.owner.id):
            self.stop(job_id, reason or Reason.CANCELLED)

    def _see_through(self, claim: Claim) -> None:
        """Run a claimed job, whatever happens to it."""
        self._run(claim, lambda: None)

    def _see_all_through(self, claim: Claim | None) -> None:
        """Run a claimed job, and one after another each that is claimed at the end of the one before."""
        while claim is not None:
            claim = self._run(claim, lambda: None if self._closing.is_set() else self.owner)

    def _run(self, claim: Claim, next_owner: Callable[[], Owner | None]) -> Claim | None:
        supervision: Supervision | None = None
        try:
            supervision = Supervision(claim, self._tools, next_owner=next_owner)
            self._supervise(claim.id, supervision)
        except Exception:
            log.exception(
                "job %s: its supervisor failed; the sweep settles it when its lease has ended",
                claim.id,
                extra={"job": claim.id},
            )
        return supervision.next if supervision is not None else None

    @contextmanager
    def _looking(self) -> Iterator[None]:
        """A look at the table that fails is followed by another, so that it only needs to be told."""
        try:
            yield
        except OctoflowError as error:
            log.warning("the jobs table could not be looked at: %s", error)
        except Exception:
            log.exception("the jobs table could not be looked at")
