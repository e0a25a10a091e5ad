"""What a user can ask of jobs."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from engine.errors import JobEnded, RequestInvalid
from engine.models.job import Job, JobFilter, Json, LogLine, Outcome, Source, State, Status, StepRow
from engine.orchestrator.parts import Parts

if TYPE_CHECKING:
    from engine.supervisor import Observer

log = logging.getLogger("octoflow")


class JobVerbs(Parts):
    """Launch, run, look, cancel, delete."""

    def launch(
        self,
        path: str,
        data: Json = None,
        *,
        timeout_seconds: float | None = None,
        priority: int = 0,
        source: Source = Source.API,
    ) -> str:
        """Queue a job of the document and return its id; FlowNotFound, DocumentInvalid, FlowRunning."""
        self._must_be_sound()
        executor = self._executor
        executor.start()
        job, documents = self._new_job(path, data, timeout_seconds, priority, source)
        self._jobs.insert(job, self.clock.now(), documents=documents)
        executor.nudge()
        log.debug("job %s of %s is queued", job.id, job.path, extra={"job": job.id})
        return job.id

    def run(
        self, path: str, data: Json = None, *, timeout_seconds: float | None = None, observer: Observer | None = None
    ) -> tuple[str, Outcome | None]:
        """Run a job in this very thread, through the same table; its id and outcome (None when its lease was lost)."""
        from engine.supervisor import LEASE

        job, documents = self._new_job(path, data, timeout_seconds, 0, Source.CLI)
        executor = self._executor
        executor.start()
        now = self.clock.now()
        claim = self._jobs.insert(job, now, documents=documents, owner=executor.owner, lease_until=now + LEASE)
        assert claim is not None
        return job.id, executor.supervise(claim, observer)

    def stop_running(self, reason: str) -> None:
        """Ask every job that runs here, or still begins to, to stop. A signal's handler may call it."""
        self._stopped_for = reason
        if self._lazy_executor is not None:
            self._lazy_executor.stop_all(reason)

    def jobs(self, filter: JobFilter) -> list[Job]:
        """The jobs that match, newest first, without data and result."""
        return self._jobs.list(filter)

    def count_jobs(self, filter: JobFilter) -> int:
        """How many jobs match."""
        return self._jobs.count(filter)

    def job(self, id: str) -> tuple[Job, list[StepRow]]:
        """A job with all it has, and its step runs; JobNotFound."""
        job = self._jobs.get(id)
        return replace(job, data=self._secrets.mask().json(job.data)), self._jobs.steps(id)

    def logs(self, id: str, after: int = 0, limit: int = 1000) -> tuple[list[LogLine], int | None]:
        """A job's log lines after that number, and the number to go on from when there may be more; JobNotFound."""
        self._jobs.get(id)
        return self._jobs.logs(id, after, limit)

    def cancel(self, id: str) -> Job:
        """Stop a job, or keep a pending one from starting; JobNotFound, JobEnded."""
        before = self._jobs.get(id)
        if before.state is State.FINISHED:
            raise JobEnded(f"The job {id} has ended ({before.status}); there is nothing to cancel.")
        job = self._jobs.cancel(id, self.clock.now())
        if self._lazy_executor is not None and job.state is State.STOPPING:
            self._lazy_executor.stop(id, job.reason or "cancelled")
        return job

    def delete_job(self, id: str) -> None:
        """Delete an ended job with its steps and logs; JobNotFound, JobActive."""
        self._jobs.delete(id)

    def delete_jobs(
        self, *, older_than_days: float | None = None, state: State | None = None, status: Status | None = None
    ) -> int:
        """Delete ended jobs that match everything given, and say how many; RequestInvalid when nothing is given."""
        if older_than_days is None and state is None and status is None:
            raise RequestInvalid(
                "Give at least one of older_than_days, state and status: which jobs are to be deleted?"
            )
        before = None
        if older_than_days is not None:
            try:
                before = self.clock.now() - timedelta(days=older_than_days)
            except (OverflowError, ValueError) as error:
                raise RequestInvalid("older_than_days must be a number of days within the calendar.") from error
        return self._jobs.delete_older(before, state, status)
