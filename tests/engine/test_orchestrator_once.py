"""Asking twice under one key, and waiting for a job's end."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Thread

import pytest
from clocks import TestClock
from engines import engines, folder_with
from flows import QUICK, SLOW
from services import until

from engine.errors import FlowNotFound, FlowRunning, IdempotencyKeyReused
from engine.models.job import JobFilter, State, Status
from engine.models.once import Once
from engine.models.schedule import ScheduleFilter
from engine.orchestrator import waiting

DAY = 24 * 3600


@pytest.fixture
def data(tmp_path):
    return folder_with({"quick.yml": QUICK, "slow.yml": SLOW}, tmp_path)


@pytest.fixture
def make(data):
    with engines(data, grace_seconds=2) as make:
        yield make


def asking(request="r", key="k"):
    return Once.of("me", key, request)


def launch(engine, path, once):
    """As the API launches."""
    return engine.made_before(once) or engine.launch(path, once=once)


# Once


def test_a_repeat_is_the_first_job_while_it_runs_after_it_ended_and_after_its_flow_was_deleted(make, data):
    engine = make()
    id = launch(engine, "slow.yml", asking())

    again = asking()
    assert launch(engine, "slow.yml", again) == id
    assert again.is_repeat

    engine.cancel(id)
    assert engine.ended(id, 20) is not None
    (data / "flows" / "slow.yml").unlink()
    assert launch(engine, "slow.yml", asking()) == id
    assert launch(make(), "slow.yml", asking()) == id

    engine.delete_job(id)
    assert launch(engine, "slow.yml", asking()) == id
    assert engine.ended(id, 20) is None


def test_another_request_under_the_key_is_refused(make):
    engine = make(flow_max_workers=0)
    launch(engine, "quick.yml", asking())

    with pytest.raises(IdempotencyKeyReused):
        launch(engine, "quick.yml", asking("another"))


def test_a_refused_launch_leaves_the_key_free(make, data):
    engine = make(flow_max_workers=0)
    with pytest.raises(FlowNotFound):
        launch(engine, "later.yml", asking())
    engine.launch("quick.yml")
    with pytest.raises(FlowRunning):
        launch(engine, "quick.yml", asking("busy", "b"))

    (data / "flows" / "later.yml").write_text(QUICK)

    once = asking()
    assert launch(engine, "later.yml", once) == engine.jobs(JobFilter(path="later.yml"))[0].id
    assert not once.is_repeat


def test_of_requests_at_once_in_two_processes_one_makes_a_job_and_all_get_its_id(make):
    engines = [make(flow_max_workers=0) for _ in range(2)]
    barrier = Barrier(16)

    def ask(number):
        barrier.wait(30)
        return launch(engines[number % 2], "quick.yml", asking())

    with ThreadPoolExecutor(16) as pool:
        ids = set(pool.map(ask, range(16)))

    assert ids == {job.id for job in engines[0].jobs(JobFilter())}
    assert len(ids) == 1


def test_after_a_day_the_key_is_free_and_the_tick_forgets_it(make):
    clock = TestClock()
    engine = make(clock, flow_max_workers=0)
    id = launch(engine, "quick.yml", asking())
    engine.cancel(id)

    clock.pass_by(DAY - 1)
    engine.tick()
    assert engine.made_before(asking()) == id

    clock.pass_by(2)
    engine.tick()
    assert engine.made_before(asking()) is None
    assert launch(engine, "quick.yml", asking()) != id


def test_a_schedule_is_made_once(make):
    engine = make(flow_max_workers=0)
    first = engine.create_schedule("quick.yml", every_seconds=60, once=asking())

    once = asking()
    assert engine.create_schedule("quick.yml", every_seconds=60, once=once) == engine.schedule(first.id)
    assert once.is_repeat
    assert engine.made_before(asking()) == first.id
    assert engine.count_schedules(ScheduleFilter()) == 1


def test_inline_a_repeat_is_not_run_again(make):
    engine = make(executor="inline")
    id = launch(engine, "quick.yml", asking())

    assert launch(engine, "quick.yml", asking()) == id
    job, _ = engine.ended(id)
    assert (job.status, engine.count_jobs(JobFilter())) == (Status.SUCCESS, 1)


# Waiting


def test_who_waits_gets_the_job_when_it_has_ended(make):
    engine = make()

    job, steps = engine.ended(engine.launch("quick.yml"), 30)

    assert (job.state, job.status) == (State.FINISHED, Status.SUCCESS)
    assert [step.status for step in steps] == ["success"] * len(steps)
    assert engine.ended(job.id) is None, "nobody asked to wait"


def test_who_waits_is_told_and_does_not_only_look_now_and_then(make, monkeypatch):
    engine = make()
    id = engine.launch("slow.yml")
    monkeypatch.setattr(waiting, "FIRST_LOOK_SECONDS", 60)
    monkeypatch.setattr(waiting, "LAST_LOOK_SECONDS", 60)
    found = []
    waiter = Thread(target=lambda: found.append(engine.ended(id, 60)))
    waiter.start()
    until(lambda: engine._executor.endings._waiting)

    engine.cancel(id)

    waiter.join(20)
    assert found[0][0].status is Status.CANCELLED
    assert not engine._executor.endings._waiting


def test_the_end_of_a_job_of_another_process_is_seen(make):
    waiter, runner = make(flow_max_workers=0), make()

    job, _ = waiter.ended(runner.launch("quick.yml"), 30)

    assert job.status is Status.SUCCESS


def test_a_wait_is_over_when_its_time_is(make):
    engine = make()
    id = engine.launch("slow.yml")

    assert engine.ended(id, 0.05) is None


def test_when_too_many_wait_the_next_does_not(make, monkeypatch):
    monkeypatch.setattr(waiting, "MOST_WAITING", 0)
    engine = make()

    assert engine.ended(engine.launch("slow.yml"), 60) is None


def test_a_drain_ends_every_wait(make):
    engine = make(flow_max_workers=0)  # Else the job is stopped, and tells of its own end.
    id = engine.launch("slow.yml")
    found = []
    waiter = Thread(target=lambda: found.append(engine.ended(id, 60)), daemon=True)
    waiter.start()
    until(lambda: engine._executor.endings._waiting)

    engine.drain()

    waiter.join(20)
    assert found == [None]


def test_a_job_that_was_deleted_is_not_waited_for(make):
    assert make().ended("0" * 36, 60) is None
