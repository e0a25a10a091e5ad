"""A lost job is closed, handed on for its `finally_step`, or begun anew; nothing else is touched."""

from __future__ import annotations

import pytest

from engine.errors import FlowRunning
from engine.models.job import Outcome, Owner, Reason, State, Status, StepStatus, Swept
from engine.store.sweeping import LAST_CLAIM, LAST_EPOCH, decide

OTHER = Owner(id="owner-2", host="host-1")


def test_a_job_whose_lease_has_ended_is_closed_and_its_flow_is_free(bench, jobs):
    claim = bench.start(slots=1)
    bench.record(claim, bench.began(1), bench.ended(1), bench.began(2, type="rest"))

    assert jobs.sweep(bench.later(31), []) == Swept(closed=1)

    job = jobs.get(claim.id)
    assert (job.state, job.status, job.reason) == (State.FINISHED, Status.FAILED, Reason.WORKER_LOST)
    assert job.errors == [{"step": "step 2", "type": "rest", "error": job.message}]
    assert job.end_time == bench.now
    assert [step.status for step in jobs.get_with_steps(claim.id)[1]] == [StepStatus.SUCCESS, StepStatus.STOPPED]
    assert bench.queue(slots=1)


def test_a_job_that_was_in_no_step_says_so(bench, jobs):
    claim = bench.start()
    bench.record(claim, bench.began(1), bench.ended(1))

    jobs.sweep(bench.later(31), [])

    job = jobs.get(claim.id)
    assert job.errors == [{"step": None, "type": None, "error": job.message}]


def test_a_dead_owner_need_not_be_waited_for(bench, jobs):
    mine = bench.start()
    bench.queue()
    theirs = bench.claim(OTHER)
    bench.record(theirs, bench.began(1))

    assert jobs.sweep(bench.now, ["owner-2"]) == Swept(closed=1)

    assert jobs.get(mine.id).state is State.RUNNING
    assert jobs.get(theirs.id).reason == Reason.WORKER_LOST


def test_pending_finished_and_leased_jobs_are_left_alone(bench, jobs):
    bench.finish(bench.start())
    bench.queue()
    bench.later(31)
    bench.start()

    assert jobs.sweep(bench.now, []) == Swept()


@pytest.mark.parametrize(
    ("reason", "status"),
    [(Reason.CANCELLED, Status.CANCELLED), (Reason.TIMEOUT, Status.FAILED), (Reason.SHUTDOWN, Status.FAILED)],
)
def test_a_lost_job_that_was_stopping_ends_with_its_own_reason(bench, jobs, reason, status):
    claim = bench.start()
    jobs.stop(claim.id, claim.owner, claim.epoch, reason)

    jobs.sweep(bench.later(31), [])

    job = jobs.get(claim.id)
    assert (job.state, job.status, job.reason) == (State.FINISHED, status, reason)
    assert bool(job.errors) is (status is Status.FAILED)


def test_a_job_with_a_finally_step_is_handed_on_and_keeps_its_lock(bench, jobs):
    claim = bench.in_step(slots=1, has_finally=True, data=[7])

    assert jobs.sweep(bench.later(31), []) == Swept(handed_on=1)

    assert jobs.get(claim.id).state is State.STOPPING
    assert not bench.finish(claim)
    assert jobs.sweep(bench.later(3600), ["owner-1"]) == Swept()
    (adopted,) = jobs.adopt(OTHER, bench.now, bench.now + bench.lease)
    assert (adopted.id, adopted.owner, adopted.epoch) == (claim.id, "owner-2", claim.epoch + 2)
    assert (adopted.reason, adopted.data, adopted.start_time) == (Reason.WORKER_LOST, [7], claim.start_time)
    assert jobs.adopt(OTHER, bench.now, bench.now + bench.lease) == []
    assert jobs.stopping("owner-2") == [(claim.id, Reason.WORKER_LOST)]


