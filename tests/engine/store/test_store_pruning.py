"""Ended jobs go when they are older, or more, than are kept; whatever is active stays."""

from __future__ import annotations

from datetime import timedelta

import pytest
from plans import plans
from sqlalchemy import select

from engine.clock import new_id
from engine.models.job import JobFilter, Outcome, State, Status
from engine.models.schedule import Overlap
from engine.store.deleting import beyond
from engine.store.tables import steps

DAY = timedelta(days=1)


@pytest.fixture
def ended(bench):
    """A job that has ended so."""

    def end(status=Status.SUCCESS, path="hello.yml"):
        claim = bench.start(path)
        bench.finish(claim, Outcome(status), bench.began())
        return claim.id

    return end


def ids(jobs, **filter):
    return [job.id for job in jobs.list(JobFilter(limit=500, **filter))]


def test_ended_jobs_go_by_their_age_and_failed_ones_by_another(bench, jobs, ended):
    old = {status: ended(status) for status in Status}
    bench.later(86_400)
    border = bench.now
    young = {status: ended(status) for status in Status}

    assert jobs.prune(border, None, 100) == 4
    assert set(ids(jobs)) == {old[Status.FAILED], *young.values()}
    assert jobs.prune(border, border, 100) == 1
    assert set(ids(jobs)) == set(young.values())
    assert jobs.prune(None, None, 100) == 0


def test_a_job_counts_from_its_end_not_from_its_start(bench, jobs):
    claim = bench.start()
    border = bench.later(86_400)
    end = bench.later(5)
    bench.finish(claim)

    assert jobs.prune(border, border, 100) == 0
    assert jobs.prune(end, end, 100) == 0
    assert jobs.prune(end + timedelta(microseconds=1), None, 100) == 1


def test_no_active_job_is_pruned_however_old(bench, jobs, timetable):
    running, pending = bench.start("a.yml", slots=1).id, bench.queue("b.yml")
    timetable.add("a.yml", overlap=Overlap.QUEUE)
    (blocked,) = timetable.tick().jobs
    stopping = bench.start("c.yml").id
    jobs.cancel(stopping, bench.now)
    later = bench.now + 1000 * DAY

    assert jobs.prune(later, later, 100) == 0
    assert jobs.prune_flows(0, None, 100) == (0, None)

    assert set(ids(jobs)) == {running, pending, blocked, stopping}
    assert jobs.get(blocked).state is State.BLOCKED


def test_at_most_so_many_are_pruned_the_oldest_first(bench, jobs, ended, monkeypatch):
    monkeypatch.setattr("engine.store.pruning.BATCH", 2)
    made = [ended() for _ in range(7)]
    later = bench.later(10)

    assert jobs.prune(later, later, 5) == 5
    assert ids(jobs) == [made[6], made[5]]
    assert jobs.prune(later, later, 5) == 2
    assert jobs.prune(later, later, 5) == 0


def test_a_pruned_job_takes_its_steps_along(bench, jobs, ended, database):
    id = ended()
    jobs.prune(bench.later(1), None, 10)

    assert database.ask(lambda c: c.scalars(select(steps.c.name).where(steps.c.job_id == id)).all()) == []


def test_each_flow_keeps_its_newest_jobs_and_its_newest_failed_ones(bench, jobs, ended):
    kept = set()
    for path in ("a.yml", "B.yml", "c/ü.yml"):
        good = [ended(status, path) for status in (Status.SUCCESS, Status.EXIT, Status.CANCELLED, Status.SUCCESS)]
        bad = [ended(Status.FAILED, path) for _ in range(3)]
        running = bench.start(path).id
        kept |= {*good[-2:], *bad[-2:], running}

    assert jobs.prune_flows(2, None, 100) == (9, None)

    assert set(ids(jobs)) == kept
    assert jobs.prune_flows(2, None, 100) == (0, None)


def test_flows_are_looked_at_so_many_at_a_time(jobs, ended):
    for path in ("a.yml", "b.yml", "c.yml"):
        ended(path=path)
        ended(path=path)

    assert jobs.prune_flows(1, None, 2) == (2, "b.yml")
    assert jobs.prune_flows(1, "b.yml", 2) == (1, None)
    assert jobs.prune_flows(1, "c.yml", 2) == (0, None)


def test_a_flow_with_too_many_jobs_is_gone_on_with_the_next_time(jobs, ended, monkeypatch):
    monkeypatch.setattr("engine.store.pruning.MOST", 3)
    ended(path="a.yml")
    for _ in range(5):
        ended(path="b.yml")

    assert jobs.prune_flows(1, None, 10) == (3, "a.yml")
    assert jobs.prune_flows(1, "a.yml", 10) == (1, None)
    assert len(ids(jobs, path="b.yml")) == 1


def test_ids_of_earlier_jobs_are_below_the_border_of_a_time_and_those_of_later_ones_above(bench):
    moment = bench.now
    earlier = [new_id(moment - timedelta(microseconds=n)) for n in (0, 1, 999, 1000, 10**9)]
    later = new_id(moment + timedelta(milliseconds=1))

    assert all(id < beyond(moment) for id in earlier)
    assert beyond(moment) <= later


@pytest.mark.parametrize(
    ("verb", "index"),
    [
        (lambda jobs, now: jobs.prune(now, now, 2000), "jobs_by_status (status=? AND id<?)"),
        (lambda jobs, now: jobs.prune_flows(10, None, 50), "jobs_by_path (path=?)"),
        (lambda jobs, now: jobs.prune_flows(0, None, 50), "jobs_by_path (path=? AND id<?)"),
    ],
)
def test_finding_what_to_prune_reads_only_what_indexes_name(sqlite, bench_of, verb, index):
    bench = bench_of(sqlite)
    for status in (Status.SUCCESS, Status.FAILED):
        bench.finish(bench.start(), Outcome(status))

    seen = plans(sqlite, lambda: verb(bench.jobs, bench.now - DAY))

    assert any(index in plan for plan in seen)
    assert all("SEARCH jobs USING" in plan and "TEMP B-TREE" not in plan for plan in seen)
    assert not any("jobs_by_status (status=?)" in plan for plan in seen)
