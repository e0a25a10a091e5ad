"""Executors over a real store, with real processes and quick flows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from flows import QUICK, TIDY
from services import until
from stores import sqlite_database

from engine.clock import Clock, new_id
from engine.executors import inline, local
from engine.executors.children import ChildPool
from engine.executors.executor import Executor
from engine.executors.inline import InlineExecutor
from engine.executors.local import LocalExecutor
from engine.models.flow import Document
from engine.models.job import Job, NewJob, Owner, State, StepStarted
from engine.models.limits import RunLimits
from engine.secrets.keeper import SecretKeeper
from engine.store.documents import DocumentStore
from engine.store.jobs import JobStore
from engine.supervisor import Tools


class Hall:
    """A store with jobs in it, and the executors that a test makes over it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.data.mkdir()
        self.owners = folder / "owners"
        self.clock = Clock()
        self.database = sqlite_database(folder / "jobs.sqlite")
        self.jobs = JobStore(self.database)
        self.executors: list[Executor] = []

    def executor(self, workers: int = 1, queue: Any = None) -> LocalExecutor:
        return self._made(LocalExecutor, workers, queue)

    def inline(self, workers: int = 1, queue: Any = None) -> InlineExecutor:
        return self._made(InlineExecutor, workers, queue)

    def _made(self, kind: Any, workers: int, queue: Any) -> Any:
        made = kind(
            queue or self.jobs, self._tools, self.clock, workers=workers, owners_folder=self.owners, stop_seconds=13
        )
        self.executors.append(made)
        return made

    def queue(self, text: str = QUICK, *, owner: Owner | None = None, **fields: Any) -> Any:
        """A pending job of a flow with this text: its id; with an owner a running one: its claim."""
        document = Document(path="f.yml", text=text, revision=sha256(text.encode()).hexdigest())
        now = self.clock.now()
        job = NewJob(
            id=new_id(now),
            path=document.path,
            name="f",
            revision=document.revision,
            timeout_seconds=60,
            has_finally="finally_step" in text,
            **fields,
        )
        lease_until = now + timedelta(seconds=30)
        claim = self.jobs.insert(job, now, documents=[document], owner=owner, lease_until=lease_until)
        return job.id if claim is None else claim

    def lost(self, text: str = TIDY) -> str:
        """A job whose owner is gone: handed on for its finally_step."""
        claim = self.queue(text, owner=Owner("gone", "host"))
        begun = [StepStarted(1, "wait", "sleep", self.clock.now())]
        assert self.jobs.record(claim.id, claim.owner, claim.epoch, begun, first_line=1)
        self.jobs.sweep(self.clock.now(), {"gone"})
        return claim.id

    def finished(self, job_id: str, seconds: float = 20) -> Job:
        return until(lambda: (job := self.jobs.get(job_id)).state is State.FINISHED and job, seconds)

    def in_step(self, job_id: str, name: str = "wait") -> Any:
        return until(lambda: any(step.name == name for step in self.jobs.get_with_steps(job_id)[1]))

    def _tools(self, pool: ChildPool) -> Tools:
        return Tools(
            jobs=self.jobs,
            documents=DocumentStore(self.database),
            secrets=SecretKeeper(self.folder / "secrets.yml"),
            workers=pool,
            clock=self.clock,
            limits=asdict(RunLimits(data_path=str(self.data))),
            memory_bytes=256 << 20,
            max_result_bytes=1_000_000,
            grace_seconds=5,
            format_time=lambda moment: moment.strftime("%Y%m%d%H%M%S"),
        )


@pytest.fixture
def hall(tmp_path: Path) -> Iterator[Hall]:
    made = Hall(tmp_path)
    yield made
    for executor in made.executors:
        executor.close()
    made.database.dispose()


@pytest.fixture
def look_each(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets how often an executor looks at the table by itself."""

    def look_each(seconds: float) -> None:
        for module in (local, inline):
            monkeypatch.setattr(module, "LOOK_SECONDS", seconds)

    return look_each
