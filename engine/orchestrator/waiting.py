"""Waiting for a job's end."""

from __future__ import annotations

from threading import BoundedSemaphore

from engine.errors import JobNotFound
from engine.models.job import Job, State, StepRow
from engine.orchestrator.part import Part
from engine.orchestrator.parts import Parts

MOST_WAITING = 32
"""Half of a service's threads: the other half answers who does not want to wait."""
FIRST_LOOK_SECONDS, LAST_LOOK_SECONDS = 0.02, 0.5
"""How soon the table is looked at again, at first and at last. A job that ends in this process tells at once."""


class WaitVerbs(Parts):
    """The end of a job, waited for."""

    def ended(self, id: str, wait_seconds: float = 0) -> tuple[Job, list[StepRow]] | None:
        """The job as `job` gives it when it has ended, or does so within that time; else None, also when it is gone.

        Nobody looks when there is nothing to wait for: a launch that waits for nothing has just made it. The wait is
        over early when too many wait already, and when this process is on its way out.
        """
        if not self._is_inline and wait_seconds <= 0:
            return None
        try:
            if not self._is_finished(id) and wait_seconds > 0:
                self._wait_for_end(id, wait_seconds)
            job, steps = self._job(id)
        except JobNotFound:
            return None
        return (job, steps) if job.state is State.FINISHED else None

    def _wait_for_end(self, id: str, seconds: float) -> None:
        if not self._room_to_wait.acquire(blocking=False):
            return
        try:
            with self._executor.endings.of(id) as told:
                end, pause = self.clock.monotonic() + seconds, FIRST_LOOK_SECONDS
                while not self._is_finished(id) and not self._is_leaving:
                    left = end - self.clock.monotonic()
                    if left <= 0:
                        return
                    if self.clock.wait(told, min(pause, left)):
                        told.clear()
                    pause = min(2 * pause, LAST_LOOK_SECONDS)
        finally:
            self._room_to_wait.release()

    def _is_finished(self, id: str) -> bool:
        return self._jobs.state(id) is State.FINISHED

    @Part
    def _room_to_wait(self) -> BoundedSemaphore:
        return BoundedSemaphore(MOST_WAITING)
