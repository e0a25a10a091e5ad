"""Jobs in the threads that ask for them: nothing runs once the last of them has its answer.

For hosts that give no processor time between requests. `docs/adr/0011-inline.md` says what that asks of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

from engine.errors import Busy, Draining, Unavailable
from engine.executors.executor import LOOK_SECONDS, Executor
from engine.models.job import Claim

TAKE_SECONDS = 60.0
"""For so long `run_until_idle` takes further jobs: whoever waits for it waits a minute longer than the longest job."""


class InlineExecutor(Executor):
    """Runs what it is given, and what is pending when it is told to; has a thread of its own only meanwhile."""

    is_lone = True

    _watcher: Thread | None = None

    def start(self) -> None:
        """Let others know that this owner lives."""
        self.be_alive()

    def nudge(self, jobs: int = 1) -> None:
        """Nobody waits for jobs here."""

    @contextmanager
    def room(self) -> Iterator[None]:
        """Room for one job; Busy when as many run as may, Draining when none may any more."""
        if not self._enter():
            raise self._refusal()
        try:
            yield
        finally:
            self._leave()

    def run_until_idle(self) -> None:
        """Run what is lost or pending while there is room for it; returns when what was begun has ended.

        What is pending after a minute is left to the next call.
        """
        take_until = self._clock.monotonic() + TAKE_SECONDS
        threads: list[Thread] = []
        while self._enter():
            claim = self._next(take_until)
            if claim is None:
                self._leave()
                break
            threads.append(Thread(target=self._work, args=(claim, take_until), name="inline", daemon=True))
            threads[-1].start()
        for thread in threads:
            thread.join()

    def _work(self, claim: Claim | None, take_until: float) -> None:
        """See this job through, and then whatever else is there to take."""
        try:
            while claim is not None:
                self._see_through(claim)
                claim = self._next(take_until)
        finally:
            self._leave()

    def _next(self, take_until: float) -> Claim | None:
        if self._closing.is_set() or self._clock.monotonic() >= take_until:
            return None
        with self._looking():
            if claims := self._adopt(1):
                return claims[0]
        return self._claim()

    def _enter(self) -> bool:
        """Take room for one job, and have somebody watch; False when there is none left."""
        with self._changed:
            if self._closing.is_set() or self._busy >= max(1, self._workers):
                return False
            if self._watcher is None:
                watcher = Thread(target=self._watch, name="watcher", daemon=True)
                watcher.start()  # It waits for this block; when no thread can be had, nobody has room.
                self._watcher = watcher
            self._busy += 1
            return True

    def _refusal(self) -> Unavailable:
        if self._closing.is_set():
            return Draining("This process is on its way out and takes no new jobs.")
        return Busy(f"As many jobs run here as may at once: {max(1, self._workers)} (FLOW_MAX_WORKERS).")

    def _leave(self) -> None:
        with self._changed:
            self._busy -= 1
            self._changed.notify_all()

    def _watch(self) -> None:
        """While jobs run here: hear each second of stops that other processes asked for."""
        while self._is_to_watch():
            with self._looking():
                self._hear_of_stops()

    def _is_to_watch(self) -> bool:
        """After a second whether jobs still run here; at once when none does."""
        with self._changed:
            self._changed.wait_for(lambda: not self._busy, LOOK_SECONDS)
            if not self._busy:
                self._watcher = None
            return bool(self._busy)

    def _wait_until(self, deadline: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._busy, max(0.0, deadline - self._clock.monotonic()))
