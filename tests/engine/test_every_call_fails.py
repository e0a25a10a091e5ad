"""Any one call to the database may fail: then the answer is honest, no row is half done, and the next try works.

The n-th call fails, for n = 1, 2, 3 ... until nothing fails any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from clocks import TestClock
from failing_calls import failing
from flows import QUICK, SLOW, TIDY
from sqlalchemy import event
from stored_rows import broken_row_rules, empty, shape
from stores import upgraded_sqlite

from engine.clock import Clock
from engine.errors import Conflict, NotFound, Unavailable
from engine.models.access import Role
from engine.models.audit import Change
from engine.models.job import (
    JobFilter,
    LogLine,
    Outcome,
    Owner,
    State,
    Status,
    StepEnded,
    StepStarted,
    StepStatus,
)
from engine.models.schedule import Overlap
from engine.orchestrator import Orchestrator
from engine.settings import Settings
from engine.supervisor.row import HeldRow

MARK = (
    "name: mark\nsteps:\n"
    "  - {name: mark, type: file, file: {path: marks.txt, mode: append, type: text, data_key: __flow_path__}}\n"
    "  - {name: v, type: set_fact, set_fact: {value: 1}}\n"
)
OWNER = Owner("owner-1", "host-1")
LEASE = timedelta(seconds=30)
MOST_CALLS = 500
ON_SQLITE = (
    "a locked database",
    "a disk that fails",
    "a commit that is refused",
    "a commit whose answer is lost",
)
ON_POSTGRESQL = ("a lost connection", "a connection lost before a commit", "a connection lost after a commit")
FLOWS = {"quick.yml": QUICK, "other.yml": QUICK, "slow.yml": SLOW, "lost.yml": SLOW, "tidy.yml": TIDY}
CHANGE = Change("API_TOKEN", Role.ADMIN, "launch_job")


def in_a_hurry(connection: Any, _: object) -> None:
    """No test pulls the plug: nothing need reach the disk."""
    connection.execute("PRAGMA synchronous = OFF")


@pytest.fixture
def opened(kind, tmp_path, request) -> Callable[..., Any]:
    """Opens engines over an empty database each, of the kind that can fail so; nobody there takes jobs by himself."""
    uri = request.getfixturevalue("postgresql_uri") if kind in ON_POSTGRESQL else None
    (tmp_path / "flows").mkdir()
    for name, text in FLOWS.items():
        (tmp_path / "flows" / name).write_text(text)

    @contextmanager
    def opened(clock: Clock | None = None, **values: Any) -> Iterator[Orchestrator]:
        if uri is None:
            for path in tmp_path.glob("jobs.sqlite*"):
                path.unlink()
            (tmp_path / "jobs.sqlite").write_bytes(upgraded_sqlite())
        engine = Orchestrator(Settings(data_path=tmp_path, sqlalchemy_database_uri=uri, **values), clock or TestClock())
        if uri is None:
            event.listen(engine._database.engine, "connect", in_a_hurry)
            engine._database.dispose()
        else:
            empty(engine._database)
        if engine.settings.executor == "local":
            engine._executor.start = lambda: None
        try:
            yield engine
        finally:
            engine.close()

    return opened


# What is asked


def claimed(engine: Orchestrator, path: str = "slow.yml") -> Any:
    """A job that runs."""
    engine.launch(path, change=CHANGE)
    now = engine.clock.now()
    (claim,) = engine._jobs.claim(OWNER, now, now + LEASE)
    return claim


def held(engine: Orchestrator) -> HeldRow:
    """The row of a job that runs, with events that are not on disk, while a schedule's job waits for its lock."""
    claim = claimed(engine)
    engine.create_schedule("slow.yml", every_seconds=1, overlap=Overlap.QUEUE)
    engine.clock.pass_by(1)
    assert engine.tick().errors == []
    row = HeldRow(claim, SimpleNamespace(jobs=engine._jobs, clock=engine.clock), lambda: None)
    now = engine.clock.now()
    row.add(StepStarted(number=1, name="first", type="jq", time=now))
    row.add(StepEnded(number=1, status=StepStatus.SUCCESS, time=now, result_key="first", output="1"))
    row.add(StepStarted(number=2, name="second", type="jq", time=now))
    row.add(LogLine(now, "info", "a line"))
    return row


def ended(engine: Orchestrator) -> str:
    """A job that was cancelled."""
    job_id = engine.launch("quick.yml", change=CHANGE)
    engine.cancel(job_id)
    return job_id


def much_to_do(engine: Orchestrator) -> None:
    """Something for each stage of a tick: what is old, lost, handed on, due, and waits for its flow."""
    ended(engine)
    engine.clock.pass_by(40 * 86_400)
    claimed(engine, "lost.yml")
    claimed(engine, "tidy.yml")
    engine.create_schedule("quick.yml", every_seconds=60)
    engine.create_schedule("other.yml", cron="* * * * *", overlap=Overlap.QUEUE)
    engine.create_schedule("slow.yml", every_seconds=60, overlap=Overlap.QUEUE)
    engine.create_schedule("tidy.yml", every_seconds=60)
    engine.clock.pass_by(150)
    claimed(engine, "slow.yml")


def tick(engine: Orchestrator, _: None) -> None:
    report = engine.tick()
    if report.errors:
        raise Unavailable("; ".join(report.errors))


