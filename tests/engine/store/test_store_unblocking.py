"""Jobs that wait for a lock get it from whoever frees it, the oldest first."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import text

from engine.models.job import JobFilter, Outcome, Owner, State, Status
from engine.models.schedule import Overlap


@pytest.fixture
def waiting(timetable, jobs):
    """Queues so many jobs behind the one that runs, one of each schedule."""

    def wait(path="hello.yml", count=1, slots=1):
        for number in range(count):
            timing = replace(timetable.new().timing, every_seconds=60 + number)
            timetable.add(path, overlap=Overlap.QUEUE, timing=timing)
        ids = sorted(timetable.tick(slots=slots).jobs)
        assert all(jobs.get(id).state is State.BLOCKED for id in ids)
        return ids

    return wait


def states(jobs, *ids):
    return [jobs.get(id).state for id in ids]


def holders(jobs):
    return {lock.job_id for lock in jobs.locks()}


def test_the_end_of_a_job_makes_the_oldest_that_waits_pending(bench, jobs, waiting):
    holder = bench.start(slots=1)
    first, second = waiting(count=2)

    bench.finish(holder)

    assert states(jobs, first, second) == [State.PENDING, State.BLOCKED]
    assert holders(jobs) == {first}
    bench.finish(bench.claim())
    assert states(jobs, first, second) == [State.FINISHED, State.PENDING]
    bench.finish(bench.claim())
    assert holders(jobs) == set()


def test_the_end_of_a_job_may_claim_the_one_that_waited(bench, jobs, waiting):
    holder = bench.start(slots=1)
    (first,) = waiting(count=1)

    finish = jobs.finish(
        *(holder.id, holder.owner, holder.epoch, Outcome(Status.SUCCESS), [], bench.now),
        lock=holder.lock, first_line=1, next_for=bench.owner, lease_until=bench.now,
    )  # fmt: skip

    assert finish.next is not None
    assert (finish.next.id, finish.next.lock) == (first, holder.lock)
    assert states(jobs, first) == [State.RUNNING]


def test_a_job_that_waits_is_not_claimed(bench, jobs, waiting):
    bench.start(slots=1)
    waiting()

    assert not jobs.has_pending()


def test_the_next_job_takes_the_very_lock_that_was_freed(bench, jobs, waiting):
    claims = [bench.start(slots=3) for _ in range(3)]
    (first,) = waiting(slots=3)

    bench.finish(claims[1])

    claim = bench.claim()
    assert (claim.id, claim.lock) == (first, claims[1].lock) == (first, "hello.yml#1")


def test_other_flows_are_not_woken(bench, jobs, waiting):
    bench.start("a.yml", slots=1)
    (a,) = waiting("a.yml")

    bench.finish(bench.start("a.ymlx", slots=1))
    bench.finish(bench.start("b.yml", slots=1))
    bench.finish(bench.start("a.yml", slots=0))

    assert states(jobs, a) == [State.BLOCKED]


def test_a_cancelled_pending_job_hands_its_lock_over(bench, jobs, waiting):
    holder = bench.queue(slots=1)
    (first,) = waiting()

    jobs.cancel(holder, bench.now)

    assert states(jobs, holder, first) == [State.FINISHED, State.PENDING]
    assert holders(jobs) == {first}


def test_a_cancelled_running_job_keeps_its_lock_until_it_ends(bench, jobs, waiting):
    holder = bench.start(slots=1)
    (first,) = waiting()

    jobs.cancel(holder.id, bench.now)

    assert states(jobs, holder.id, first) == [State.STOPPING, State.BLOCKED]


def test_a_job_that_waits_can_be_cancelled(bench, jobs, waiting):
    holder = bench.start(slots=1)
    first, second = waiting(count=2)

    job = jobs.cancel(first, bench.now)

    assert (job.state, job.status, job.message) == (State.FINISHED, Status.CANCELLED, "Cancelled before it began.")
    assert states(jobs, holder.id, second) == [State.RUNNING, State.BLOCKED]
    bench.finish(holder)
    assert states(jobs, first, second) == [State.FINISHED, State.PENDING]


def test_a_lost_job_that_is_closed_hands_its_lock_over(bench, jobs, waiting):
    bench.in_step(slots=1)
    (first,) = waiting()

    jobs.sweep(bench.later(31), [])

    assert states(jobs, first) == [State.PENDING]


def test_a_lost_job_that_is_handed_on_keeps_its_lock_until_it_has_ended(bench, jobs, waiting):
    bench.in_step(slots=1, has_finally=True)
    (first,) = waiting()

    jobs.sweep(bench.later(31), [])
    assert states(jobs, first) == [State.BLOCKED]
    (adopted,) = jobs.adopt(Owner("other", "host"), bench.now, bench.now + bench.lease)
    bench.finish(adopted)

    assert states(jobs, first) == [State.PENDING]


def test_an_end_that_is_refused_hands_nothing_over(bench, jobs, waiting):
    holder = bench.start(slots=1)
    (first,) = waiting()

    assert bench.finish(replace(holder, epoch=9)) is False

    assert states(jobs, first) == [State.BLOCKED]


def test_a_launch_does_not_overtake_a_job_that_waits(bench, jobs, waiting):
    holder = bench.start(slots=1)
    (first,) = waiting()

    bench.finish(holder)

    with pytest.raises(Exception, match="already running") as refused:
        bench.queue(slots=1)
    assert refused.value.fields["job_id"] == first


def test_a_tick_finds_those_that_nobody_woke(database, bench, jobs, waiting):
    bench.start("a.yml", slots=1)
    held = waiting("a.yml")
    bench.start("b.yml", slots=1)
    first, second = waiting("b.yml", count=2)
    with database.write() as connection:
        connection.execute(text("DELETE FROM jobs WHERE path = 'b.yml' AND state = 'running'"))

    assert jobs.unblock() == 1
    assert jobs.unblock() == 0

    assert states(jobs, first, second, *held) == [State.PENDING, State.BLOCKED, State.BLOCKED]
    bench.finish(bench.claim())
    assert states(jobs, second) == [State.PENDING]


def test_a_job_that_is_woken_late_leaves_a_lock_alone_that_was_taken_meanwhile(
    database, bench, jobs, waiting, monkeypatch
):
    holder = bench.start(slots=1)
    waiting()
    monkeypatch.setattr("engine.store.unblocking.list_stranded", lambda connection: ["hello.yml"])

    assert jobs.unblock() == 0

    assert holders(jobs) == {holder.id}
    assert jobs.count(JobFilter(state=State.BLOCKED)) == 1
