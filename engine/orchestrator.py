"""The front door: one verb for each thing a user can ask, and the place where the parts are put together."""

from __future__ import annotations

import hmac
import logging
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any, Self

from engine import __version__, scheduler
from engine.clock import Clock, new_id
from engine.errors import DatabaseRefused, JobEnded, RequestInvalid, Unauthenticated
from engine.models.access import Role
from engine.models.job import (
    Job,
    JobFilter,
    Json,
    LogLine,
    NewJob,
    Outcome,
    Source,
    State,
    Status,
    StepRow,
)
from engine.models.tick import TickReport
from engine.settings import DEFAULT_TOKEN, Settings

if TYPE_CHECKING:
    from engine.checking import Checker
    from engine.executors.children import ChildPool
    from engine.executors.local import LocalExecutor
    from engine.secrets.keeper import SecretKeeper
    from engine.supervisor import Observer, Tools

log = logging.getLogger("octoflow")

MAX_TIMEOUT_SECONDS = 2_592_000
MAX_PRIORITY = 1_000_000
READY_SECONDS = 1.0
TIDY_AFTER = timedelta(hours=1)


class Orchestrator:
    """One service's engine. Nothing runs before `start` or a verb that needs it; `close` ends all of it."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        from engine.store.database import Database
        from engine.store.jobs import JobStore

        self.settings = settings
        self.clock = clock or Clock()
        settings.make_folders()
        self._database = Database(settings.database_uri, run_path=settings.run_path)
        self._database.upgrade()
        self._jobs = JobStore(self._database)
        self._lock = Lock()
        self._lazy_checker: Checker | None = None
        self._lazy_executor: LocalExecutor | None = None
        self._closed = False
        self._started = False
        self._stopped_for: str | None = None
        self._tidied: datetime | None = None
        self._ready_until = 0.0
        self._refusal: DatabaseRefused | None = None

    @classmethod
    def from_environment(cls) -> Self:
        """The engine that the environment describes. Raises SettingInvalid, DatabaseRefused, Unavailable."""
        return cls(Settings.from_environment())

    # Life

    def start(self) -> None:
        """Begin to take pending jobs, and settle what dead processes left; after `close` this does nothing.

        DatabaseRefused when the database file is damaged; from then on nothing is launched either.
        """
        if not self._closed:
            self._check_database()
            self._executor.start()
            self._sweep(TickReport())
            self._started = True
            kind = self.settings.database_uri.partition(":")[0]
            log.info("Octoflow %s has started: database %s, data folder %s", __version__, kind, self.settings.data_path)

    def close(self) -> None:
        """Stop what runs, each job with its grace, and let go of everything."""
        self._closed = True
        if self._started:
            log.info("Octoflow stops")
        if self._lazy_executor is not None:
            self._lazy_executor.close()
        self._database.dispose()
        if self._started:
            self._started = False
            log.info("Octoflow has stopped")

    def readiness(self) -> dict[str, Any]:
        """What a service needs to do its work, each part `ok`; Unavailable names the one that is not.

        A good verdict counts for a second: the probes write to the disk, and anybody may ask.
        """
        self._must_be_sound()
        now = self.clock.monotonic()
        if self._ready_until <= now:
            self._database.ping(write=True)
            self._probe_data_folder()
            self._ready_until = now + READY_SECONDS
        return {"status": "ok", "database": "ok", "data": "ok"}

    # Jobs

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

    # The clock

    def tick(self) -> TickReport:
        """Do what time asks for; DatabaseDown when the database cannot be reached."""
        stages = {"sweep": self._sweep, "dispatch": self._dispatch, "tidy": self._tidy}
        return scheduler.tick(stages, self.clock)

    def run_due(self) -> None:
        """After a tick without a service: run what is pending here, unless a service on this host will."""
        from engine.executors.owner import live_owners

        if live_owners(self.settings.run_path / "owners") - {self._executor.owner.id}:
            return
        self._executor.run_until_idle(lambda: self._jobs.has_pending() or self._jobs.has_lost())

    # Access

    def mask(self, text: str) -> str:
        """The text without secrets."""
        return self._secrets.mask().text(text)

    def is_allowed(self, token: str, *, from_loopback: bool, forwarded: bool) -> Role:
        """The role that the token carries; Unauthenticated says what is wrong without saying what would be right."""
        expected = self.settings.api_token
        given, known = (text.encode("utf-8", "surrogatepass") for text in (token, expected))
        if not given or not hmac.compare_digest(given, known):
            raise Unauthenticated("This needs the header 'Authorization: Bearer <token>' with a token that is known.")
        if expected == DEFAULT_TOKEN and (forwarded or not from_loopback):
            raise Unauthenticated(
                "The default token is accepted from the loopback interface only: set API_TOKEN to a token of your own."
            )
        return Role.ADMIN

    # How it is put together

    def _new_job(
        self, path: str, data: Json, timeout_seconds: float | None, priority: int, source: Source
    ) -> tuple[NewJob, list[Any]]:
        if timeout_seconds is not None and not 1 <= timeout_seconds <= MAX_TIMEOUT_SECONDS:
            raise RequestInvalid(f"timeout_seconds must be from 1 to {MAX_TIMEOUT_SECONDS}.")
        if abs(priority) > MAX_PRIORITY:
            raise RequestInvalid(f"priority must be from -{MAX_PRIORITY} to {MAX_PRIORITY}.")
        checked = self._checker.document(path)
        key, flow = checked.document.path, checked.flow
        job = NewJob(
            id=new_id(self.clock.now()),
            path=key,
            name=flow.name,
            revision=checked.document.revision,
            data=data,
            lock_slots=tuple(f"{key}#{slot}" for slot in range(flow.max_concurrent)),
            priority=priority,
            timeout_seconds=timeout_seconds or self.settings.flow_timeout_seconds,
            source=source,
            has_finally=flow.finally_step is not None,
        )
        return job, [checked.document, *checked.parts]

    def _check_database(self) -> None:
        try:
            self._database.check()
        except DatabaseRefused as error:
            self._refusal = error
            raise

    def _must_be_sound(self) -> None:
        if self._refusal is not None:
            raise self._refusal

    def _sweep(self, report: TickReport) -> None:
        from engine.executors.owner import dead_owners, forget_owners

        folder = self.settings.run_path / "owners"
        dead = dead_owners(folder, self._executor.owner.host)
        swept = self._jobs.sweep(self.clock.now(), dead)
        forget_owners(folder, dead)
        report.swept = swept.closed + swept.handed_on
        if report.swept:
            counts = swept.closed, swept.handed_on
            log.warning("jobs whose worker was lost: %d closed, %d handed on for their finally_step", *counts)

    def _dispatch(self, report: TickReport) -> None:
        report.dispatched = self._jobs.count(JobFilter(state=State.PENDING))
        self._executor.nudge()

    def _tidy(self, _report: TickReport) -> None:
        """Remove what killed writers left in the data folder, once an hour: the whole folder is walked for it."""
        now = self.clock.now()
        if self._tidied is None or now - self._tidied > TIDY_AFTER:
            from engine.files import Root

            self._tidied = now
            Root(self.settings.data_path, max_bytes=0).sweep_temporary(now - TIDY_AFTER)

    def _probe_data_folder(self) -> None:
        from engine.files import probe_writable

        probe_writable(self.settings.data_path)

    @property
    def _checker(self) -> Checker:
        with self._lock:
            if self._lazy_checker is None:
                from engine.catalog import Catalog
                from engine.checking import Checker

                self._lazy_checker = Checker(
                    Catalog.from_settings(self.settings), max_depth=self.settings.max_flow_depth + 1
                )
            return self._lazy_checker

    @property
    def _executor(self) -> LocalExecutor:
        with self._lock:
            if self._lazy_executor is None:
                from engine.executors.local import LocalExecutor

                self._lazy_executor = LocalExecutor(
                    self._jobs,
                    self._make_tools,
                    self.clock,
                    workers=self.settings.flow_max_workers,
                    owners_folder=self.settings.run_path / "owners",
                    stop_seconds=self.settings.stop_seconds,
                )
                if self._stopped_for is not None:  # Before there was an executor to tell.
                    self._lazy_executor.stop_all(self._stopped_for)
            return self._lazy_executor

    @cached_property
    def _secrets(self) -> SecretKeeper:
        from engine.secrets.keeper import SecretKeeper
        from engine.secrets.vault import Vault

        settings = self.settings
        token = settings.hashicorp_vault_token
        vault = Vault(token, settings.hashicorp_vault_cache_ttl, self.clock, ca_file=settings.hashicorp_vault_cacert)
        return SecretKeeper(settings.secrets_path, [settings.api_token, token or ""], vault)

    def _make_tools(self, pool: ChildPool) -> Tools:
        from engine.models.limits import RunLimits
        from engine.store.documents import DocumentStore
        from engine.supervisor import Tools

        settings = self.settings
        return Tools(
            jobs=self._jobs,
            documents=DocumentStore(self._database),
            secrets=self._secrets,
            workers=pool,
            clock=self.clock,
            limits=asdict(RunLimits.of(settings)),
            memory_bytes=settings.job_memory_mb << 20,
            max_result_bytes=settings.max_result_bytes,
            grace_seconds=settings.grace_seconds,
            format_time=lambda moment: moment.astimezone(settings.timezone).strftime("%Y%m%d%H%M%S"),
        )
