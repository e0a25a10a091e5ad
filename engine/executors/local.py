"""Jobs in processes of this container: workers claim pending rows and supervise them, as many at once as is set.

A nudge says that there may be something to claim; lost or doubled, it does no harm, for each second somebody looks.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from secrets import token_hex
from threading import Condition, Event, Lock, Thread
from typing import Protocol

from engine.clock import Clock
from engine.errors import OctoflowError
from engine.executors.children import ChildPool
from engine.executors.owner import LONE, OwnerFile
from engine.models.job import Claim, Outcome, Owner, Reason
from engine.supervisor import LEASE, Observer, Supervision, Tools

log = logging.getLogger("octoflow.executor")

LOOK_SECONDS = 1.0


class Queue(Protocol):
    """What the executor asks of the jobs table."""

    def claim(self, owner: Owner, now: datetime, lease_until: datetime, limit: int = 1) -> list[Claim]: ...
    def adopt(self, owner: Owner, now: datetime, lease_until: datetime, limit: int = 1) -> list[Claim]: ...
    def stopping(self, owner_id: str) -> list[tuple[str, str | None]]: ...


class LocalExecutor:
    """The job processes of this container and the threads that supervise them."""

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
        """`stop_seconds` is how long `close` waits for jobs to end."""
        self._queue = queue
        self._clock = clock
        self._workers = workers
        self._owners_folder = owners_folder
        self._stop_seconds = stop_seconds
        self._pool = ChildPool(max(1, workers))
        self._tools = make_tools(self._pool)
        self._starting = Lock()
        self._changed = Condition()
        self._nudges = 0
        self._busy = 0
        """How many threads may hold a claim, or are about to: a claimed job is not in `_running` at once."""
        self._closing = Event()
        self._running: dict[str, Supervision] = {}
        self._threads: list[Thread] = []
        self._recoveries: list[Thread] = []
        self._stopped_for: str | None = None
        self._owner_file: OwnerFile | None = None
        host = socket.gethostname()
        self.owner = Owner(f"{host}:{os.getpid()}:{token_hex(4)}{'' if workers else LONE}", host)

    def be_alive(self) -> None:
        """Hold the lock that tells others on this host that this owner lives, until `close`."""
        with self._starting:
            if self._owner_file is None and not self._closing.is_set():
                self._owner_file = OwnerFile(self._owners_folder, self.owner)

    def start(self) -> None:
        """Begin to take pending jobs, or with no workers to watch over what `supervise` runs; once is enough."""
        self.be_alive()
        with self._starting:
            if self._threads or self._closing.is_set():
                return
            self._threads = [Thread(target=self._work, name=f"worker-{n}", daemon=True) for n in range(self._workers)]
            self._threads.append(Thread(target=self._look_after, name="housekeeper", daemon=True))
            for thread in self._threads:
                thread.start()

    def nudge(self, jobs: int = 1) -> None:
        """There may be so many jobs to claim."""
        with self._changed:
            self._nudges += 1
            self._changed.notify(jobs)

    def supervise(self, claim: Claim, observer: Observer | None = None) -> Outcome | None:
        """Run a claimed job here and now, in this thread; None when its lease was lost."""
        supervision = Supervision(claim, self._tools, observer)
        self._running[claim.id] = supervision
        if self._stopped_for is not None:
            supervision.stop(self._stopped_for)
        try:
            return supervision.supervise()
        finally:
            del self._running[claim.id]

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

    def run_until_idle(self, has_work: Callable[[], bool]) -> None:
        """Run jobs until none is left to claim and none runs here."""
        self.start()
        # Whoever takes a job is busy before it is gone from the table, hence this order.
        while not self._closing.is_set() and (has_work() or self._is_busy()):
            self.nudge()
            self._clock.wait(self._closing, 0.05)

    def close(self) -> None:
        """Stop what runs, with the grace each job has, and end every process."""
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
        self.stop_all(Reason.SHUTDOWN)
        deadline = self._clock.monotonic() + self._stop_seconds
        self._join(self._threads, deadline)
        self._join(self._recoveries, deadline)
        self._pool.close()
        with self._starting:
            if self._owner_file is not None and not self._running:
                # With a job still running the file stays, and is unlocked by our end: that tells the sweep at once.
                self._owner_file.close()
                self._owner_file = None

    def _join(self, threads: list[Thread], deadline: float) -> None:
        for thread in threads:
            thread.join(max(0.0, deadline - self._clock.monotonic()))

    def _work(self) -> None:
        """One worker: claim, supervise, and wait when there is nothing to claim."""
        while not self._closing.is_set():
            seen = self._nudges
            if not self._run_one():
                with self._changed:
                    self._changed.wait_for(lambda: self._nudges != seen or self._closing.is_set())  # noqa: B023

    def _run_one(self) -> bool:
        """Claim a job and see it through; False when there was none."""
        with self._counted():
            claim = self._claim()
            if claim is not None:
                self._see_through(claim)
        return claim is not None

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._changed:
            self._busy += 1
        try:
            yield
        finally:
            with self._changed:
                self._busy -= 1

    def _is_busy(self) -> bool:
        return bool(self._busy or self._running or any(thread.is_alive() for thread in self._recoveries))

    def _see_through(self, claim: Claim) -> None:
        try:
            self.supervise(claim)
        except Exception:
            log.exception(
                "job %s: its supervisor failed; the sweep closes it when its lease has ended",
                claim.id,
                extra={"job": claim.id},
            )

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

    def _look_after(self) -> None:
        """Each second: wake the workers, hear of stops that other processes asked for, adopt lost jobs."""
        if self._workers:
            self._warm()
        while not self._closing.is_set():
            try:
                for job_id, reason in self._queue.stopping(self.owner.id):
                    self.stop(job_id, reason or Reason.CANCELLED)
                if self._workers:
                    self._wake_all()
                    self._adopt()
            except OctoflowError as error:
                log.warning("the jobs table could not be looked at: %s", error)
            except Exception:
                log.exception("the jobs table could not be looked at")
            self._clock.wait(self._closing, LOOK_SECONDS)

    def _wake_all(self) -> None:
        """Whoever is idle looks for a job: several may have come from another process."""
        with self._changed:
            self._nudges += 1
            self._changed.notify_all()

    def _warm(self) -> None:
        try:
            self._pool.warm()
        except OctoflowError as error:
            log.error("%s", error)

    def _adopt(self) -> None:
        """Take lost jobs whose `finally_step` is still to run; they were running before and need no free worker."""
        with self._counted():
            now = self._clock.now()
            claims = self._queue.adopt(self.owner, now, now + LEASE, self._workers)
            begun = [Thread(target=self._see_through, args=(claim,), name="recovery", daemon=True) for claim in claims]
            self._recoveries = [*(thread for thread in self._recoveries if thread.is_alive()), *begun]
            for thread in begun:
                thread.start()
