"""A pause of a schedule: nothing is run in it, and nothing that was due before is lost in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from clocks import TestClock

from engine.models.job import JobFilter
from engine.models.schedule import Verdict
from engine.orchestrator import Orchestrator
from engine.settings import Settings

TEN_PAST = datetime(2026, 11, 21, 15, 10, 2, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def clock():
    return TestClock(TEN_PAST)


@pytest.fixture
def engine(tmp_path, clock):
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "f.yml").write_text("name: f\nsteps:\n  - {name: s, type: set_fact, set_fact: {value: 1}}\n")
    made = Orchestrator(Settings(data_path=tmp_path), clock)
    yield made
    made.close()


@pytest.fixture
def id(engine):
    return engine.create_schedule("f.yml", cron="* * * * *").id


def verdicts(engine, id):
    """Oldest first: what became of which minutes after three o'clock."""
    slots = reversed(engine.slots(id, 50))
    return [(slot.verdict, (slot.first_due_time or slot.due_time).minute, slot.due_time.minute) for slot in slots]


def test_what_no_tick_saw_before_a_pause_is_made_up_for_after_it(engine, clock, id):
    clock.pass_by(120)

    engine.pause_schedule(id)
    engine.resume_schedule(id)
    engine.tick()

    assert verdicts(engine, id) == [(Verdict.COALESCED, 11, 11), (Verdict.FIRED, 12, 12)]


def test_a_pause_and_the_ticks_in_it_run_nothing(engine, clock, id):
    clock.pass_by(120)
    engine.pause_schedule(id)
    clock.pass_by(120)

    engine.tick()
    assert engine.count_jobs(JobFilter()) == 0

    engine.resume_schedule(id)
    engine.tick()
    assert verdicts(engine, id) == [(Verdict.COALESCED, 11, 11), (Verdict.FIRED, 12, 12), (Verdict.PAUSED, 13, 14)]


def test_what_one_pause_left_is_not_lost_in_the_next(engine, clock, id):
    clock.pass_by(60)
    engine.pause_schedule(id)
    clock.pass_by(60)
    engine.resume_schedule(id)

    engine.pause_schedule(id)
    clock.pass_by(60)
    engine.resume_schedule(id)
    engine.tick()

    assert verdicts(engine, id) == [(Verdict.FIRED, 11, 11), (Verdict.PAUSED, 12, 12), (Verdict.PAUSED, 13, 13)]


def test_what_fell_due_between_two_pauses_is_newer_than_what_was_before_both(engine, clock, id):
    clock.pass_by(60)
    engine.pause_schedule(id)
    engine.resume_schedule(id)
    clock.pass_by(60)

    engine.pause_schedule(id)
    engine.resume_schedule(id)
    engine.tick()

    assert verdicts(engine, id) == [(Verdict.COALESCED, 11, 11), (Verdict.FIRED, 12, 12)]


def test_what_waits_through_a_long_pause_expires(engine, clock, id):
    clock.pass_by(60)
    engine.pause_schedule(id)
    clock.pass_by(2 * 3600)

    engine.resume_schedule(id)
    engine.tick()

    assert [slot.verdict for slot in engine.slots(id, 50)] == [Verdict.PAUSED, Verdict.EXPIRED]
    assert engine.count_jobs(JobFilter()) == 0


def test_a_tick_that_comes_while_a_pause_decides_is_heard(engine, clock, id, monkeypatch):
    clock.pass_by(60)
    read, ticks = engine._schedules.get, iter([engine.tick])

    def get(id):
        schedule = read(id)
        for tick in ticks:
            tick()
        return schedule

    monkeypatch.setattr(engine._schedules, "get", get)

    assert engine.pause_schedule(id).is_paused

    assert verdicts(engine, id) == [(Verdict.FIRED, 11, 11)]
    assert engine.schedule(id).owed is None


def test_a_schedule_whose_times_cannot_be_read_can_be_paused(engine, clock, id):
    with engine._database.write() as connection:
        connection.exec_driver_sql("UPDATE schedules SET timezone = 'Nowhere/At_All'")

    assert engine.pause_schedule(id).is_paused


def test_another_timezone_forgets_nothing_that_is_owed(engine, clock, id, tmp_path):
    clock.pass_by(60)
    engine.pause_schedule(id)
    engine.resume_schedule(id)
    engine.close()

    moved = Orchestrator(Settings(data_path=tmp_path, timezone=ZoneInfo("Asia/Kolkata")), clock)
    moved.tick()

    assert verdicts(moved, id) == [(Verdict.FIRED, 11, 11)]
    moved.close()
