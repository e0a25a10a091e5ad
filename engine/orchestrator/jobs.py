"""What a user can ask of jobs."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from engine.errors import JobEnded, RequestInvalid
from engine.models.audit import AuditRow, Change
from engine.models.job import Job, JobFilter, Json, LogLine, NewJob, Outcome, Source, State, Status, StepRow
from engine.orchestrator.audit import audit_row
from engine.orchestrator.once import OnceVerbs
from engine.orchestrator.waiting import WaitVerbs

if TYPE_CHECKING:
    from engine.models.once import Once
    from engine.supervisor import Observer

log = logging.getLogger("octoflow")


class JobVerbs(WaitVerbs, OnceVerbs):
    """Launch, run, look, cancel, delete."""

    def launch(
        self,
        path: str,
        data: Json = None,
        *,
        timeout_seconds: float | None = None,
        priority: int = 0,
        source: Source = Source.API,
        change: Change | None = None,
        once: Once | None = None,
    ) -> str:
        """Queue a job of the document and return its id; FlowNotFound, DocumentInvalid, FlowRunning, Draining.

        Where jobs run inline it is run in this very thread, and has ended when its id is returned; Busy when as many
        run as may. `change` goes into the audit together with the job. Under a key of `once` that was used meanwhile,
        nothing is launched: the id is that of the job it was used for.
        """
        self._must_be_sound()
        self._must_take_jobs()
        executor = self._executor
        executor.start()
        job, documents = self._new_job(path, data, timeout_seconds, priority, source)
        row = self._launch_row(change, job)

        def make() -> str:
            if self._is_inline:
                self._run_here(job, documents, audit=row, once=once)
            else:
                self._queue(job, documents, row, once)
                log.debug("job %s of %s is queued", job.id, job.path, extra={"job": job.id})
            return job.id

        return self._make_once(once, make)

    def run(
        self,
        path: str,
        data: Json = None,
        *,
        timeout_seconds: float | None = None,
        observer: Observer | None = None,
        change: Change | None = None,
    ) -> tuple[str, Outcome | None]:
        """Run a job in this very thread, through the same table; its id and outcome (None when its lease was lost).

        `change` goes into the audit together with the job.
        """
        job, documents = self._new_job(path, data, timeout_seconds, 0, Source.CLI)
        self._executor.start()
        return job.id, self._run_here(job, documents, observer, self._launch_row(change, job))

    def _launch_row(self, change: Change | None, job: NewJob) -> AuditRow | None:
        return None if change is None else audit_row(change, self.clock.now(), target=job.path, result_id=job.id)

    def _queue(self, job: NewJob, documents: list[Any], audit: AuditRow | None, once: Once | None) -> None:
        """Insert the job: claimed already when a worker here is free to run it, else pending."""
        from engine.supervisor import LEASE

        executor, now = self._executor, self.clock.now()
        with executor.free_worker() as give:
            if give is not None:
                claim = self._jobs.insert(
                    job, now, documents=documents, owner=executor.owner, lease_until=now + LEASE, audit=audit, once=once
                )
                assert claim is not None
                give(claim)
                return
        self._jobs.insert(job, now, documents=documents, audit=audit, once=once)
        executor.nudge()

    def _run_here(
        self,
        job: NewJob,
        documents: list[Any],
        observer: Observer | None = None,
        audit: AuditRow | None = None,
        once: Once | None = None,
    ) -> Outcome | None:
        """Insert the job as one that runs already, and supervise it in this thread."""
        from engine.supervisor import LEASE

        executor = self._executor
        with executor.room():
            now = self.clock.now()
            claim = self._jobs.insert(
                job, now, documents=documents, owner=executor.owner, lease_until=now + LEASE, audit=audit, once=once
            )
            assert claim is not None
            return executor.supervise(claim, observer)

    def stop_running(self, reason: str) -> None:
        """Ask every job that runs here, or still begins to, to stop. A signal's handler may call it."""
        self._stopped_for = reason
        if self._lazy_executor is not None:
            self._lazy_executor.stop_all(reason)

    def jobs(self, filter: JobFilter, flows: str | None = None) -> list[Job]:
        """The jobs that match, newest first, without data and result; of the documents that the glob `flows` means."""
        return self._jobs.list(filter, flows)

    def count_jobs(self, filter: JobFilter, flows: str | None = None) -> int:
        """How many jobs match."""
        return self._jobs.count(filter, flows)

    def job(self, id: str) -> tuple[Job, list[StepRow]]:
        """A job with all it has, and its step runs; JobNotFound."""
        return self._job(id)

    def job_path(self, id: str) -> str:
        """The document that the job runs; JobNotFound."""
        return self._jobs.path(id)

    def logs(self, id: str, after: int = 0, limit: int = 1000) -> tuple[list[LogLine], int | None]:
        """A job's log lines after that number, and the number to go on from when there may be more; JobNotFound."""
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
