"""One suite over every database: each test that asks for `database` runs on SQLite, PostgreSQL and MariaDB."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from stored_rows import empty

from engine.clock import new_id
from engine.models.flow import Document
from engine.models.job import (
    Claim,
    Event,
    NewJob,
    Outcome,
    Owner,
    Source,
    Status,
    StepEnded,
    StepStarted,
    StepStatus,
)
from engine.models.schedule import DueSchedule, Fired, Firing, Misfire, Overlap, Schedule, ScheduleSource, Slot, Timing
from engine.store.database import Database
from engine.store.documents import DocumentStore
from engine.store.jobs import JobStore
from engine.store.schedules import ScheduleStore


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An upgraded, empty SQLite database: copying it is a hundred times quicker than migrating one."""
    file = tmp_path_factory.mktemp("template") / "jobs.sqlite"
    database = Database(f"sqlite:///{file}")
    database.upgrade()
    database.dispose()
    return file.read_bytes()


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database's URI: SQLite's file is not there yet, a server's database may have been used before."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'jobs.sqlite'}"
    return str(request.getfixturevalue(f"{request.param}_uri"))


@pytest.fixture
def database(uri: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Database]:
    """An upgraded and empty database; afterwards no connection is left open."""
    database = Database(uri, run_path=tmp_path)
    if database.file is not None:
        database.file.write_bytes(request.getfixturevalue("sqlite_template"))
    database.upgrade()
    empty(database)
    yield database
    still_in_use = database.engine.pool.checkedout()  # type: ignore[attr-defined]
    database.dispose()
    assert still_in_use == 0


@pytest.fixture
def jobs(database: Database) -> JobStore:
    return JobStore(database)


@pytest.fixture
def schedules(database: Database) -> ScheduleStore:
    return ScheduleStore(database)


@pytest.fixture
def documents(database: Database) -> DocumentStore:
    return DocumentStore(database)


@pytest.fixture
def sqlite(tmp_path: Path, sqlite_template: bytes) -> Iterator[Database]:
    """An upgraded and empty SQLite database, for what only SQLite does."""
    file = tmp_path / "only.sqlite"
    file.write_bytes(sqlite_template)
    database = Database(f"sqlite:///{file}")
    yield database
    database.dispose()


NOW = datetime(2024, 5, 23, 12, 0, tzinfo=UTC)


class Bench:
    """Jobs in a store, with a clock that only moves when told to."""

    lease = timedelta(seconds=30)

    def __init__(self, jobs: JobStore) -> None:
        self.jobs = jobs
        self.now = NOW
        self.owner = Owner(id="owner-1", host="host-1")

    def later(self, seconds: float) -> datetime:
        self.now += timedelta(seconds=seconds)
        return self.now

    def new(self, path: str = "hello.yml", *, slots: int = 0, **fields: Any) -> NewJob:
        locks = tuple(f"{path}#{slot}" for slot in range(slots))
        self.later(0.001)
        return NewJob(id=new_id(self.now), path=path, name=path, revision="r1", lock_slots=locks, **fields)

    def queue(self, path: str = "hello.yml", **fields: Any) -> str:
        job = self.new(path, **fields)
        assert self.jobs.insert(job, self.now) is None
        return job.id

    def claim(self, owner: Owner | None = None) -> Claim:
        (claim,) = self.jobs.claim(owner or self.owner, self.now, self.now + self.lease)
        return claim

    def start(self, path: str = "hello.yml", **fields: Any) -> Claim:
        claim = self.jobs.insert(
            self.new(path, **fields), self.now, owner=self.owner, lease_until=self.now + self.lease
        )
        assert claim is not None
        return claim

    def in_step(self, path: str = "hello.yml", **fields: Any) -> Claim:
        """A job whose first step has begun."""
        claim = self.start(path, **fields)
        assert self.record(claim, self.began())
        return claim

    def record(self, claim: Claim, *events: Event, first_line: int | None = None) -> bool:
        line = first_line or self.next_line(claim)
        return self.jobs.record(claim.id, claim.owner, claim.epoch, events, first_line=line)

    def finish(self, claim: Claim, outcome: Outcome | None = None, *events: Event) -> bool:
        outcome = outcome or Outcome(Status.SUCCESS)
        key = (claim.id, claim.owner, claim.epoch)
        line = self.next_line(claim)
        return self.jobs.finish(*key, outcome, events, self.now, lock=claim.lock, first_line=line).is_ours

    def next_line(self, claim: Claim) -> int:
        return self.jobs.last_numbers(claim.id)[1] + 1

    def began(self, number: int = 1, **fields: Any) -> StepStarted:
        return StepStarted(**{"number": number, "name": f"step {number}", "type": "jq", "time": self.now, **fields})

    def ended(self, number: int = 1, **fields: Any) -> StepEnded:
        return StepEnded(**{"number": number, "status": StepStatus.SUCCESS, "time": self.now, **fields})


