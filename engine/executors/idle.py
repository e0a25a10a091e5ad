"""Workers that have nothing to do: a nudge wakes one to look at the table, or it is given a claimed job."""

from __future__ import annotations

from collections import deque
from threading import Condition, Event

from engine.models.job import Claim


class IdleWorkers:
    """Who waits for work. A worker that is reserved leaves with the job it is reserved for, or once it is let go."""

    def __init__(self, changed: Condition, closing: Event) -> None:
        """`changed` guards all of it and is notified when `closing` is set."""
        self._changed = changed
        self._closing = closing
        self._free = 0
        self._given: deque[Claim] = deque()
        self.nudges = 0
        self.owed = 0
        """How many jobs are, or are about to be, claimed for somebody here and have not ended."""

    def nudge(self, jobs: int) -> None:
        """There may be so many jobs to claim."""
        with self._changed:
            self.nudges += 1
            self._changed.notify(jobs)

    def nudge_all(self) -> None:
        """Everybody looks."""
        with self._changed:
            self.nudges += 1
            self._changed.notify_all()

    def reserve(self) -> bool:
        """Whether a worker is free; it then waits for `give` or `let_go`, one of which must follow."""
        with self._changed:
            if self._free <= 0 or self._closing.is_set():
                return False
            self._free -= 1
            self.owed += 1
            return True

    def give(self, claim: Claim) -> None:
        """The job that a worker was reserved for; `done` follows when it has ended."""
        with self._changed:
            self._given.append(claim)
            self._changed.notify()

    def let_go(self) -> None:
        """There is no job for the worker that was reserved."""
        with self._changed:
            self.owed -= 1
            self._free += 1
            self._changed.notify()

    def done(self) -> None:
        """A job that was given has ended."""
        with self._changed:
            self.owed -= 1

    def wait(self, seen: int) -> Claim | None:
        """A job that is given, or None when there may be one to claim: somebody nudged since `nudges` was `seen`."""
        with self._changed:
            self._free += 1
            self._changed.wait_for(lambda: self._given or (self._free > 0 and self._is_woken(seen)))
            if not self._given:
                self._free -= 1
                return None
            if self._is_woken(seen):  # The word may have been meant for another, who still sleeps.
                self._changed.notify()
            return self._given.popleft()

    def _is_woken(self, seen: int) -> bool:
        return self.nudges != seen or self._closing.is_set()
