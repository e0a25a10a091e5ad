"""The engine as a key sees it that is limited to some documents: what it may not reach is not there.

It stands where the whole engine does, and has a verb only where one is written here. Every other one is refused, so
that a new verb is closed to such keys until somebody has thought about it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from posixpath import normpath
from typing import TYPE_CHECKING, Any

from engine.errors import (
    DatabaseRefused,
    FileMissing,
    FlowNotFound,
    Forbidden,
    Invalid,
    JobNotFound,
    NotFound,
    ScheduleNotFound,
)
from engine.models.access import matches
from engine.models.document import DocumentFilter, DocumentView, ListedDocument, Look
from engine.models.flow import FlowInputs
from engine.models.job import Job, JobFilter, LogLine, StepRow
from engine.models.lock import Lock
from engine.models.schedule import Schedule, ScheduleFilter, Slot

if TYPE_CHECKING:
    from engine.models.forecast import Forecast
    from engine.models.once import Once
    from engine.orchestrator import Orchestrator


class Limited:
    """The verbs of the Orchestrator, over the documents that a glob means.

    What such a document runs is its author's decision: sub-flows and secrets are not limited.
    """

    def __init__(self, engine: Orchestrator, flows: str) -> None:
        self._engine = engine
        self._flows = flows
        self.settings = engine.settings
        self.clock = engine.clock

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise Forbidden(f"The key is limited to the flows {self._flows!r}, and this concerns others as well.")

    # Jobs

    def launch(self, path: str, data: Any = None, **options: Any) -> Any:
        return self._engine.launch(self._reached(path), data, **options)

    def made_before(self, once: Once | None) -> str | None:
        return self._engine.made_before(once)  # By this very key, which reached it then.

    def ended(self, id: str, wait_seconds: float = 0) -> tuple[Job, list[StepRow]] | None:
        return self._engine.ended(id, wait_seconds)  # Of a job that this key has launched.

    def jobs(self, filter: JobFilter) -> list[Job]:
        return self._engine.jobs(filter, self._flows)

    def count_jobs(self, filter: JobFilter) -> int:
        return self._engine.count_jobs(filter, self._flows)

    def job(self, id: str) -> tuple[Job, list[StepRow]]:
        self._must_reach_job(id)
        return self._engine.job(id)

    def logs(self, id: str, after: int = 0, limit: int = 1000) -> tuple[list[LogLine], int | None]:
        self._must_reach_job(id)
        return self._engine.logs(id, after, limit)

    def cancel(self, id: str) -> Job:
        self._must_reach_job(id)
        return self._engine.cancel(id)

    def delete_job(self, id: str) -> None:
        self._must_reach_job(id)
        self._engine.delete_job(id)

    # Schedules

    def create_schedule(self, path: str, **fields: Any) -> Schedule:
        return self._engine.create_schedule(self._reached(path), **fields)

    def add_flow(self, path: str, **fields: Any) -> Schedule:
        return self._engine.add_flow(self._reached(path), **fields)

    def schedules(self, filter: ScheduleFilter) -> list[Schedule]:
        return self._engine.schedules(filter, self._flows)

    def count_schedules(self, filter: ScheduleFilter) -> int:
        return self._engine.count_schedules(filter, self._flows)

    def schedule(self, id: str) -> Schedule:
        try:
            schedule = self._engine.schedule(id)
        except DatabaseRefused:  # Its row cannot be read, so nobody knows whose it is.
            raise ScheduleNotFound(id) from None
        if not matches(self._flows, schedule.path):
            raise ScheduleNotFound(id)
        return schedule

    def slots(self, id: str, limit: int, before: datetime | None = None) -> list[Slot]:
        self.schedule(id)
        return self._engine.slots(id, limit, before)

    def delete_schedule(self, id: str) -> None:
        self.schedule(id)
        self._engine.delete_schedule(id)

    def pause_schedule(self, id: str) -> Schedule:
        self.schedule(id)
        return self._engine.pause_schedule(id)

    def resume_schedule(self, id: str) -> Schedule:
        self.schedule(id)
        return self._engine.resume_schedule(id)

    def forecast(self, hours: float, limit: int, path: str | None = None) -> Forecast:
        return self._engine.forecast(hours, limit, path, self._flows)

    # Documents

    def declared_inputs(self) -> list[FlowInputs]:
        return self._engine.declared_inputs(self._flows)

    # Locks

    def locks(self) -> Iterable[Lock]:
        return self._engine.locks(self._flows)

    def release_lock(self, flow: str) -> list[str]:
        return self._engine.release_lock(flow, self._flows)

    def release_locks(self) -> list[str]:
        return self._engine.release_locks(self._flows)

    # Documents

    def validate(self, text: str | None = None, path: str | None = None) -> Look:
        if text is None:
            return self._engine.validate(None, self._reached(path or ""))
        if path is not None and not self._may_be_at(path):
            raise FlowNotFound(f"There is no flow {path!r} in FLOWS_PATH.")
        return self._engine.validate(text, path, self._flows)

    def documents(self, filter: DocumentFilter) -> list[ListedDocument]:
        return self._engine.documents(filter, self._flows)

    def count_documents(self, filter: DocumentFilter) -> int:
        return self._engine.count_documents(filter, self._flows)

    def document(self, path: str) -> DocumentView:
        return self._engine.document(self._reached(path))

    # What is reached

    def _reached(self, path: str) -> str:
        """The document's own path; FlowNotFound, always the same, where it is not there, cannot be, or is another's."""
        try:
            key = self._engine.find_document(path)
        except (NotFound, Invalid):
            key = None
        if key is None or not matches(self._flows, key):
            raise FlowNotFound(f"There is no flow {path!r} in FLOWS_PATH.")
        return key

    def _may_be_at(self, path: str) -> bool:
        """Whether a document could be at this path, and be this key's: one that is there, or one that is not yet."""
        try:
            key = self._engine.find_document(path)
        except FileMissing:
            key = normpath(path)
        except Invalid:
            return False
        return matches(self._flows, key)

    def _must_reach_job(self, id: str) -> None:
        if not matches(self._flows, self._engine.job_path(id)):
            raise JobNotFound(id)
