"""Jobs beside the requests: workers claim pending rows and supervise them, as many at once as is set.

A nudge says that there may be something to claim; lost or doubled, it does no harm, for each second somebody looks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Thread
from typing import Any

from engine.clock import Clock
from engine.errors import OctoflowError
from engine.executors.children import ChildPool
from engine.executors.executor import LOOK_SECONDS, Executor, Queue
from engine.executors.idle import IdleWorkers
from engine.models.job import Claim
from engine.supervisor import Tools

log = logging.getLogger("octoflow.executor")


class LocalExecutor(Executor):
    """Threads that take jobs as they come, and one that looks after them."""

    is_lone = False

    _threads: Sequence[Thread] = ()
    _recoveries: Sequence[Thread] = ()

    def __init__(self, queue: Queue, make_tools: Callable[[ChildPool], Tools], clock: Clock, **options: Any) -> None:
        super().__init__(queue, make_tools, clock, **options)
        self._idle = IdleWorkers(self._changed, self._closing)

    def start(self) -> None:
        """Begin to take pending jobs; once is enough."""
        self.be_alive()
        with self._starting:
            if self._threads or self._closing.is_set():
                return
            workers = [Thread(target=self._work, name=f"worker-{n}", daemon=True) for n in range(self._workers)]
            self._threads = [*workers, Thread(target=self._look_after, name="housekeeper", daemon=True)]
            for thread in self._threads:
                thread.start()

    def nudge(self, jobs: int = 1) -> None:
        """There may be so many jobs to claim."""
        self._idle.nudge(jobs)

    @contextmanager
    def free_worker(self) -> Iterator[Callable[[Claim], None] | None]:
        """Where to put a job that is claimed in this block: a free worker runs it. None when all are busy."""
        if not self._idle.reserve():
            yield None
            return
        claims: list[Claim] = []
        try:
            yield claims.append
        finally:
            if claims:
                self._idle.give(claims[0])
            else:
                self._idle.let_go()

    def run_until_idle(self) -> None:
        """Run jobs until none is left to take and none runs here."""
        self.start()
        # Whoever takes a job is busy before it is gone from the table, hence this order.
        while not self._closing.is_set() and (self._has_work() or self._is_busy()):
            self.nudge()
            self._clock.wait(self._closing, 0.05)

    def _has_work(self) -> bool:
        return self._queue.has_pending() or self._queue.has_lost()

    def _is_busy(self) -> bool:
        return bool(
            self._busy or self._idle.owed or self._running or any(thread.is_alive() for thread in self._recoveries)
        )

    def _wait_until(self, deadline: float) -> None:
        for threads in (self._threads, self._recoveries):  # The housekeeper may begin a recovery at its last look.
            for thread in threads:
                thread.join(max(0.0, deadline - self._clock.monotonic()))

    def _work(self) -> None:
        """One worker: it goes on until the close, whatever happens to it."""
        while not self._closing.is_set():
            try:
                self._work_once()
            except Exception:
                log.exception("a worker failed; it goes on in a moment")
                self._clock.wait(self._closing, LOOK_SECONDS)

    def _work_once(self) -> None:
        """Claim and supervise; when there is nothing to claim, wait for a word, or for a job that is given."""
        seen = self._idle.nudges
        if not self._run_one() and (claim := self._idle.wait(seen)):
            try:
                self._see_all_through(claim)
            finally:
                self._idle.done()

    def _run_one(self) -> bool:
        """Claim a job, see it and those that follow through; False when there was none."""
        with self.room():
            claim = self._claim()
            self._see_all_through(claim)
        return claim is not None

    def _look_after(self) -> None:
        """Each second: wake the workers, hear of stops that other processes asked for, adopt lost jobs."""
        self._warm()
        while not self._closing.is_set():
            with self._looking():
                self._hear_of_stops()
                self._idle.nudge_all()  # Several jobs may have come from another process.
                self._recover()
            self._clock.wait(self._closing, LOOK_SECONDS)

    def _warm(self) -> None:
        try:
            self._pool.warm()
        except OctoflowError as error:
            log.error("%s", error)
        except Exception:
            log.exception("no process could be made ready before the first job asks for one")

    def _recover(self) -> None:
        """Adopt lost jobs; they were running before and need no free worker."""
        with self.room():
            for claim in self._adopt(self._workers):
                thread = Thread(target=self._see_through, args=(claim,), name="recovery", daemon=True)
                thread.start()
                self._recoveries = [*(thread for thread in self._recoveries if thread.is_alive()), thread]
