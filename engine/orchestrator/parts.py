"""What the engine is put together from: each part is made when a verb first needs it."""

from __future__ import annotations

from dataclasses import asdict, replace
from threading import RLock
from typing import TYPE_CHECKING, Any

from engine.clock import Clock, new_id
from engine.errors import DatabaseRefused, Draining, InputsInvalid, RequestInvalid
from engine.models.input_values import read_inputs, refuse_secrets
from engine.models.job import Job, Json, NewJob, Source, StepRow
from engine.orchestrator.part import Part
from engine.settings import Settings

if TYPE_CHECKING:
    from engine.catalog import Catalog
    from engine.checking import CheckedDocument, Checker
    from engine.executors.children import ChildPool
    from engine.executors.executor import Executor
    from engine.executors.expressions import ExpressionChecker
    from engine.models.schedule import Schedule
    from engine.secrets.keeper import SecretKeeper
    from engine.store.marks import MarkStore
    from engine.store.schedules import ScheduleStore
    from engine.supervisor import Tools

MAX_TIMEOUT_SECONDS = 2_592_000
MAX_PRIORITY = 1_000_000


class Parts:
    """The parts of one service's engine, and what its verbs share."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        from engine.store.database import Database
        from engine.store.documents import DocumentStore
        from engine.store.jobs import JobStore

        self.settings = settings
        self.clock = clock or Clock()
        settings.make_folders()
        self._database = Database(settings.database_uri, run_path=settings.run_path)
        self._database.upgrade()
        self._documents = DocumentStore(self._database)
        self._jobs = JobStore(self._database, self._documents)
        self._lock = RLock()  # A part is made of others.
        self._lazy_executor: Executor | None = None
        self._stopped_for: str | None = None
        self._is_leaving = False
        self._refusal: DatabaseRefused | None = None

    def _masked(self, schedule: Schedule) -> Schedule:
        return replace(schedule, data=self._secrets.mask().json(schedule.data))

    def _new_job(
        self,
        path: str,
        data: Json,
        timeout_seconds: float | None,
        priority: int,
        source: Source,
        *,
        schedule_id: str | None = None,
        checked: CheckedDocument | None = None,
        id: str | None = None,
    ) -> tuple[NewJob, list[Any]]:
        if timeout_seconds is not None and not 1 <= timeout_seconds <= MAX_TIMEOUT_SECONDS:
            raise _out_of_bounds("timeout_seconds", 1, MAX_TIMEOUT_SECONDS)
        if abs(priority) > MAX_PRIORITY:
            raise _out_of_bounds("priority", -MAX_PRIORITY, MAX_PRIORITY)
        checked = checked or self._checker.document(path)
        key, flow = checked.document.path, checked.flow
        secrets: dict[str, str] | None = None
        if flow.inputs:
            try:
                if source is Source.SCHEDULE:
                    refuse_secrets(key, flow.inputs, data)
                values = read_inputs(key, flow.inputs, data)
            except InputsInvalid as error:
                raise error.masked(self._secrets.mask().text) from None
            data, secrets = values.shown, values.secrets
        job = NewJob(
            id=id or new_id(self.clock.now()),
            path=key,
            name=flow.name,
            revision=checked.document.revision,
            data=data,
            secrets=secrets,
            lock_slots=tuple(f"{key}#{slot}" for slot in range(flow.max_concurrent)),
            priority=priority,
            timeout_seconds=timeout_seconds or self.settings.flow_timeout_seconds,
            source=source,
            schedule_id=schedule_id,
            has_finally=flow.finally_step is not None,
        )
        return job, [checked.document, *checked.parts]

    def _job(self, id: str) -> tuple[Job, list[StepRow]]:
        job, steps = self._jobs.get_with_steps(id)
        data = self._secrets.mask().json(job.data)
        return job if data == job.data else replace(job, data=data), steps

    def _must_be_sound(self) -> None:
        if self._refusal is not None:
            raise self._refusal

    def _must_take_jobs(self) -> None:
        if self._is_leaving:
            raise Draining("This process is on its way out and takes no new jobs.")

    @property
    def _is_inline(self) -> bool:
        return self.settings.executor == "inline"

    @Part
    def _checker(self) -> Checker:
        from engine.checking import Checker

        return Checker(self._catalog, max_depth=self.settings.max_flow_depth, verdicts=self._verdicts)

    @Part
    def _catalog(self) -> Catalog:
        from engine.catalog import Catalog

        return Catalog.from_settings(self.settings)

    @Part
    def _verdicts(self) -> ExpressionChecker:
        from engine.executors.expressions import ExpressionChecker

        memory_bytes = self.settings.job_memory_mb << 20
        return ExpressionChecker(lambda: self._executor.pool, memory_bytes, self._documents, self.clock)

    def _fresh_verdicts(self) -> ExpressionChecker:
        """Verdicts that nobody keeps."""
        from engine.executors.expressions import ExpressionChecker

        return ExpressionChecker(lambda: self._executor.pool, self.settings.job_memory_mb << 20, None, self.clock)

    @property
    def _executor(self) -> Executor:
        with self._lock:
            if self._lazy_executor is None:
                from engine.executors import executor_class

                self._lazy_executor = executor_class(self.settings)(
                    self._jobs,
                    self._make_tools,
                    self.clock,
                    workers=self.settings.flow_max_workers,
                    owners_folder=self.settings.run_path / "owners",
                    stop_seconds=self.settings.stop_seconds,
                )
                if self._stopped_for is not None:  # Before there was an executor to tell.
                    self._lazy_executor.stop_all(self._stopped_for)
                if self._is_leaving:
                    self._lazy_executor.drain()
            return self._lazy_executor

    @Part
    def _schedules(self) -> ScheduleStore:
        from engine.store.schedules import ScheduleStore

        return ScheduleStore(self._database, self._documents)

    @Part
    def _marks(self) -> MarkStore:
        from engine.store.marks import MarkStore

        return MarkStore(self._database)

    @Part
    def _secrets(self) -> SecretKeeper:
        from engine.secrets.keeper import SecretKeeper
        from engine.secrets.vault import Vault

        settings = self.settings
        token = settings.hashicorp_vault_token
        vault = Vault(token, settings.hashicorp_vault_cache_ttl, self.clock, ca_file=settings.hashicorp_vault_cacert)
        return SecretKeeper(settings.secrets_path, [settings.api_token, token or ""], vault)

    def _make_tools(self, pool: ChildPool) -> Tools:
        from engine.models.limits import RunLimits
        from engine.supervisor import Tools

        settings = self.settings
        return Tools(
            jobs=self._jobs,
            documents=self._documents,
            secrets=self._secrets,
            workers=pool,
            clock=self.clock,
            limits=asdict(RunLimits.of(settings)),
            memory_bytes=settings.job_memory_mb << 20,
            max_result_bytes=settings.max_result_bytes,
            grace_seconds=settings.grace_seconds,
            format_time=lambda moment: moment.astimezone(settings.timezone).strftime("%Y%m%d%H%M%S"),
        )


def _out_of_bounds(field: str, low: int, high: int) -> RequestInvalid:
    message = f"must be from {low} to {high}"
    return RequestInvalid(f"{field} {message}.", details=[{"field": field, "message": message}])
