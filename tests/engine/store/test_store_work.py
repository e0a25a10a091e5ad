"""One question tells whether a tick has anything to do: whatever a stage would find, it finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest
from clocks import NOON
from sqlalchemy import update

from engine.clock import new_id
from engine.models.access import Role
from engine.models.audit import AuditRow, Change
from engine.models.job import Outcome, Status
from engine.models.once import Once
from engine.models.schedule import Slot, Verdict
from engine.store.audit import AuditStore
from engine.store.database import Database
from engine.store.marks import MarkStore
from engine.store.tables import jobs as jobs_table
from engine.store.work import WorkStore

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SECOND = timedelta(seconds=1)


@dataclass
class World:
    """A store in which a tick has nothing to do at noon, and what fills it."""

    database: Database
    bench: object
    timetable: object

    def __post_init__(self):
        marks = MarkStore(self.database)
        marks.mark("timezone", text="UTC")
        marks.mark("tidied", time=NOON - HOUR)
        self.bench.now = self.timetable.now = NOON

    def has_work(self, now=NOON, **changes):
        asked = {
            "zone": "UTC",
            "ended_before": now - 30 * DAY,
            "failed_before": now - 90 * DAY,
            "audit_before": now - 365 * DAY,
            "tidied_within": HOUR,
        }
        return WorkStore(self.database).is_any(now, **asked | changes)

    def end(self, age, status=Status.SUCCESS):
        self.bench.now = NOON - age
        self.bench.finish(self.bench.start(), Outcome(status))

    def strand(self):
        holder = self.bench.start(slots=1)
        id = self.bench.queue("waits.yml")
        change = update(jobs_table).where(jobs_table.c.id == id)
        with self.database.write() as connection:
            connection.execute(change.values(state="blocked", wanted="hello.yml"))
        assert not self.has_work()
        with self.database.write() as connection:
            connection.execute(update(jobs_table).where(jobs_table.c.id == holder.id).values(lock="another.yml#0"))

    def slot(self, age):
        schedule = self.timetable.add(last_due=NOON, next_due=NOON + HOUR)
        decided = Slot(NOON - age, Verdict.PAUSED, NOON - age)
        self.timetable.pause(schedule.id)
        self.timetable.schedules.resume(schedule.id, NOON, NOON + HOUR, [decided])

    def change(self, age):
        change = Change(actor="ci", role=Role.ADMIN, action="launch_job")
        AuditStore(self.database).insert(AuditRow(new_id(NOON - age), NOON - age, change))

    def key(self, age):
        self.bench.jobs.insert(self.bench.new(), NOON - age, once=Once.of("me", "k", "r"))
        self.bench.now = NOON
        self.bench.finish(self.bench.claim())

    def claimed(self, age):
        self.bench.now = NOON - age
        self.bench.start()


FILLS: dict[str, tuple[Callable[[World], object], bool]] = {
    "a due schedule": (lambda world: world.timetable.add(last_due=NOON - HOUR, next_due=NOON), True),
    "one that is due later": (lambda world: world.timetable.add(last_due=NOON, next_due=NOON + SECOND), False),
    "a pending job": (lambda world: world.bench.queue(), True),
    "a job that runs": (lambda world: world.claimed(SECOND), False),
    "a job whose lease has ended": (lambda world: world.claimed(HOUR), True),
    "a job that waits for a free lock": (World.strand, True),
    "an old job": (lambda world: world.end(31 * DAY), True),
    "an old job that was cancelled": (lambda world: world.end(31 * DAY, Status.CANCELLED), True),
    "a young job": (lambda world: world.end(29 * DAY), False),
    "a failed job that is kept longer": (lambda world: world.end(31 * DAY, Status.FAILED), False),
    "an old failed job": (lambda world: world.end(91 * DAY, Status.FAILED), True),
    "an old slot": (lambda world: world.slot(31 * DAY), True),
    "a young slot": (lambda world: world.slot(29 * DAY), False),
    "an old change": (lambda world: world.change(366 * DAY), True),
    "a young change": (lambda world: world.change(364 * DAY), False),
    "a key that is free again": (lambda world: world.key(DAY), True),
    "a key in use": (lambda world: world.key(DAY - SECOND), False),
}


@pytest.fixture
def world(database, bench, timetable):
    return World(database, bench, timetable)


def test_there_is_nothing_to_do_in_an_empty_store(world):
    assert not world.has_work()


@pytest.mark.parametrize("kind", FILLS)
def test_work_is_found_and_what_is_none_is_left(world, kind):
    fill, is_work = FILLS[kind]

    fill(world)

    assert world.has_work() is is_work


def test_what_is_kept_for_ever_is_no_work(world):
    world.end(999 * DAY)
    world.end(999 * DAY, Status.FAILED)
    world.slot(999 * DAY)
    world.change(999 * DAY)

    assert not world.has_work(ended_before=None, failed_before=None, audit_before=None)


def test_another_time_zone_is_work(world):
    assert world.has_work(zone="Asia/Tokyo")


@pytest.mark.parametrize("now", [NOON + SECOND, NOON - 2 * HOUR - SECOND], ids=["later", "put back"])
def test_tidying_is_work_once_an_hour_also_when_the_clock_was_put_back(world, now):
    assert world.has_work(now)
