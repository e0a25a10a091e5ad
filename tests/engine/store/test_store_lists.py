"""Lists, counts and deletions, small and by index."""

from __future__ import annotations

from datetime import timedelta

import pytest
from plans import plans
from sqlalchemy import func, select
from traced import traced

from engine.errors import JobActive, JobNotFound
from engine.models.job import JobFilter, LogLine, Outcome, State, Status
from engine.store.jobs import JobStore
from engine.store.tables import logs, steps


def ids(jobs, **filter):
    return [job.id for job in jobs.list(JobFilter(**filter))]


def test_a_list_is_newest_first_and_paged(bench, jobs):
    a, b, c = (bench.queue() for _ in range(3))

    assert ids(jobs) == [c, b, a]
    assert ids(jobs, limit=2) == [c, b]
    assert ids(jobs, limit=2, offset=2) == [a]
    assert jobs.count(JobFilter(limit=1, offset=2)) == 3


def test_a_list_has_the_errors_but_neither_data_nor_result(bench, jobs):
    claim = bench.start(data={"big": 1})
    bench.finish(claim, Outcome(Status.FAILED, errors=[{"step": "x"}], result="1"))

    (job,) = jobs.list(JobFilter())

    assert (job.data, job.result, job.errors) == (None, None, [{"step": "x"}])
    assert (job.id, job.status) == (claim.id, Status.FAILED)


def test_each_filter_lets_through_what_it_says(bench, jobs):
    failed = bench.start("a.yml")
    bench.finish(failed, Outcome(Status.FAILED))
    waiting = bench.queue("b.yml", schedule_id="s")

    assert ids(jobs, state=State.FINISHED) == [failed.id]
    assert ids(jobs, state=State.PENDING) == [waiting]
    assert ids(jobs, status=Status.FAILED) == [failed.id]
    assert ids(jobs, status=Status.SUCCESS) == []
    assert ids(jobs, path="b.yml") == [waiting]
    assert ids(jobs, path="B.yml") == []
    assert ids(jobs, schedule_id="s") == [waiting]
    assert ids(jobs, path="b.yml", state=State.FINISHED) == []
    assert jobs.count(JobFilter(schedule_id="s")) == 1


def test_times_are_inclusive_at_from_and_exclusive_at_to(bench, jobs):
    claim = bench.start()
    start, end = bench.now, bench.later(5)
    bench.finish(claim)
    instant = timedelta(microseconds=1)

    assert ids(jobs, start_time_from=start, start_time_to=start + instant) == [claim.id]
    assert ids(jobs, start_time_from=start + instant) == []
    assert ids(jobs, start_time_to=start) == []
    assert ids(jobs, end_time_from=end, end_time_to=end + instant) == [claim.id]
    assert ids(jobs, end_time_from=end + instant) == []
    assert ids(jobs, end_time_to=end) == []


def test_a_deleted_job_takes_its_steps_and_logs_along(bench, jobs, database):
    claim = bench.start()
    bench.finish(claim, None, bench.began(), LogLine(bench.now, "info", "x"))

    jobs.delete(claim.id)

    with pytest.raises(JobNotFound):
        jobs.get(claim.id)
    with database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(steps)) == 0
        assert connection.scalar(select(func.count()).select_from(logs)) == 0


def test_an_active_or_unknown_job_is_not_deleted(bench, jobs):
    running, pending = bench.start().id, bench.queue()

    for id in (running, pending):
        with pytest.raises(JobActive, match=id):
            jobs.delete(id)
    with pytest.raises(JobNotFound):
        jobs.delete("nobody")
    assert ids(jobs) == [pending, running]


def test_old_jobs_are_deleted_by_age_and_status(bench, jobs):
    old_failed, old_good = bench.start(), bench.start()
    bench.finish(old_failed, Outcome(Status.FAILED))
    bench.finish(old_good)
    border = bench.later(60)
    recent = bench.start()
    bench.finish(recent)
    running = bench.start()

    assert jobs.delete_older(border, status=Status.FAILED) == 1
    assert ids(jobs) == [running.id, recent.id, old_good.id]
    assert jobs.delete_older(border, state=State.RUNNING) == 0
    assert jobs.delete_older(border, state=State.FINISHED) == 1
    assert jobs.delete_older(None) == 1
    assert ids(jobs) == [running.id]


def test_a_deletion_of_many_jobs_goes_on_until_none_is_left(bench, jobs, monkeypatch):
    monkeypatch.setattr("engine.store.deleting.BATCH", 2)
    for _ in range(3):
        jobs.cancel(bench.queue(), bench.now)

    assert jobs.delete_older(None) == 3


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("status", [Status.FAILED, None])
def test_a_deletion_walks_an_index(sqlite, bench_of, before, status):
    now = bench_of(sqlite).now if before else None

    (plan,) = plans(sqlite, lambda: JobStore(sqlite).delete_older(now, status=status))

    assert "USING INDEX jobs_by_" in plan or "USING COVERING INDEX jobs_by_" in plan
    assert "TEMP B-TREE" not in plan


def test_questions_that_are_asked_each_second_walk_an_index(sqlite, bench_of):
    bench = bench_of(sqlite)
    bench.in_step(has_finally=True)
    bench.queue()
    now = bench.later(60)
    jobs = JobStore(sqlite)

    def ask():
        jobs.stopping("owner-1")
        jobs.sweep(now, [])
        jobs.claim(bench.owner, now, now)
        jobs.adopt(bench.owner, now, now)
        jobs.delete_older(now)

    seen = plans(sqlite, ask)

    assert len(seen) > 6
    assert not [plan for plan in seen if "SCAN jobs" in plan]
    assert any("jobs_by_owner" in plan for plan in seen)
    assert any("jobs_to_claim" in plan and "TEMP B-TREE" not in plan for plan in seen)


def test_a_job_and_its_steps_are_read_at_one_moment(sqlite, bench_of):
    bench = bench_of(sqlite)
    claim = bench.start()
    bench.record(claim, bench.began())

    with traced(sqlite) as statements:
        job, step_rows = JobStore(sqlite).get_with_steps(claim.id)

    assert (job.id, len(step_rows)) == (claim.id, 1)
    assert [statement.split()[0] for statement in statements] == ["BEGIN", "SELECT", "SELECT", "ROLLBACK"]
