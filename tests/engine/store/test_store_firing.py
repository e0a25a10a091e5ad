"""Firing: each due time gets one verdict, in the transaction that inserts its job."""

from __future__ import annotations

from dataclasses import replace

import pytest
from failing_calls import watched

from engine.models.flow import Document
from engine.models.job import JobFilter, Source, State
from engine.models.schedule import Fired, Overlap, Slot, Verdict
from engine.store.schedule_rows import slot_row
from engine.store.tables import slots


def test_a_due_schedule_gets_a_job_a_slot_and_its_next_due_time(schedules, timetable, jobs):
    schedule = timetable.add(data={"n": 1})
    firing = timetable.firing(schedule)
    firing = replace(firing, job=replace(firing.job, data={"n": 1}, timeout_seconds=9.5, priority=3, has_finally=True))

    fired = schedules.fire([firing], [], schedule.next_due)

    assert fired == Fired(jobs=(firing.job.id,))
    job = jobs.get(firing.job.id)
    assert (job.state, job.path, job.source) == (State.PENDING, "hello.yml", Source.SCHEDULE)
    assert (job.schedule_id, job.data, job.timeout_seconds, job.priority) == (schedule.id, {"n": 1}, 9.5, 3)
    assert job.queued_time == schedule.next_due
    slot = Slot(schedule.next_due, Verdict.FIRED, schedule.next_due, job_id=job.id)
    shown = schedules.get(schedule.id)
    assert (shown.last_due, shown.next_due) == (schedule.next_due, schedule.next_due + timetable.minute)
    assert (shown.last_job_id, shown.last_error, shown.failures, shown.last_slot) == (job.id, None, 0, slot)


def test_a_fired_job_holds_its_lock_and_hands_it_back(timetable, bench, jobs):
    timetable.add()
    (job_id,) = timetable.tick().jobs

    claim = bench.claim()
    assert (claim.id, claim.lock) == (job_id, "hello.yml#0")
    bench.finish(claim)

    assert bench.queue(slots=1)


def test_documents_are_stored_with_the_jobs(timetable, documents):
    timetable.add("a.yml")
    timetable.add("b.yml")
    document = Document("a.yml", "text", "r1")

    timetable.tick(documents=(document,))

    assert documents.get("r1") == document


def test_documents_of_a_firing_that_came_to_nothing_are_stored_with_the_next(schedules, timetable, documents):
    schedule = timetable.add()
    document = Document("hello.yml", "text", "r1")
    timetable.pause(schedule.id)
    assert timetable.schedules.fire([timetable.firing(schedule)], [document], schedule.next_due) == Fired()

    schedules.resume(schedule.id, schedule.last_due, schedule.next_due, [])
    timetable.tick(documents=(document,))

    assert documents.get("r1") == document


def test_due_times_without_a_job_get_their_slots(schedules, timetable):
    schedule = timetable.add()
    now = schedule.next_due + 9 * timetable.minute
    missed = Slot(now - timetable.minute, Verdict.COALESCED, now, "had no tick", None, 9, schedule.next_due)
    other = timetable.add("b.yml")
    expired = Slot(now, Verdict.EXPIRED, now, "too late", None, 10, other.next_due)

    launched = timetable.firing(schedule, due_time=now, last_due=now, told=(missed,))
    left_out = timetable.firing(other, job=None, due_time=None, last_due=now, told=(expired,))

    fired = schedules.fire([launched, left_out], [], now)

    assert (len(fired.jobs), fired.missed) == (1, 19)
    assert schedules.slots(schedule.id, 9)[1:] == [missed]
    assert schedules.slots(other.id, 9) == [expired]


def test_a_decision_without_a_launch_leaves_what_is_known_of_the_last_one(schedules, timetable):
    schedule = timetable.add()
    (job_id,) = timetable.tick().jobs
    due = schedules.get(schedule.id).next_due
    schedules.put_off(schedule.id, "it broke", due, 2, due)
    later = timetable.now + timetable.minute
    firing = timetable.firing(schedules.get(schedule.id), job=None, due_time=None, last_due=later, next_due=later)

    schedules.fire([firing], [], later)

    shown = schedules.get(schedule.id)
    assert (shown.last_job_id, shown.last_error, shown.failures) == (job_id, "it broke", 2)
    assert (shown.last_due, shown.next_due) == (later, later)