@pytest.fixture
def bench(jobs: JobStore) -> Bench:
    return Bench(jobs)


@pytest.fixture
def bench_of() -> Callable[[Database], Bench]:
    """A bench over a database of the test's choice."""
    return lambda database: Bench(JobStore(database))


class Timetable:
    """Schedules in a store that are due each minute, and ticks that fire them."""

    minute = timedelta(minutes=1)

    def __init__(self, schedules: ScheduleStore) -> None:
        self.schedules = schedules
        self.now = NOW
        self.made = 0

    def new(self, path: str = "hello.yml", **fields: Any) -> Schedule:
        self.made += 1
        schedule = Schedule(
            id=new_id(NOW + timedelta(milliseconds=self.made)),
            path=path,
            timing=Timing(NOW, every_seconds=60),
            overlap=Overlap.SKIP,
            misfire=Misfire.LATEST,
            misfire_grace_seconds=None,
            timeout_seconds=None,
            data=None,
            source=ScheduleSource.API,
            is_paused=False,
            created_time=self.now,
            last_due=self.now,
            next_due=self.now + self.minute,
        )
        return replace(schedule, **fields)

    def add(self, path: str = "hello.yml", **fields: Any) -> Schedule:
        schedule = self.new(path, **fields)
        self.schedules.insert(schedule)
        return schedule

    def pause(self, id: str) -> bool:
        """Nothing was due before."""
        schedule = self.schedules.get(id)
        return self.schedules.pause(schedule, schedule.last_due, None, [])

    def firing(
        self, schedule: Schedule | DueSchedule, *, slots: int = 1, told: tuple[Slot, ...] = (), **fields: Any
    ) -> Firing:
        """What a tick decides about it at its next due time; `told` are the slots of due times that get no job."""
        due = schedule.standing.next_due
        assert due is not None
        job = NewJob(
            id=new_id(due),
            path=schedule.path,
            name=schedule.path,
            revision="r1",
            lock_slots=tuple(f"{schedule.path}#{slot}" for slot in range(slots)),
            source=Source.SCHEDULE,
            schedule_id=schedule.id,
        )
        firing = Firing(
            schedule_id=schedule.id,
            expected=due,
            last_due=due,
            next_due=due + self.minute,
            slots=told,
            due_time=due,
            overlap=schedule.overlap,
            job=job,
        )
        return replace(firing, **fields)

    def tick(self, *, slots: int = 1, documents: tuple[Document, ...] = ()) -> Fired:
        """A minute passes, and everything that is due is fired."""
        self.now += self.minute
        due = self.schedules.due(self.now, 1000)
        firings = [self.firing(each, slots=slots) for each in due if isinstance(each, DueSchedule)]
        return self.schedules.fire(firings, documents, self.now)


@pytest.fixture
def timetable(schedules: ScheduleStore) -> Timetable:
    return Timetable(schedules)


@pytest.fixture
def timetable_of() -> Callable[[Database], Timetable]:
    """A timetable over a database of the test's choice."""
    return lambda database: Timetable(ScheduleStore(database))
