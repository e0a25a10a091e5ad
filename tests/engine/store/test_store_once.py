"""What is made under a caller's key is made once, on every database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest

from engine.clock import new_id
from engine.errors import FlowRunning
from engine.models.job import JobFilter, NewJob
from engine.models.once import Made, Once
from engine.store.once import KEPT, AskedBefore, OnceStore

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
EVERY = JobFilter(limit=100)


@pytest.fixture
def once(database):
    return OnceStore(database)


def asking(key="k", request="r", caller="me"):
    return Once.of(caller, key, request)


def new_job(path="a.yml", now=NOW):
    return NewJob(id=new_id(now), path=path, name="a", revision="r", lock_slots=(f"{path}#0",))


def test_what_a_key_was_used_for_is_known_for_a_day(jobs, once):
    job = new_job()
    assert once.made(asking(), NOW) is None

    jobs.insert(job, NOW, once=asking())

    assert once.made(asking(), NOW) == Made(job.id, asking().request)
    assert once.made(asking(request="another"), NOW) == Made(job.id, asking().request)
    assert once.made(asking("other"), NOW) is None
    assert once.made(asking(caller="you"), NOW) is None
    assert once.made(asking(), NOW + KEPT - timedelta(seconds=1)) is not None
    assert once.made(asking(), NOW + KEPT) is None


def test_a_key_that_is_taken_makes_nothing_and_one_that_is_free_again_does(jobs, once):
    jobs.insert(new_job(), NOW, once=asking())

    with pytest.raises(AskedBefore):
        jobs.insert(new_job("b.yml"), NOW + KEPT - timedelta(seconds=1), once=asking())
    assert [job.path for job in jobs.list(EVERY)] == ["a.yml"]

    late = NOW + KEPT
    job = new_job("b.yml", late)
    jobs.insert(job, late, once=asking())
    assert once.made(asking(), late) == Made(job.id, asking().request)


def test_what_is_refused_leaves_the_key_free(jobs, once):
    jobs.insert(new_job(), NOW)

    with pytest.raises(FlowRunning):
        jobs.insert(new_job(), NOW, once=asking())

    assert once.made(asking(), NOW) is None


def test_a_repeat_is_known_before_the_lock_that_its_own_job_holds(jobs):
    jobs.insert(new_job(), NOW, once=asking())

    with pytest.raises(AskedBefore):
        jobs.insert(new_job(), NOW, once=asking())


def test_of_many_at_once_one_makes_a_job_and_all_others_learn_of_it(jobs, once):
    barrier = Barrier(12)

    def insert(number):
        job = new_job(f"{number}.yml")
        barrier.wait(30)
        try:
            jobs.insert(job, NOW, once=asking())
        except AskedBefore:
            return once.made(asking(), NOW).id
        return job.id

    with ThreadPoolExecutor(12) as pool:
        ids = set(pool.map(insert, range(12)))

    assert [job.id for job in jobs.list(EVERY)] == list(ids)


def test_of_many_at_once_over_a_key_that_is_free_again_one_makes_a_job(jobs, once):
    jobs.insert(new_job("old.yml"), NOW, once=asking())
    late, barrier = NOW + 2 * KEPT, Barrier(8)

    def insert(number):
        barrier.wait(30)
        try:
            jobs.insert(new_job(f"{number}.yml", late), late, once=asking())
        except AskedBefore:
            return 0
        return 1

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(insert, range(8))) == 1


def test_a_schedule_is_made_once_as_well(schedules, timetable, once):
    schedule = timetable.add("a.yml")
    schedules.delete(schedule.id)

    schedules.insert(schedule, asking())

    assert once.made(asking(), schedule.created_time) == Made(schedule.id, asking().request)
    with pytest.raises(AskedBefore):
        schedules.insert(schedule, asking())


def test_keys_that_are_free_again_are_forgotten_so_many_at_a_time(jobs, once):
    for number in range(3):
        jobs.insert(new_job(f"{number}.yml"), NOW, once=asking(str(number)))
    jobs.insert(new_job("new.yml"), NOW + KEPT, once=asking("new"))

    assert once.prune(NOW + KEPT, 2) == 2
    assert once.prune(NOW + KEPT, 2) == 1
    assert once.prune(NOW + KEPT, 2) == 0
    assert once.made(asking("new"), NOW + KEPT) is not None
