"""The values of secret inputs: beside a job's data until the job has ended, and nowhere after that."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from engine.models.job import NewJob, Outcome, Owner, Reason, State, Status, StepStarted
from engine.store.sweeping import LAST_EPOCH
from engine.store.tables import jobs as table

ME = Owner(id="owner-1", host="host-1")
NOW = datetime(2026, 3, 15, 12, 0, tzinfo=UTC)
SOON, LATE = NOW + timedelta(seconds=30), NOW + timedelta(seconds=31)
JOB = NewJob("job-1", "f.yml", "f", "r1", {"user": "ada", "word": "***"}, secrets={"word": "hunter2"})
WHOLE = {"user": "ada", "word": "hunter2"}


def kept(database):
    """What the row holds of the secrets."""
    return database.ask(lambda connection: connection.scalar(select(table.c.secrets)))


def begin(jobs, claim):
    """The first step of the job has begun."""
    assert jobs.record(claim.id, claim.owner, claim.epoch, [StepStarted(1, "wait", "sleep", NOW)], first_line=1)


def test_a_claim_has_them_and_a_reader_has_not(database, jobs):
    jobs.insert(JOB, NOW)

    [claim] = jobs.claim(ME, NOW, SOON, 1)

    assert (claim.data, claim.secrets) == (WHOLE, ("hunter2",))
    assert jobs.get("job-1").data == {"user": "ada", "word": "***"}
    assert kept(database) == {"word": "hunter2"}


def test_a_job_that_is_claimed_as_it_is_launched_has_them_too(jobs):
    claim = jobs.insert(JOB, NOW, owner=ME, lease_until=SOON)

    assert (claim.data, claim.secrets) == (WHOLE, ("hunter2",))


def test_the_end_of_the_job_forgets_them(database, jobs):
    claim = jobs.insert(JOB, NOW, owner=ME, lease_until=SOON)

    assert jobs.finish(claim.id, ME.id, claim.epoch, Outcome(Status.SUCCESS), [], NOW, first_line=1).is_ours

    assert kept(database) is None
    assert jobs.get("job-1").data == {"user": "ada", "word": "***"}


def test_a_cancel_before_the_beginning_forgets_them(database, jobs):
    jobs.insert(JOB, NOW)

    assert jobs.cancel("job-1", NOW).status is Status.CANCELLED

    assert kept(database) is None


def test_a_job_that_is_lost_and_closed_forgets_them(database, jobs):
    begin(jobs, jobs.insert(JOB, NOW, owner=ME, lease_until=SOON))

    jobs.sweep(LATE, [])

    assert jobs.get("job-1").reason == Reason.WORKER_LOST
    assert kept(database) is None


@pytest.mark.parametrize("adoptions", [1, LAST_EPOCH])
def test_a_job_that_is_handed_on_keeps_them_until_its_end(database, jobs, adoptions):
    begin(jobs, jobs.insert(replace(JOB, has_finally=True), NOW, owner=ME, lease_until=SOON))

    now = LATE
    for _ in range(adoptions):
        jobs.sweep(now, [])
        found = jobs.adopt(ME, now, now + timedelta(seconds=30), 1)
        if not found:
            break
        assert found[0].data == WHOLE
        now += timedelta(seconds=31)

    ended = jobs.get("job-1").state is State.FINISHED
    assert ended is (adoptions == LAST_EPOCH)
    assert kept(database) == (None if ended else {"word": "hunter2"})