def test_a_launch_that_could_not_be_made_is_told_and_counted(schedules, timetable, jobs):
    schedule = timetable.add()
    (job_id,) = timetable.tick().jobs
    jobs.cancel(job_id, timetable.now)
    due = schedules.get(schedule.id)
    later = due.next_due + 4 * timetable.minute

    firing = timetable.firing(due, job=None, error="no such document", failures=3, next_due=later)
    fired = schedules.fire([firing], [], due.next_due)

    assert fired == Fired(failed=((schedule.id, "no such document"),))
    shown = schedules.get(schedule.id)
    assert (shown.last_error, shown.failures, shown.next_due) == ("no such document", 3, later)
    assert (shown.last_due, shown.last_job_id) == (due.next_due, job_id)
    assert shown.last_slot == Slot(due.next_due, Verdict.LAUNCH_FAILED, due.next_due, "no such document")


def test_a_launch_that_is_made_forgets_the_failures_before_it(schedules, timetable):
    schedule = timetable.add()
    schedules.put_off(schedule.id, "it broke", schedule.next_due, 2, schedule.next_due)

    timetable.tick()

    shown = schedules.get(schedule.id)
    assert (shown.last_error, shown.failures) == (None, 0)


def test_a_second_tick_at_the_same_time_does_nothing(schedules, timetable, jobs):
    schedule = timetable.add()
    firing = timetable.firing(schedule)
    schedules.fire([firing], [], schedule.next_due)

    again = schedules.fire([replace(firing, job=timetable.firing(schedule).job)], [], schedule.next_due)

    assert again == Fired()
    assert jobs.count(JobFilter()) == 1
    assert len(schedules.slots(schedule.id, 10)) == 1


def test_a_decision_that_others_have_overtaken_is_left_out(schedules, timetable, jobs):
    schedule = timetable.add()
    firing = timetable.firing(schedule)
    until = schedule.next_due + 5 * timetable.minute
    timetable.pause(schedule.id)
    schedules.resume(schedule.id, until, until + timetable.minute, [])

    assert schedules.fire([firing], [], until) == Fired()

    assert jobs.count(JobFilter()) == 0
    assert schedules.get(schedule.id).last_due == until


def test_what_was_owed_is_owed_no_more_once_a_tick_has_decided(schedules, timetable):
    schedule = timetable.add(owed=timetable.now, next_due=timetable.now)

    schedules.fire([timetable.firing(schedule)], [], timetable.now)

    assert schedules.get(schedule.id).owed is None


def test_what_is_paused_or_deleted_before_it_is_fired_is_left_out(schedules, timetable, jobs):
    paused, deleted, other = (timetable.add(f"{name}.yml") for name in "abc")
    firings = [timetable.firing(each) for each in (paused, deleted, other)]
    timetable.pause(paused.id)
    schedules.delete(deleted.id)

    fired = schedules.fire(firings, [], other.next_due)

    assert fired.jobs == (firings[2].job.id,)
    assert jobs.count(JobFilter()) == 1
    assert schedules.slots(paused.id, 10) == []


def test_a_due_time_that_has_a_verdict_gets_no_second_job(schedules, timetable, jobs, database):
    schedule, other = timetable.add("a.yml"), timetable.add("b.yml")
    decided = Slot(schedule.next_due, Verdict.EXPIRED, schedule.next_due)
    with database.write() as connection:
        connection.execute(slots.insert(), slot_row(schedule.id, decided))

    fired = timetable.tick()

    assert [jobs.get(id).schedule_id for id in fired.jobs] == [other.id]
    assert schedules.slots(schedule.id, 10) == [decided]
    assert schedules.get(schedule.id).last_due == schedule.next_due


def test_a_flow_that_still_runs_is_skipped_and_the_slot_names_its_job(schedules, timetable, bench, jobs):
    schedule = timetable.add()
    holder = bench.queue(slots=1)

    fired = timetable.tick()

    assert fired == Fired(skipped=1)
    slot = schedules.get(schedule.id).last_slot
    assert (slot.verdict, slot.job_id) == (Verdict.SKIPPED_RUNNING, None)
    assert slot.reason == f"the flow was still running: job {holder}"
    assert schedules.get(schedule.id).next_due == slot.due_time + timetable.minute
    assert jobs.count(JobFilter()) == 1


def test_a_flow_with_free_slots_is_fired_until_they_are_taken(schedules, timetable, jobs, bench):
    for seconds in (60, 30, 15):
        timetable.add(timing=replace(timetable.new().timing, every_seconds=seconds))
    bench.queue(slots=3)

    fired = timetable.tick(slots=3)

    assert (len(fired.jobs), fired.skipped) == (2, 1)
    assert {lock.job_id for lock in jobs.locks()} > set(fired.jobs)
    assert len(jobs.locks()) == 3


