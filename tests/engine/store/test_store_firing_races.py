"""Ticks, launches and ends that meet, each over connections of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from threading import Barrier
from typing import TypeVar

import pytest

from engine.clock import new_id
from engine.errors import FlowRunning
from engine.models.job import JobFilter, NewJob, Outcome, Owner, State, Status
from engine.models.schedule import Overlap, ScheduleFilter, Verdict
from engine.store import recording
from engine.store.database import Database
from engine.store.jobs import JobStore
from engine.store.schedules import ScheduleStore

T = TypeVar("T")

ROUNDS = 100


@contextmanager
def databases(uri: str, folder, count: int) -> Iterator[list[Database]]:
    """So many of them over the same data, as so many processes would have."""
    made = [Database(uri, run_path=folder) for _ in range(count)]
    yield made
    for database in made:
        database.dispose()


def at_once(*verbs: Callable[[], T]) -> Sequence[T]:
    """What the verbs answer, all of them let go at the same moment."""
    barrier = Barrier(len(verbs))

    def run(verb: Callable[[], T]) -> T:
        barrier.wait()
        return verb()

    with ThreadPoolExecutor(len(verbs)) as pool:
        return [future.result() for future in [pool.submit(run, verb) for verb in verbs]]


def test_eight_ticks_at_once_fire_a_hundred_schedules_once_each(database, uri, tmp_path, timetable, schedules, jobs):
    for n in range(100):
        timetable.add(f"{n}.yml")
    now = timetable.now + timetable.minute
    with databases(uri, tmp_path, 2) as pair:
        stores = [ScheduleStore(each) for each in pair] * 4

        def tick(store):
            # Without locks: it is the schedules' rows alone that keep them apart.
            return store.fire([timetable.firing(each, slots=0) for each in store.due(now, 1000)], [], now)

        fired = at_once(*[lambda store=store: tick(store) for store in stores])

    listed = schedules.list(ScheduleFilter(limit=1000))
    slots = [slot for each in listed for slot in schedules.slots(each.id, 10)]
    assert [slot.verdict for slot in slots] == [Verdict.FIRED] * 100
    assert {slot.job_id for slot in slots} == {job.id for job in jobs.list(JobFilter(limit=1000))}
    assert sorted(id for each in fired for id in each.jobs) == sorted(slot.job_id for slot in slots)
    assert [each.last_due for each in listed] == [now] * 100
    assert schedules.due(now, 10) == []


def test_a_due_time_is_launched_or_the_launch_before_it_stands(database, uri, tmp_path, timetable, jobs):
    """A request and a tick want the flow at the same moment: one of them has it, and the other says who."""
    schedule = timetable.add()
    with databases(uri, tmp_path, 2) as (left, right):
        store, launches = ScheduleStore(left), JobStore(right)
        for number in range(ROUNDS // 2):
            timetable.now += timetable.minute
            (due,) = store.due(timetable.now, 10)
            firing = timetable.firing(due)
            id = new_id(timetable.now + timedelta(seconds=number))
            new = NewJob(id, "hello.yml", "", "r1", lock_slots=("hello.yml#0",))

            fired, refused = at_once(
                lambda firing=firing: store.fire([firing], [], timetable.now),
                lambda new=new: launched(launches, new, timetable.now),
            )

            (holder,) = {lock.job_id for lock in jobs.locks()}
            assert (holder == id) == (refused is None) == (fired.skipped == 1)
            assert refused in (None, holder)
            assert schedule.id == due.id
            jobs.cancel(holder, timetable.now)


def launched(jobs: JobStore, new: NewJob, now) -> str | None:
    try:
        jobs.insert(new, now)
    except FlowRunning as error:
        return error.fields["job_id"]
    return None


@pytest.mark.parametrize("slots", [1, 3])
def test_no_job_is_stranded_that_begins_to_wait_while_another_ends(
    database, uri, tmp_path, timetable, bench, jobs, slots
):
    for number in range(2):
        timing = replace(timetable.new().timing, every_seconds=60 + number)
        timetable.add(overlap=Overlap.QUEUE, timing=timing)
    with databases(uri, tmp_path, 3) as (one, two, three):
        ticks = [ScheduleStore(one), ScheduleStore(three)]
        ends = JobStore(two)
        for _ in range(ROUNDS):
            timetable.now += timetable.minute
            bench.now = timetable.now
            claims = [bench.start(slots=slots) for _ in range(slots)]
            firings = [timetable.firing(each, slots=slots) for each in ticks[0].due(timetable.now, 10)]

            *fired, _, _ = at_once(
                lambda: ticks[0].fire(firings[:1], [], timetable.now),  # noqa: B023
                lambda: ticks[1].fire(firings[1:], [], timetable.now),  # noqa: B023
                *[lambda claim=claim: end(ends, claim, timetable.now) for claim in (claims * 2)[:2]],
            )
            for claim in claims:
                end(ends, claim, timetable.now)

            left = [id for each in fired for id in each.jobs]
            assert len(left) == 2
            ended = 0
            while claimed := jobs.claim(Owner("o", "h"), timetable.now, timetable.now + bench.lease):
                end(ends, claimed[0], timetable.now)
                ended += 1
            assert ended == 2
            assert jobs.locks() == []


def end(jobs: JobStore, claim, now) -> bool:
    return jobs.finish(
        claim.id, claim.owner, claim.epoch, Outcome(Status.SUCCESS), [], now, lock=claim.lock, first_line=1
    ).is_ours


@pytest.mark.parametrize("uri", ["postgresql"], indirect=True)  # The others let the second end wait for the first.
def test_an_end_wakes_the_next_job_when_another_end_wakes_the_first_at_this_moment(
    database, uri, tmp_path, timetable, bench, jobs
):
    claims = [bench.start(slots=2) for _ in range(2)]
    for seconds in range(2):
        timetable.add(overlap=Overlap.QUEUE, timing=replace(timetable.new().timing, every_seconds=60 + seconds))
    first, second = sorted(timetable.tick(slots=2).jobs)

    with database.write() as connection:
        recording.finish(
            connection,
            *(claims[0].id, claims[0].owner, claims[0].epoch),
            *(Outcome(Status.SUCCESS), [], bench.now, 1, False),
            claims[0].lock,
        )
        with databases(uri, tmp_path, 1) as (other,):
            end(JobStore(other), claims[1], bench.now)
        assert jobs.get(second).state is State.PENDING

    assert jobs.get(first).state is State.PENDING
    assert {lock.job_id for lock in jobs.locks()} == {first, second}


def test_of_many_ends_at_once_each_wakes_another_job(database, uri, tmp_path, timetable, bench, jobs):
    with databases(uri, tmp_path, 2) as pair:
        stores = [JobStore(each) for each in pair] * 2
        for number in range(10):
            path = f"{number}.yml"
            claims = [bench.start(path, slots=4) for _ in range(4)]
            for seconds in range(4):
                timing = replace(timetable.new().timing, every_seconds=60 + seconds)
                timetable.add(path, overlap=Overlap.QUEUE, timing=timing, next_due=timetable.now + timetable.minute)
            waiting = timetable.tick(slots=4).jobs
            fresh = [id for id in waiting if jobs.get(id).path == path]

            at_once(
                *[
                    lambda store=store, claim=claim: end(store, claim, bench.now)
                    for store, claim in zip(stores, claims, strict=True)
                ]
            )

            assert [jobs.get(id).state for id in fresh] == [State.PENDING] * 4
            while claimed := jobs.claim(Owner("o", "h"), bench.now, bench.now + bench.lease):
                end(jobs, claimed[0], bench.now)


def test_a_cancel_and_an_end_at_once_strand_nobody(database, uri, tmp_path, timetable, bench, jobs):
    for number in range(2):
        timetable.add(overlap=Overlap.QUEUE, timing=replace(timetable.new().timing, every_seconds=60 + number))
    with databases(uri, tmp_path, 2) as (left, right):
        ends, cancels = JobStore(left), JobStore(right)
        for _ in range(ROUNDS):
            claim = bench.start(slots=1)
            first, second = sorted(timetable.tick().jobs)

            at_once(
                lambda: end(ends, claim, bench.now),  # noqa: B023
                lambda: cancels.cancel(first, bench.now),  # noqa: B023
            )

            assert jobs.get(first).status is Status.CANCELLED
            assert jobs.get(second).state is State.PENDING
            end(ends, bench.claim(), bench.now)
