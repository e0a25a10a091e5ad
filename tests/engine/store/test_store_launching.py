"""A launch takes a lock or is refused, together with its documents."""

from __future__ import annotations

from datetime import timedelta

import pytest

from engine.errors import FlowRunning, JobNotFound
from engine.models.flow import Document
from engine.models.job import JobFilter, Source, State
from engine.store.documents import DocumentStore


def test_a_launched_job_is_pending_and_reads_back_as_it_was_given(bench, jobs):
    new = bench.new("a/é.yml", data={"n": [1, None, "ü"]}, priority=5, timeout_seconds=1.5, schedule_id="s1")

    assert jobs.insert(new, bench.now) is None

    job = jobs.get(new.id)
    assert (job.path, job.name, job.revision) == ("a/é.yml", "a/é.yml", "r1")
    assert (job.state, job.status, job.reason, job.message) == (State.PENDING, None, None, None)
    assert (job.priority, job.timeout_seconds, job.schedule_id, job.source) == (5, 1.5, "s1", Source.API)
    assert (job.data, job.result, job.errors) == ({"n": [1, None, "ü"]}, None, [])
    assert (job.queued_time, job.start_time, job.end_time) == (bench.now, None, None)


def test_a_job_that_is_launched_with_an_owner_is_born_claimed(bench, jobs):
    claim = bench.start(data=[1], source=Source.CLI)

    assert (claim.owner, claim.epoch, claim.start_time, claim.data) == ("owner-1", 1, bench.now, [1])
    assert claim.source is Source.CLI
    assert jobs.get(claim.id).state is State.RUNNING
    assert not jobs.has_pending()


def test_a_second_job_of_a_flow_is_refused_and_names_the_first(bench, jobs):
    first = bench.queue(slots=1)

    with pytest.raises(FlowRunning) as refused:
        bench.queue(slots=1)

    assert refused.value.fields["job_id"] == first
    assert len(jobs.list(JobFilter())) == 1


def test_a_finished_job_frees_its_lock(bench):
    bench.finish(bench.start(slots=1))

    assert bench.queue(slots=1)


def test_a_flow_with_three_slots_runs_three_times_at_once(bench):
    holders = {bench.queue(slots=3) for _ in range(3)}

    with pytest.raises(FlowRunning) as refused:
        bench.queue(slots=3)

    assert refused.value.fields["job_id"] in holders


def test_a_slot_in_the_middle_is_taken_again(bench, jobs):
    _, second, _ = (bench.queue(slots=3) for _ in range(3))
    jobs.cancel(second, bench.now)

    assert bench.queue(slots=3)
    with pytest.raises(FlowRunning):
        bench.queue(slots=3)


def test_a_flow_without_slots_runs_any_number_of_times(bench):
    assert len({bench.queue() for _ in range(5)}) == 5


@pytest.mark.parametrize("other", ["A.yml", "á.yml", "a\u0301.yml", "a.yml2"])
def test_locks_are_compared_byte_by_byte(bench, other):
    bench.queue("a.yml", slots=1)

    assert bench.queue(other, slots=1)


def test_documents_are_stored_with_the_job(bench, jobs, documents):
    document = Document(path="hello.yml", text="name: hello", revision="r1")

    jobs.insert(bench.new(), bench.now, documents=[document])
    jobs.insert(bench.new(), bench.now, documents=[document])

    assert documents.get("r1") == document


def test_a_refused_launch_leaves_nothing_behind(bench, jobs, database):
    bench.queue(slots=1)
    new = bench.new(slots=1)
    document = Document(path="hello.yml", text="name: hello", revision="r2")

    with pytest.raises(FlowRunning):
        jobs.insert(new, bench.now, documents=[document])

    with pytest.raises(JobNotFound):
        jobs.get(new.id)
    bench.later(1)
    jobs.insert(bench.new("other.yml"), bench.now, documents=[document])
    assert DocumentStore(database).get("r2") == document


def test_what_no_database_can_hold_is_stored_all_the_same(bench, jobs):
    data = {"nul\0": "\ud800 \0 \U0001f600", "text": "x" * 100_000}
    id = bench.queue(data=data, timeout_seconds=0.1 + 0.2)

    assert jobs.get(id).data == data
    assert jobs.get(id).timeout_seconds == 0.1 + 0.2


def test_times_keep_their_microseconds(bench, jobs):
    bench.now += timedelta(microseconds=123456)
    id = bench.queue()

    assert jobs.get(id).queued_time == bench.now
    assert jobs.get(id).queued_time.utcoffset() == timedelta(0)