def test_an_adopter_finishes_what_it_adopted(bench, jobs):
    claim = bench.in_step(slots=1, has_finally=True)
    jobs.sweep(bench.later(31), [])
    (adopted,) = jobs.adopt(OTHER, bench.now, bench.now + bench.lease)
    number = jobs.last_numbers(claim.id)[0] + 1

    assert bench.record(adopted, bench.began(number, is_finally=True), bench.ended(number))
    assert bench.finish(adopted, Outcome(Status.FAILED, Reason.WORKER_LOST))

    assert [(step.number, step.status) for step in jobs.get_with_steps(claim.id)[1]] == [(1, "stopped"), (2, "success")]
    assert bench.queue(slots=1)


def test_a_cancelled_job_is_handed_on_with_its_reason(bench, jobs):
    claim = bench.start(has_finally=True)
    jobs.cancel(claim.id, bench.now)

    jobs.sweep(bench.later(31), [])

    (adopted,) = jobs.adopt(OTHER, bench.now, bench.now + bench.lease)
    assert adopted.reason == Reason.CANCELLED


def test_a_finally_step_is_not_begun_twice(bench, jobs):
    claim = bench.start(has_finally=True)
    bench.record(claim, bench.began(1, is_finally=True))

    assert jobs.sweep(bench.later(31), []) == Swept(closed=1)
    assert jobs.get(claim.id).state is State.FINISHED


def test_a_finally_step_that_kills_its_workers_is_given_up(bench, jobs):
    claim = bench.in_step(has_finally=True, slots=1)
    for _ in range(3):
        assert jobs.sweep(bench.later(31), []) == Swept(handed_on=1)
        assert jobs.adopt(OTHER, bench.now, bench.now + bench.lease)

    assert jobs.sweep(bench.later(31), []) == Swept(closed=1)

    job = jobs.get(claim.id)
    assert (job.status, job.reason, len(job.errors)) == (Status.FAILED, Reason.WORKER_LOST, 1)


def test_a_sweep_of_many_jobs_goes_on_until_none_is_left(bench, jobs):
    for _ in range(230):
        bench.queue()
    jobs.claim(bench.owner, bench.now, bench.now + bench.lease, limit=230)

    assert jobs.sweep(bench.now, ["owner-1"]) == Swept(requeued=230)


def test_a_job_of_which_no_step_had_begun_is_pending_again_and_keeps_its_lock(bench, jobs):
    claim = bench.start(slots=1, has_finally=True, data=[7])

    assert jobs.sweep(bench.later(31), []) == Swept(requeued=1)

    job = jobs.get(claim.id)
    assert (job.state, job.status, job.reason, job.start_time) == (State.PENDING, None, None, None)
    assert not bench.record(claim, bench.began(1))
    assert not bench.finish(claim)
    with pytest.raises(FlowRunning):
        bench.queue(slots=1)
    again = bench.claim(OTHER)
    assert (again.id, again.epoch, again.data, again.reason) == (claim.id, claim.epoch + 1, [7], None)
    assert again.start_time == bench.now


def test_a_job_whose_first_step_has_ended_is_not_begun_anew(bench, jobs):
    claim = bench.start()
    bench.record(claim, bench.began(1), bench.ended(1))

    assert jobs.sweep(bench.later(31), []) == Swept(closed=1)


def test_a_job_that_kills_whoever_takes_it_is_given_up(bench, jobs):
    claim = bench.start()
    for _ in range(LAST_CLAIM - 1):
        assert jobs.sweep(bench.later(31), []) == Swept(requeued=1)
        assert bench.claim(OTHER).id == claim.id

    assert jobs.sweep(bench.later(31), []) == Swept(closed=1)

    assert jobs.get(claim.id).reason == Reason.WORKER_LOST


def test_the_errors_of_an_earlier_loss_are_kept():
    earlier = [{"step": "a", "type": "jq", "error": "lost"}]

    again = decide(
        reason=Reason.WORKER_LOST, has_finally=True, finally_began=False, epoch=LAST_EPOCH, errors=earlier, running=None
    )
    in_finally = decide(
        reason=Reason.WORKER_LOST, has_finally=True, finally_began=True, epoch=3, errors=earlier, running=("z", "file")
    )

    assert (again.hands_on, again.errors) == (False, earlier)
    assert [error["step"] for error in in_finally.errors] == ["a", "z"]
