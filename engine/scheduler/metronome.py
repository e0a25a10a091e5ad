"""Between two ticks: what falls due in the coming minute is fired at its time, by the process that had the tick."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Event, Lock, Thread

from engine.clock import Clock

AFTER_TICK = timedelta(seconds=75)
"""So long after a tick we go on by ourselves: a minute, and what the next tick may be late."""
PAUSE_SECONDS = 5.0
"""After something went wrong."""
STILL_DUE_SECONDS = 0.5
"""After firing, when the same is still due: another process holds it, or its flow cannot be launched at present."""

log = logging.getLogger("octoflow.tick")


class Metronome:
    """Fires what is due until a while after the last tick, and then waits for the next one.

    It is no clock of its own: where no tick comes, nothing is fired, and the clock's health says so. Firing twice is as
    firing once, so any number of processes may do this at once.
    """

    def __init__(self, next_due: Callable[[], datetime | None], fire: Callable[[], None], clock: Clock) -> None:
        """`next_due` is the earliest due time of all schedules, None when there is none."""
        self._next_due = next_due
        self._fire = fire
        self._clock = clock
        self._changed = Event()
        self._closing = False
        self._lock = Lock()
        self._end: datetime | None = None
        self._thread: Thread | None = None

    def go_on(self) -> None:
        """A tick has just been: watch for a while; returns at once."""
        with self._lock:
            self._end = self._clock.now() + AFTER_TICK
            if self._thread is None and not self._closing:
                self._thread = Thread(target=self._run, name="metronome", daemon=True)
                self._thread.start()
        self.look_again()

    def look_again(self) -> None:
        """A schedule was made or changed."""
        self._changed.set()

    def leave(self) -> None:
        """Fire no more; returns at once."""
        self._closing = True
        self._changed.set()

    def close(self) -> None:
        """Fire no more; what is being fired at this moment ends first."""
        self.leave()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._closing:
            self._changed.clear()
            try:
                seconds = self._beat()
            except Exception:
                log.exception("what is due between two ticks could not be fired")
                seconds = PAUSE_SECONDS
            if not self._closing:
                self._clock.wait(self._changed, seconds)

    def _beat(self) -> float:
        """Fire if something is due; how long there is nothing to do after that."""
        now = self._clock.now()
        end = self._end
        if end is None or now >= end:
            return AFTER_TICK.total_seconds()
        due = self._next_due()
        if due is None or due > end:
            return (end - now).total_seconds()
        if due <= now:
            self._fire()
            first_left = self._next_due()
            return STILL_DUE_SECONDS if first_left is not None and first_left <= due else 0.0
        return (due - now).total_seconds()
