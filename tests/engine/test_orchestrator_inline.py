"""Where nothing runs between requests: a launch runs its job, a tick runs what waits; and an engine that leaves."""

from __future__ import annotations

import threading
from threading import Thread

import pytest
from engines import engines, folder_with
from flows import QUICK, SLOW, TIDY
from services import until

from engine.errors import Busy, DatabaseRefused, Draining, FlowNotFound, FlowRunning
from engine.models.job import JobFilter, Reason, Source, State, Status
from engine.store.database import Database

FAILING = "name: failing\nsteps:\n  - {name: no, type: jq, jq: {expression: 'error(1)'}}\n"


@pytest.fixture
def make(tmp_path):
    """Makes engines over one data folder; they run jobs inline unless it is said otherwise."""
    data = folder_with({"quick.yml": QUICK, "slow.yml": SLOW, "tidy.yml": TIDY, "failing.yml": FAILING}, tmp_path)
    with engines(data, executor="inline", flow_max_workers=2, grace_seconds=5) as make:
        yield make


@pytest.fixture
def engine(make):
    return make()


def queue(make, path="quick.yml"):
    """A pending job that another process has left."""
    other = make(executor="local", flow_max_workers=0)
    id = other.launch(path)
    other.close()
    return id


def launching(engine, path, step="wait"):
    """A thread that launches; it has come to that step."""
    thread = Thread(target=lambda: results.append(engine.launch(path)))
    results = []
    thread.start()
    until(lambda: any(row.name == step for job in engine.jobs(JobFilter(path=path)) for row in engine.job(job.id)[1]))
    return thread, results


# Launches


def test_a_launch_has_run_its_job_when_it_returns(engine):
    before = threading.active_count()

    id = engine.launch("quick.yml", {"a": 1})

    job, steps = engine.ended(id)
    assert (job.status, job.source, job.data) == (Status.SUCCESS, Source.API, {"a": 1})
    assert [step.name for step in steps] == ["v"]
    until(lambda: threading.active_count() <= before)


def test_a_job_that_fails_is_a_launch_all_the_same(engine):
    job, _ = engine.ended(engine.launch("failing.yml"))

    assert (job.state, job.status) == (State.FINISHED, Status.FAILED)


def test_a_launch_that_only_queues_has_no_job_that_ended(make):
    engine = make(executor="local", flow_max_workers=0)

    assert engine.ended(engine.launch("quick.yml")) is None


def test_a_job_that_another_process_has_taken_over_has_not_ended(engine, make):
    assert engine.ended(queue(make)) is None


def test_what_a_launch_refuses_takes_no_room(make):
    engine = make(flow_max_workers=1)
    for _ in range(3):
        with pytest.raises(FlowNotFound):
            engine.launch("nowhere.yml")

    assert engine.ended(engine.launch("quick.yml"))


def test_a_flow_that_runs_inline_is_locked(engine):
    thread, _ = launching(engine, "slow.yml")

    with pytest.raises(FlowRunning):
        engine.launch("slow.yml")
    engine.stop_running(Reason.CANCELLED)
    thread.join(10)


def test_a_launch_beyond_the_most_at_once_is_refused_and_leaves_no_job(make):
    engine = make(flow_max_workers=1)
    thread, _ = launching(engine, "slow.yml")

    with pytest.raises(Busy):
        engine.launch("quick.yml")
    engine.stop_running(Reason.CANCELLED)
    thread.join(10)

    assert engine.count_jobs(JobFilter(path="quick.yml")) == 0


def test_a_job_that_runs_inline_is_cancelled_by_another_process(engine, make):
    thread, _ = launching(engine, "slow.yml")
    (job,) = engine.jobs(JobFilter())

    make(executor="local", flow_max_workers=0).cancel(job.id)
    thread.join(10)

    assert engine.job(job.id)[0].status is Status.CANCELLED


# The tick


def test_a_tick_runs_what_is_pending_and_returns_when_it_has_ended(engine, make):
    before = threading.active_count()
    ids = [queue(make), queue(make, "failing.yml")]

    report = engine.tick()

    assert (report.dispatched, report.errors) == (2, [])
    assert [engine.job(id)[0].state for id in ids] == [State.FINISHED] * 2
    until(lambda: threading.active_count() <= before)


def test_a_tick_runs_what_it_has_fired_itself(engine):
    schedule = engine.create_schedule("quick.yml", every_seconds=1)
    until(lambda: engine.clock.now() > schedule.next_due)

    report = engine.tick()

    (job,) = engine.jobs(JobFilter(schedule_id=schedule.id))
    assert report.fired == 1
    assert job.status is Status.SUCCESS


def test_the_first_tick_does_what_a_start_does_elsewhere(engine, monkeypatch):
    checks = []
    monkeypatch.setattr(Database, "check", lambda database: checks.append(database))

    engine.tick()
    engine.tick()

    assert len(checks) == 1


def test_a_damaged_database_is_refused_by_the_first_tick(engine, monkeypatch):
    def damaged(_):
        raise DatabaseRefused("jobs.sqlite is damaged.")

    monkeypatch.setattr(Database, "check", damaged)

    with pytest.raises(DatabaseRefused):
        engine.tick()
    with pytest.raises(DatabaseRefused):
        engine.launch("quick.yml")


# Leaving


@pytest.mark.parametrize("executor", ["inline", "local"])
def test_an_engine_that_leaves_takes_no_jobs_and_answers_all_else(make, executor):
    engine = make(executor=executor)
    id = engine.launch("quick.yml")

    engine.drain()
    engine.drain()

    for verb in (lambda: engine.launch("quick.yml"), engine.tick, engine.readiness):
        with pytest.raises(Draining):
            verb()
    assert engine.job(id)[0].path == "quick.yml"
    assert engine.count_jobs(JobFilter()) == 1


def test_a_launch_under_way_returns_with_the_job_that_the_drain_has_stopped(engine):
    thread, results = launching(engine, "tidy.yml")

    engine.drain()
    thread.join(10)

    job, steps = engine.ended(*results)
    assert (job.status, job.reason) == (Status.FAILED, Reason.SHUTDOWN)
    assert [(step.name, str(step.status)) for step in steps] == [("wait", "stopped"), ("tidy", "success")]


def test_an_executor_that_is_made_after_the_drain_takes_nothing(engine):
    engine.drain()

    with pytest.raises(Draining):
        engine._executor.room().__enter__()
