"""A claim is the right to run a job, until it is lost."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from threading import Thread

import pytest
from traced import traced

from engine.errors import JobNotFound
from engine.models.job import Outcome, Owner, Reason, State, Status
from engine.store import recording
from engine.store.jobs import JobStore

NOW = datetime(2024, 5, 23, tzinfo=UTC)
OTHER = Owner(id="owner-2", host="host-2")


def test_a_claim_takes_the_lowest_priority_number_first_and_then_the_oldest(bench, jobs):
    late, urgent, early = bench.queue(priority=5), bench.queue(priority=-1), bench.queue(priority=0)
    early_too = bench.queue(priority=0)

    order = [bench.claim().id for _ in range(4)]

    assert order == [urgent, early, early_too, late]
    assert jobs.claim(bench.owner, bench.now, bench.now) == []


def test_a_claim_says_all_that_is_needed_to_run_the_job(bench, jobs):
    id = bench.queue("a.yml", data={"x": 1}, timeout_seconds=9.0)
    bench.later(5)

    claim = bench.claim()

    assert (claim.id, claim.path, claim.revision, claim.data, claim.timeout_seconds) == (id, "a.yml", "r1", {"x": 1}, 9)
    assert (claim.owner, claim.epoch, claim.reason, claim.start_time) == ("owner-1", 1, None, bench.now)
    assert (jobs.get(id).state, jobs.get(id).start_time) == (State.RUNNING, bench.now)


def test_several_jobs_can_be_claimed_at_once(bench, jobs):
    ids = [bench.queue() for _ in range(4)]

    claims = jobs.claim(bench.owner, bench.now, bench.now + bench.lease, limit=3)

    assert [claim.id for claim in claims] == ids[:3]
    assert bench.claim().id == ids[3]


def test_asking_for_work_where_there_is_none_does_not_wait_for_a_writer(sqlite):
    jobs = JobStore(sqlite)

    with traced(sqlite) as statements:
        assert jobs.claim(OTHER, NOW, NOW) == []
        assert jobs.adopt(OTHER, NOW, NOW) == []

    assert "BEGIN" in statements
    assert "BEGIN IMMEDIATE" not in statements


def test_a_renewal_tells_whether_to_go_on(bench, jobs):
    claim = bench.start()

    assert jobs.renew(claim.id, claim.owner, claim.epoch, bench.later(30)) is State.RUNNING

    jobs.cancel(claim.id, bench.now)
    assert jobs.renew(claim.id, claim.owner, claim.epoch, bench.later(30)) is State.STOPPING


@pytest.mark.parametrize(("owner", "epoch"), [("owner-2", 1), ("owner-1", 2), ("OWNER-1", 1)])
def test_only_the_holder_of_the_claim_may_write(bench, jobs, owner, epoch):
    claim = bench.start()

    assert jobs.renew(claim.id, owner, epoch, bench.now) is None
    assert jobs.stop(claim.id, owner, epoch, Reason.TIMEOUT) is False
    assert jobs.record(claim.id, owner, epoch, [bench.began()], first_line=1) is False
    assert not jobs.finish(
        claim.id, owner, epoch, Outcome(Status.SUCCESS), [bench.began()], bench.now, first_line=1
    ).is_ours
    assert jobs.get(claim.id).state is State.RUNNING
    assert jobs.get_with_steps(claim.id)[1] == []


def test_a_finished_job_cannot_be_renewed(bench, jobs):
    claim = bench.start()
    bench.finish(claim)

    assert jobs.renew(claim.id, claim.owner, claim.epoch, bench.later(30)) is None


def test_a_renewed_job_is_not_swept(bench, jobs):
    claim = bench.start()
    jobs.renew(claim.id, claim.owner, claim.epoch, bench.now + timedelta(seconds=60))

    jobs.sweep(bench.later(45), [])

    assert jobs.get(claim.id).state is State.RUNNING


def test_the_end_of_a_job_claims_the_next_one_for_whom_it_is_asked(bench, jobs):
    claim, late, urgent = bench.start(), bench.queue(priority=5), bench.queue(priority=-1)
    key = (claim.id, claim.owner, claim.epoch)
    until = bench.later(5) + bench.lease

    finish = jobs.finish(*key, Outcome(Status.SUCCESS), [], bench.now, first_line=1, next_for=OTHER, lease_until=until)

    assert finish.is_ours
    assert finish.next is not None
    assert (finish.next.id, finish.next.owner, finish.next.epoch) == (urgent, OTHER.id, 1)
    assert (finish.next.start_time, jobs.get(urgent).start_time) == (bench.now, bench.now)
    assert [jobs.get(id).state for id in (claim.id, urgent, late)] == [State.FINISHED, State.RUNNING, State.PENDING]
    assert jobs.renew(urgent, OTHER.id, 1, bench.now) is State.RUNNING


@pytest.mark.parametrize("next_for", [OTHER, None])
def test_the_end_of_a_job_claims_nothing_where_none_is_pending_or_nobody_asks(bench, jobs, next_for):
    claim = bench.start()
    pending = [] if next_for else [bench.queue()]

    finish = jobs.finish(
        *(claim.id, claim.owner, claim.epoch, Outcome(Status.SUCCESS), [], bench.now),
        first_line=1, next_for=next_for, lease_until=bench.now,
    )  # fmt: skip

    assert (finish.is_ours, finish.next) == (True, None)
    assert [jobs.get(id).state for id in pending] == [State.PENDING] * len(pending)


def test_who_has_lost_a_job_gets_none_for_its_end(bench, jobs):
    claim, pending = bench.start(), bench.queue()

    finish = jobs.finish(
        *(claim.id, OTHER.id, claim.epoch, Outcome(Status.SUCCESS), [], bench.now),
        first_line=1, next_for=OTHER, lease_until=bench.now,
    )  # fmt: skip

    assert (finish.is_ours, finish.next) == (False, None)
    assert jobs.get(pending).state is State.PENDING


@pytest.mark.parametrize("is_committed", [True, False])
def test_an_end_that_is_written_again_claims_a_job_if_it_is_the_first_to_be_committed(
    database, bench, jobs, is_committed
):
    """Nobody knows what became of the first one when its connection was lost: it may be committing still."""
    claim, pending = bench.start(), [bench.queue(), bench.queue()]
    end = (claim.id, claim.owner, claim.epoch, Outcome(Status.SUCCESS), [], bench.now)
    claiming = {"next_for": OTHER, "lease_until": bench.now + bench.lease}
    found = []
    again = Thread(target=lambda: found.append(jobs.finish(*end, first_line=1, again=True, **claiming)), daemon=True)

    with suppress(InterruptedError), database.write() as connection:
        assert recording.finish(connection, *end, first_line=1, again=False, lock=None, **claiming).next
        again.start()
        again.join(0.1)
        assert again.is_alive()
        if not is_committed:
            raise InterruptedError
    again.join(20)

    [finish] = found
    assert (finish.is_ours, finish.next is None) == (not is_committed, is_committed)
    assert sorted(jobs.get(id).state for id in pending) == [State.PENDING, State.RUNNING]


def test_cancelling_a_pending_job_ends_it_and_frees_its_flow(bench, jobs):
    id = bench.queue(slots=1)

    job = jobs.cancel(id, bench.later(1))

    assert (job.state, job.status, job.reason) == (State.FINISHED, Status.CANCELLED, Reason.CANCELLED)
    assert job.end_time == bench.now
    assert job.message
    assert bench.queue(slots=1)


def test_cancelling_a_running_job_tells_it_to_stop(bench, jobs):
    claim = bench.start(slots=1)

    job = jobs.cancel(claim.id, bench.now)

    assert (job.state, job.status, job.reason) == (State.STOPPING, None, Reason.CANCELLED)
    assert jobs.stopping("owner-1") == [(claim.id, Reason.CANCELLED)]
    assert jobs.stopping("owner-2") == []


def test_cancelling_twice_or_too_late_changes_nothing(bench, jobs):
    claim = bench.start()
    jobs.stop(claim.id, claim.owner, claim.epoch, Reason.TIMEOUT)
    assert jobs.cancel(claim.id, bench.now).reason == Reason.TIMEOUT

    bench.finish(claim)
    finished = jobs.get(claim.id)

    assert jobs.cancel(claim.id, bench.later(9)) == finished
    assert finished.status is Status.SUCCESS


def test_cancelling_an_unknown_job_is_an_error(bench, jobs):
    with pytest.raises(JobNotFound):
        jobs.cancel("0190", bench.now)


def test_a_stop_is_marked_once(bench, jobs):
    claim = bench.start()

    assert jobs.stop(claim.id, claim.owner, claim.epoch, Reason.TIMEOUT) is True
    assert jobs.stop(claim.id, claim.owner, claim.epoch, Reason.SHUTDOWN) is False
    assert jobs.stopping("owner-1") == [(claim.id, Reason.TIMEOUT)]