def flush(_: Orchestrator, row: HeldRow) -> None:
    row.flush_now()


def finish(_: Orchestrator, row: HeldRow) -> None:
    row.finish(Outcome(Status.SUCCESS, result='{"first": 1}'))


@dataclass(frozen=True)
class Asked:
    """Something that is asked of an engine over what `given` makes."""

    given: Callable[[Orchestrator], Any]
    act: Callable[[Orchestrator, Any], Any]
    is_one: bool = True
    """Whether all of it is done or nothing; what is not goes on where it was."""


ASKED = {
    "launch": Asked(lambda engine: None, lambda engine, _: engine.launch("quick.yml", change=CHANGE)),
    "claim": Asked(
        lambda engine: engine.launch("quick.yml", change=CHANGE),
        lambda engine, _: engine._jobs.claim(OWNER, engine.clock.now(), engine.clock.now() + LEASE),
    ),
    "renew": Asked(
        claimed,
        lambda engine, claim: engine._jobs.renew(claim.id, claim.owner, claim.epoch, engine.clock.now() + LEASE),
    ),
    "record": Asked(held, flush),
    "finish": Asked(held, finish),
    "cancel a job that waits": Asked(
        lambda engine: engine.launch("quick.yml", change=CHANGE), lambda engine, id: engine.cancel(id)
    ),
    "cancel a job that runs": Asked(lambda engine: claimed(engine).id, lambda engine, id: engine.cancel(id)),
    "delete a job": Asked(ended, lambda engine, id: engine.delete_job(id)),
    "delete jobs": Asked(ended, lambda engine, _: engine.delete_jobs(state=State.FINISHED)),
    "schedule": Asked(
        lambda engine: None, lambda engine, _: engine.create_schedule("quick.yml", every_seconds=60, source="api")
    ),
    "delete a schedule": Asked(
        lambda engine: engine.create_schedule("quick.yml", every_seconds=60).id,
        lambda engine, id: engine.delete_schedule(id),
    ),
    "tick": Asked(much_to_do, tick, is_one=False),
}


# A tick makes a hundred calls; each of them is tried where there is time for it, its commits everywhere.
SLOW_TO_TRY = ("a locked database", "a disk that fails", *ON_POSTGRESQL)
TRIED = [
    pytest.param(kind, name, marks=[pytest.mark.slow_fault] if name == "tick" and kind in SLOW_TO_TRY else [])
    for kind in (*ON_SQLITE, *ON_POSTGRESQL)
    for name in ASKED
]


@pytest.mark.timeout(400)
@pytest.mark.parametrize(("kind", "name"), TRIED)
def test_row_31_any_call_that_fails_leaves_all_done_or_nothing_and_the_next_try_works(opened, kind, name):
    asked = ASKED[name]
    with opened() as engine:
        given = asked.given(engine)
        before = shape(engine._database)
        asked.act(engine, given)
        after = shape(engine._database)
        assert broken_row_rules(engine._database) == []

    for number in range(1, MOST_CALLS):
        with opened() as engine:
            given = asked.given(engine)
            refused = None
            with failing(engine._database, number, kind) as calls:
                try:
                    asked.act(engine, given)
                except Unavailable as error:
                    refused = error

            assert broken_row_rules(engine._database) == [], number
            if refused is None:
                assert shape(engine._database) == after, number
            elif asked.is_one:
                assert shape(engine._database) in (before, after), number
            if calls.asked < number:
                assert refused is None
                break
            with suppress(Conflict, NotFound):  # It was done, although nobody could say so.
                asked.act(engine, given)
            assert shape(engine._database) == after, number
    assert number > 1


# A whole job, in the thread that asks for it


class Hasty(Clock):
    """Waits for nothing, so that what is tried again is tried at once."""

    def wait(self, event: Event, seconds: float) -> bool:
        return event.is_set()


def marks(folder: Path) -> int:
    """How often the step of `mark.yml` was run."""
    path = folder / "marks.txt"
    return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.mark.parametrize("kind", ON_SQLITE)
def test_row_31_a_job_whose_every_call_fails_once_runs_each_step_once_and_ends(opened, kind, tmp_path):
    (tmp_path / "flows" / "mark.yml").write_text(MARK)
    with opened(Hasty(), executor="inline", flow_max_workers=1) as engine:
        database = engine._database
        for number in range(1, MOST_CALLS):
            before = marks(tmp_path)
            refused = None
            with failing(database, number, kind) as calls:
                try:
                    engine.launch("mark.yml", change=CHANGE)
                except Unavailable as error:
                    refused = error

            assert broken_row_rules(database) == [], number
            if refused is None:
                (job,) = engine.jobs(JobFilter(limit=1))
                assert (job.state, job.status, marks(tmp_path)) == (State.FINISHED, Status.SUCCESS, before + 1), number
            else:
                assert marks(tmp_path) == before, number
            if calls.asked < number:
                assert refused is None
                break
            # A row that was written although the answer was no is seen to when its lease has ended.
            engine._jobs.sweep(engine.clock.now() + 2 * LEASE, ())
            engine._executor.run_until_idle()
            assert {job.state for job in engine.jobs(JobFilter())} <= {State.FINISHED}, number
            assert marks(tmp_path) <= before + 1, number
            assert broken_row_rules(database) == [], number
    assert number > 1