def test_as_many_schedules_of_a_flow_as_it_has_slots_fire_at_once(timetable, jobs):
    for seconds in range(8):
        timetable.add(timing=replace(timetable.new().timing, every_seconds=60 + seconds))

    assert len(timetable.tick(slots=8).jobs) == 8


def test_a_flow_without_a_lock_is_fired_while_it_runs(timetable, jobs):
    timetable.add()

    for _ in range(3):
        assert len(timetable.tick(slots=0).jobs) == 1

    assert jobs.count(JobFilter(state=State.PENDING)) == 3


def test_two_schedules_of_a_flow_fire_it_once_at_a_time(schedules, timetable, jobs):
    first = timetable.add()
    second = timetable.add(timing=replace(first.timing, every_seconds=30))

    fired = timetable.tick()

    assert (len(fired.jobs), fired.skipped) == (1, 1)
    told = {slot.verdict: slot for each in (first, second) for slot in schedules.slots(each.id, 9)}
    assert told[Verdict.SKIPPED_RUNNING].reason.endswith(told[Verdict.FIRED].job_id)


def test_a_queued_overlap_waits_for_the_job_that_runs(schedules, timetable, bench, jobs):
    schedule = timetable.add(overlap=Overlap.QUEUE)
    holder = bench.start(slots=1)

    fired = timetable.tick()

    (waiting,) = fired.jobs
    slot = schedules.get(schedule.id).last_slot
    assert (slot.verdict, slot.job_id, slot.reason) == (Verdict.FIRED, waiting, f"waits for job {holder.id}")
    assert jobs.get(waiting).state is State.BLOCKED
    assert schedules.get(schedule.id).last_job_id == waiting
    bench.finish(holder)
    assert bench.claim().id == waiting


def test_only_one_job_of_a_schedule_waits_at_a_time(schedules, timetable, bench, jobs):
    first = timetable.add(overlap=Overlap.QUEUE)
    second = timetable.add(overlap=Overlap.QUEUE, timing=replace(first.timing, every_seconds=30))
    bench.queue(slots=1)
    waiting = {jobs.get(id).schedule_id: id for id in timetable.tick().jobs}

    fired = timetable.tick()

    assert fired == Fired(skipped=2)
    for schedule in (first, second):
        slot = schedules.get(schedule.id).last_slot
        assert (slot.verdict, slot.job_id) == (Verdict.COALESCED, None)
        assert slot.reason == f"a run is waiting already: job {waiting[schedule.id]}"
    assert jobs.count(JobFilter(state=State.BLOCKED)) == 2


def test_a_queued_overlap_takes_a_slot_that_is_free(timetable, bench, jobs):
    timetable.add(overlap=Overlap.QUEUE)
    bench.queue(slots=2)

    (id,) = timetable.tick(slots=2).jobs

    assert jobs.get(id).state is State.PENDING


def test_the_old_jobs_of_a_schedule_do_not_count_as_waiting(timetable, bench, jobs):
    timetable.add(overlap=Overlap.QUEUE)
    for _ in range(3):
        (id,) = timetable.tick().jobs
        bench.finish(bench.claim())
    bench.queue(slots=1)

    (id,) = timetable.tick().jobs

    assert jobs.get(id).state is State.BLOCKED


def test_a_batch_that_cannot_be_written_leaves_nothing_behind(schedules, timetable, jobs, documents):
    good, bad = timetable.add("a.yml"), timetable.add("b.yml")
    firings = [timetable.firing(good), timetable.firing(bad)]
    firings[1] = replace(firings[1], job=replace(firings[1].job, data={"no": object()}))

    with pytest.raises(Exception, match="object"):
        schedules.fire(firings, [Document("a.yml", "text", "r1")], good.next_due)

    assert jobs.count(JobFilter()) == 0
    assert schedules.get(good.id) == good
    assert len(schedules.fire(firings[:1], [Document("a.yml", "text", "r1")], good.next_due).jobs) == 1
    assert documents.get("r1")


def test_hundreds_of_due_schedules_cost_a_handful_of_statements(sqlite, timetable_of):
    timetable = timetable_of(sqlite)
    for n in range(400):
        timetable.add(f"{n}.yml")
    seen = []

    with watched(sqlite, seen.append):
        timetable.tick()

    assert len(seen) <= 8


def test_a_flow_of_many_slots_takes_a_free_one_without_trying_each(sqlite, timetable_of, bench_of):
    timetable, bench = timetable_of(sqlite), bench_of(sqlite)
    timetable.add()
    for _ in range(150):
        bench.queue(slots=200)
    seen = []

    with watched(sqlite, seen.append):
        fired = timetable.tick(slots=200)

    assert len(fired.jobs) == 1
    assert len(seen) <= 12
