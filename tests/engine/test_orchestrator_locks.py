"""Locks are seen and released, and a clock that is not heard is missed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from clocks import NOON, TestClock
from engines import engines, folder_with
from flows import QUICK

from engine.errors import ClockSilent, LockAmbiguous, LockNotFound
from engine.models.job import State, Status
from engine.models.lock import Lock, locks_of
from engine.store.marks import MarkStore


class HandMovedClock(TestClock):
    """Threads that wait do not move it."""

    def wait(self, event, seconds):
        return event.wait(seconds)


@pytest.fixture
def clock():
    return HandMovedClock()


@pytest.fixture
def engine(tmp_path, clock):
    """An engine without workers: what is launched stays pending, and holds its lock."""
    flows = {path: QUICK.replace("quick", f"The {path[0]}") for path in ("quick.yml", "a/same.yml", "b/same.yml")}
    flows |= {"many.yml": "max_concurrent: 2\n" + QUICK, "any.yml": "max_concurrent: unlimited\n" + QUICK}
    with engines(folder_with(flows, tmp_path), clock, flow_max_workers=0) as make:
        yield make()


def test_jobs_that_hold_a_lock_are_listed_by_path(engine):
    second, first = engine.launch("quick.yml"), engine.launch("a/same.yml")
    engine.launch("any.yml")

    assert engine.locks() == [
        Lock("a/same.yml", "The a", first, State.PENDING, NOON, None),
        Lock("quick.yml", "The q", second, State.PENDING, NOON, None),
    ]


@pytest.mark.parametrize(
    "flow", ["a/same.yml", "./a/same.yml", "a/x/../same.yml", "a/same", "same.yml", "same", "The a"]
)
def test_a_lock_is_released_by_whatever_its_flow_is_called(engine, flow):
    job, other = engine.launch("a/same.yml"), engine.launch("quick.yml")

    assert engine.release_lock(flow) == [job]

    assert engine.job(job)[0].status is Status.CANCELLED
    assert [lock.job_id for lock in engine.locks()] == [other]
    assert engine.launch("a/same.yml") != job


def test_all_locks_of_one_flow_are_released_together(engine):
    jobs = [engine.launch("many.yml"), engine.launch("many.yml")]

    assert sorted(engine.release_lock("many")) == sorted(jobs)
    assert engine.locks() == []


@pytest.mark.parametrize("flow", ["quick.yml", "nothing", "", ".", "same", "SAME.yml", "The"])
def test_a_lock_that_nobody_holds(engine, flow):
    engine.launch("many.yml")

    with pytest.raises(LockNotFound, match="No job holds a lock of a flow"):
        engine.release_lock(flow)


def test_a_name_that_two_locked_flows_have_is_refused_and_a_path_is_not(engine):
    first, second = engine.launch("a/same.yml"), engine.launch("b/same.yml")

    with pytest.raises(LockAmbiguous, match=r"'same' can be each of a/same\.yml, b/same\.yml: give the path"):
        engine.release_lock("same")

    assert engine.release_lock("b/same") == [second]
    assert engine.release_lock("same") == [first]


def test_every_lock_is_released(engine):
    jobs = [engine.launch("a/same.yml"), engine.launch("quick.yml")]

    assert engine.release_locks() == jobs
    assert engine.release_locks() == []


def test_a_lock_that_is_freed_meanwhile_is_passed_over(engine, monkeypatch):
    gone, held = engine.launch("a/same.yml"), engine.launch("quick.yml")
    locks = engine.locks()
    monkeypatch.setattr(engine, "locks", lambda *_: locks)
    engine.cancel(gone)

    assert engine.release_locks() == [held]


def test_a_path_wins_over_a_name():
    def lock(path, name):
        return Lock(path, name, path, State.RUNNING, NOON, None)

    locks = [lock("x.yml", "y.yml"), lock("y.yml", "x"), lock("z/y.yml", "z")]

    assert [each.path for each in locks_of("y.yml", locks)] == ["y.yml"]
    assert [each.path for each in locks_of("x", locks)] == ["x.yml", "y.yml"]


# The clock


def test_a_clock_that_nobody_waits_for_may_be_silent(engine, clock):
    clock.pass_by(10_000)

    assert engine.clock_health() is None


def test_a_clock_is_missed_three_minutes_after_the_first_schedule(engine, clock):
    schedule = engine.create_schedule("quick.yml", every_seconds=60)
    clock.pass_by(179)
    assert engine.clock_health() is None

    clock.pass_by(2)
    with pytest.raises(ClockSilent, match="No tick has come yet, and schedules wait for one"):
        engine.clock_health()

    engine.pause_schedule(schedule.id)
    assert engine.clock_health() is None


def test_a_schedule_that_is_resumed_has_not_waited_before(engine, clock):
    old = engine.create_schedule("quick.yml", cron="@yearly")
    engine.pause_schedule(old.id)
    clock.pass_by(10_000)

    engine.resume_schedule(old.id)

    clock.pass_by(179)
    assert engine.clock_health() is None
    clock.pass_by(2)
    with pytest.raises(ClockSilent):
        engine.clock_health()


def test_a_schedule_that_is_resumed_shortens_no_wait_of_another(engine, clock):
    old = engine.create_schedule("quick.yml", cron="@yearly")
    engine.pause_schedule(old.id)
    clock.pass_by(10_000)
    engine.create_schedule("quick.yml", cron="@monthly")
    clock.pass_by(179)

    engine.resume_schedule(old.id)

    assert engine.clock_health() is None
    clock.pass_by(2)
    with pytest.raises(ClockSilent):
        engine.clock_health()


def test_a_tick_makes_the_clock_well_for_three_minutes(engine, clock):
    engine.create_schedule("quick.yml", cron="@yearly")
    assert engine.last_tick() is None
    clock.pass_by(1000)
    engine.tick()
    clock.pass_by(179)
    assert engine.clock_health() == NOON + timedelta(seconds=1000)

    clock.pass_by(2)
    with pytest.raises(ClockSilent, match=r"No tick has come since 2026-03-15T12:16:40\.000\+00:00"):
        engine.clock_health()
    assert engine.last_tick() == NOON + timedelta(seconds=1000)


def test_whoever_asks_often_for_the_last_tick_costs_one_look_a_second(engine, clock, monkeypatch):
    looks = []
    monkeypatch.setattr(MarkStore, "marked", lambda _, name: looks.append(name))

    for _ in range(5):
        engine.last_tick()
        clock.pass_by(0.4)

    assert looks == ["tick", "tick"]
