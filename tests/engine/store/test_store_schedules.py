"""Schedules are kept, listed, paused, resumed, changed and deleted."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from plans import plans
from sqlalchemy import event

from engine.errors import ScheduleExists, ScheduleNotFound
from engine.models.job import JobFilter
from engine.models.schedule import Misfire, Overlap, ScheduleFilter, ScheduleSource, Slot, Timing, Verdict

NOW = datetime(2024, 5, 23, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def ids(schedules, **filter):
    return [each.id for each in schedules.list(ScheduleFilter(**filter))]


def test_a_schedule_comes_back_as_it_was_given(schedules, timetable):
    given = timetable.add(
        "a/é.yml",
        timing=Timing(NOW, cron="0 7 * * mon", timezone="Europe/Brussels"),
        overlap=Overlap.QUEUE,
        misfire=Misfire.SKIP,
        misfire_grace_seconds=30,
        timeout_seconds=1.5,
        data={"n": [1, None, "ü\0"]},
        source=ScheduleSource.CONFIG,
        last_due=NOW + timedelta(microseconds=7),
    )

    assert schedules.get(given.id) == given
    assert schedules.list(ScheduleFilter()) == [given]
    assert schedules.by_source(ScheduleSource.CONFIG) == [given]
    assert schedules.by_source(ScheduleSource.API) == []


def test_the_same_document_with_the_same_times_is_refused_and_names_the_first(schedules, timetable):
    first = timetable.add(timing=Timing(NOW, cron="* * * * *"))

    with pytest.raises(ScheduleExists) as refused:
        timetable.add(timing=Timing(NOW + MINUTE, cron="* * * * *"))

    assert refused.value.fields["schedule_id"] == first.id
    assert ids(schedules) == [first.id]


@pytest.mark.parametrize(
    "other",
    [
        {"path": "Hello.yml"},
        {"timing": Timing(NOW, cron="*/2 * * * *")},
        {"timing": Timing(NOW, cron="* * * * *", timezone="UTC")},
        {"timing": Timing(NOW, every_seconds=60)},
    ],
)
def test_another_document_or_other_times_make_another_schedule(schedules, timetable, other):
    timetable.add(timing=Timing(NOW, cron="* * * * *"))

    timetable.add(**{"timing": Timing(NOW, cron="* * * * *"), **other})

    assert schedules.count(ScheduleFilter()) == 2


def test_a_deleted_schedule_can_be_made_again_and_its_jobs_stay(schedules, timetable, jobs):
    first = timetable.add()
    (job_id,) = timetable.tick().jobs

    schedules.delete(first.id)
    again = timetable.add()

    assert ids(schedules) == [again.id]
    assert jobs.list(JobFilter(schedule_id=first.id))[0].id == job_id


def test_an_unknown_schedule_is_an_error_that_names_it(schedules, timetable):
    for verb in (
        schedules.get,
        schedules.delete,
        lambda id: schedules.pause(timetable.new(id=id), NOW, None, []),
        lambda id: schedules.slots(id, 10),
        lambda id: schedules.resume(id, NOW, NOW, []),
        lambda id: schedules.reshape(
            id, overlap=Overlap.SKIP, misfire=Misfire.SKIP, misfire_grace_seconds=None, timeout_seconds=None, data=None
        ),
    ):
        with pytest.raises(ScheduleNotFound, match="nobody"):
            verb("nobody")


def test_a_list_is_oldest_first_filtered_and_paged(schedules, timetable):
    a, b, c = (timetable.add(f"{name}.yml").id for name in "abc")

    assert ids(schedules) == [a, b, c]
    assert ids(schedules, limit=2, offset=1) == [b, c]
    assert ids(schedules, path="b.yml") == [b]
    assert schedules.count(ScheduleFilter(limit=1, offset=2)) == 3
    assert schedules.count(ScheduleFilter(path="b.yml")) == 1


def test_a_list_shows_the_last_slot_of_each(schedules, timetable):
    fired, fresh = timetable.add("a.yml"), timetable.add("b.yml", next_due=NOW + timedelta(days=1))
    timetable.tick()
    timetable.tick()

    shown = {each.id: each.last_slot for each in schedules.list(ScheduleFilter())}

    assert shown == {fired.id: schedules.slots(fired.id, 1)[0], fresh.id: None}
    assert shown[fired.id].due_time == NOW + 2 * MINUTE
    assert schedules.get(fired.id).last_slot == shown[fired.id]


def test_slots_are_newest_first_and_paged_by_time(schedules, timetable):
    schedule = timetable.add()
    for _ in range(4):
        timetable.tick()

    first = schedules.slots(schedule.id, 3)
    rest = schedules.slots(schedule.id, 3, first[-1].due_time)

    assert [slot.due_time - NOW for slot in first] == [4 * MINUTE, 3 * MINUTE, 2 * MINUTE]
    assert [slot.due_time - NOW for slot in rest] == [MINUTE]


def test_due_is_what_has_come_longest_due_first(schedules, timetable):
    second = timetable.add("a.yml", next_due=NOW + 2 * MINUTE)
    first = timetable.add("b.yml", next_due=NOW + MINUTE)
    later = timetable.add("c.yml", next_due=NOW + 3 * MINUTE)

    assert [each.id for each in schedules.due(NOW + 2 * MINUTE, 10)] == [first.id, second.id]
    assert [each.id for each in schedules.due(NOW + 2 * MINUTE, 1)] == [first.id]
    assert schedules.due(NOW + MINUTE - timedelta(microseconds=1), 10) == []
    assert [each.id for each in schedules.due(NOW + 9 * MINUTE, 10)][-1] == later.id


def test_the_next_due_time_is_the_first_of_all(schedules, timetable):
    assert schedules.next_due_time() is None
    late = timetable.add("a.yml", next_due=NOW + 5 * MINUTE)
    soon = timetable.add("b.yml", next_due=NOW + 2 * MINUTE)
    timetable.add("c.yml", next_due=None)

    assert schedules.next_due_time() == NOW + 2 * MINUTE
    timetable.pause(soon.id)
    assert schedules.next_due_time() == NOW + 5 * MINUTE
    schedules.delete(late.id)
    assert schedules.next_due_time() is None


def test_the_oldest_schedule_that_is_not_paused_says_since_when_a_clock_is_needed(schedules, timetable):
    assert schedules.active_since() is None
    old = timetable.add("a.yml", created_time=NOW - timedelta(days=2))
    timetable.add("b.yml", created_time=NOW - timedelta(days=1))

    assert schedules.active_since() == NOW - timedelta(days=2)
    timetable.pause(old.id)
    assert schedules.active_since() == NOW - timedelta(days=1)


def test_a_paused_schedule_is_never_due_and_stays_so(schedules, timetable):
    schedule = timetable.add()

    timetable.pause(schedule.id)
    timetable.pause(schedule.id)

    assert schedules.due(NOW + timedelta(days=9), 10) == []
    assert schedules.get(schedule.id) == replace(schedule, is_paused=True, next_due=None)


def test_a_pause_says_what_becomes_of_what_was_due_before(schedules, timetable):
    schedule = timetable.add()
    until = NOW + 5 * MINUTE
    slot = Slot(until - MINUTE, Verdict.COALESCED, until, "4 due times", None, 4, NOW + MINUTE)

    assert schedules.pause(schedule, until, until, [slot])

    paused = replace(schedule, is_paused=True, last_due=until, next_due=None, owed=until)
    assert schedules.get(schedule.id) == replace(paused, last_slot=slot)
    schedules.resume(schedule.id, until, until, [])
    assert [each.standing.owed for each in schedules.due(until, 10)] == [until]


def test_a_pause_that_a_tick_has_overtaken_changes_nothing(schedules, timetable, jobs):
    schedule = timetable.add()
    timetable.tick()
    ticked = schedules.get(schedule.id)

    assert not schedules.pause(schedule, NOW + MINUTE, NOW + MINUTE, [Slot(NOW + MINUTE, Verdict.EXPIRED, NOW)])

    assert schedules.get(schedule.id) == ticked
    assert len(schedules.slots(schedule.id, 10)) == 1


def test_a_schedule_that_is_never_due_can_be_paused(schedules, timetable):
    schedule = timetable.add(next_due=None)

    assert timetable.pause(schedule.id)

    assert schedules.get(schedule.id).is_paused


def test_a_resumed_schedule_goes_on_with_a_slot_for_what_passed(schedules, timetable):
    schedule = timetable.add()
    schedules.put_off(schedule.id, "broken", NOW + 9 * MINUTE, 3, NOW + MINUTE)
    timetable.pause(schedule.id)
    until = NOW + 5 * MINUTE
    slot = Slot(until, Verdict.PAUSED, until, "5 due times", None, 5, NOW + MINUTE)

    schedules.resume(schedule.id, until, until + MINUTE, [slot])
    schedules.resume(schedule.id, until + 9 * MINUTE, None, [])

    resumed = schedules.get(schedule.id)
    assert (resumed.is_paused, resumed.last_due, resumed.next_due) == (False, until, until + MINUTE)
    assert (resumed.failures, resumed.last_error) == (0, None)
    assert schedules.slots(schedule.id, 10) == [slot]


def test_a_schedule_that_is_put_off_says_why(schedules, timetable):
    schedule, paused = timetable.add("a.yml"), timetable.add("b.yml")
    timetable.pause(paused.id)

    for id in (schedule.id, paused.id, "nobody"):
        schedules.put_off(id, "it broke", NOW + 9 * MINUTE, 2, NOW + MINUTE)

    shown = schedules.get(schedule.id)
    assert (shown.next_due, shown.last_error, shown.failures) == (NOW + 9 * MINUTE, "it broke", 2)
    assert shown.last_due == schedule.last_due
    assert schedules.get(paused.id).next_due is None


def test_a_schedule_that_another_tick_has_moved_on_is_not_put_off(schedules, timetable):
    schedule = timetable.add()
    timetable.tick()
    moved_on = schedules.get(schedule.id)

    schedules.put_off(schedule.id, "it broke", NOW + 9 * MINUTE, 2, NOW + MINUTE)

    assert schedules.get(schedule.id) == moved_on


def test_a_reshaped_schedule_keeps_its_document_its_times_and_its_pause(schedules, timetable):
    schedule = timetable.add(data={"old": 1})
    timetable.pause(schedule.id)
    shape = {
        "overlap": Overlap.QUEUE,
        "misfire": Misfire.SKIP,
        "misfire_grace_seconds": 5,
        "timeout_seconds": 7.5,
        "data": None,
    }

    schedules.reshape(schedule.id, **shape)

    assert schedules.get(schedule.id) == replace(schedule, is_paused=True, next_due=None, **shape)


def test_a_changed_zone_moves_what_is_read_in_it_and_nothing_else(schedules, timetable, monkeypatch):
    monkeypatch.setattr("engine.store.schedules.PAGE", 2)
    cron = Timing(NOW, cron="0 7 * * *")
    moved = [timetable.add(f"{n}.yml", timing=cron) for n in range(5)]
    paused = timetable.add("p.yml", timing=cron)
    timetable.pause(paused.id)
    zoned = timetable.add("z.yml", timing=replace(cron, timezone="UTC"))
    plain = timetable.add("i.yml")

    changed = schedules.retime(lambda each: each.next_due + timedelta(hours=2))

    assert changed == 5
    assert {schedules.get(each.id).next_due for each in moved} == {NOW + MINUTE + timedelta(hours=2)}
    assert {schedules.get(each.id).next_due for each in (zoned, plain)} == {NOW + MINUTE}
    assert schedules.get(paused.id).next_due is None


def test_what_is_fired_while_times_are_reckoned_anew_is_left_as_it_is(schedules, timetable):
    schedule = timetable.add(timing=Timing(NOW, cron="* * * * *"))

    def fire_meanwhile(each):
        timetable.tick()
        return each.next_due + timedelta(hours=2)

    assert schedules.retime(fire_meanwhile) == 0
    assert schedules.get(schedule.id).next_due == NOW + 2 * MINUTE


def test_a_schedule_whose_times_cannot_be_reckoned_stays_as_it_is_and_stops_no_other(schedules, timetable):
    bad, good = (timetable.add(f"{name}.yml", timing=Timing(NOW, cron="0 6 * * *")) for name in ("bad", "good"))

    def next_due(each):
        if each.id == bad.id:
            raise ValueError("the cron cannot be read")
        return each.next_due + timedelta(hours=2)

    assert schedules.retime(next_due) == 1
    assert schedules.get(bad.id).next_due == bad.next_due
    assert schedules.get(good.id).next_due == good.next_due + timedelta(hours=2)


def test_a_schedule_with_very_many_slots_is_deleted_in_short_transactions(database, schedules, timetable, monkeypatch):
    monkeypatch.setattr("engine.store.slot_pruning.BATCH", 2)
    gone, kept = timetable.add("a.yml"), timetable.add("b.yml")
    for _ in range(5):
        timetable.tick()
    deleted = []
    event.listen(
        database.engine, "after_cursor_execute", lambda _c, cursor, sql, *_: deleted.append((sql[:18], cursor.rowcount))
    )

    schedules.delete(gone.id)

    assert [count for sql, count in deleted if sql == "DELETE FROM slots "] == [2, 2]
    assert len(schedules.slots(kept.id, 10)) == 5
    with pytest.raises(ScheduleNotFound):
        schedules.get(gone.id)


def test_old_slots_go_and_the_others_stay(schedules, timetable, monkeypatch):
    monkeypatch.setattr("engine.store.slot_pruning.BATCH", 2)
    a, b = timetable.add("a.yml"), timetable.add("b.yml")
    for _ in range(4):
        timetable.tick()
    border = NOW + 4 * MINUTE

    assert schedules.prune_slots(border, 1000) == 6
    assert schedules.prune_slots(border, 1000) == 0

    assert [slot.due_time for each in (a, b) for slot in schedules.slots(each.id, 10)] == [border, border]


def test_slots_are_deleted_so_many_at_a_time(schedules, timetable):
    for n in range(600):
        timetable.add(f"{n}.yml")
    timetable.tick()
    later = timetable.now + MINUTE

    assert schedules.prune_slots(later, 100) == 500
    assert schedules.prune_slots(later, 100) == 100
    assert schedules.prune_slots(later, 100) == 0


def test_those_that_a_forecast_is_about_are_due_by_then_or_never(schedules, timetable):
    soon, never = timetable.add("a.yml"), timetable.add("b.yml", next_due=None)
    timetable.add("later.yml", next_due=NOW + MINUTE + timedelta(microseconds=1))
    timetable.pause(timetable.add("paused.yml").id)
    other = timetable.add("other/c.yml")

    assert schedules.active(NOW + MINUTE) == [soon, never, other]
    assert schedules.active(NOW + MINUTE, flows="other/*") == [other]
    assert schedules.active(NOW + MINUTE, "a.yml") == [soon]
    assert schedules.active(NOW + MINUTE, "a.yml", "other/*") == []


def test_due_schedules_that_stand_alike_share_what_is_decided_about(schedules, timetable):
    """A cron says when it is due whatever its anchor; an interval counts from it."""
    crons = [Timing(NOW - n * MINUTE, cron="* * * * *") for n in range(2)]
    zoned = [replace(crons[0], timezone="Asia/Tokyo")]
    intervals = [Timing(NOW - n * MINUTE, every_seconds=60) for n in (0, 1)]
    made = [timetable.add(f"{n}.yml", timing=timing) for n, timing in enumerate((*crons, *zoned, *intervals))]
    made.append(timetable.add("failed.yml", timing=crons[0], failures=1))

    due = {each.id: each.standing for each in schedules.due(NOW + MINUTE, 10)}

    first, second, *others = [due[each.id] for each in made]
    assert first is second
    assert len({first, *others}) == 1 + len(others)
    for each in made:
        standing = due[each.id]
        assert (standing.last_due, standing.next_due, standing.failures) == (NOW, NOW + MINUTE, each.failures)
        assert standing.timing.identity == each.timing.identity
    assert [due[each.id].timing for each in made[3:5]] == intervals


@pytest.mark.parametrize(
    ("verb", "index"),
    [
        (lambda store: store.due(NOW, 10), "schedules_by_next_due"),
        (lambda store: store.next_due_time(), "schedules_by_next_due"),
        (lambda store: store.list(ScheduleFilter(path="a.yml")), "schedules_by_path"),
        (lambda store: store.prune_slots(NOW, 10), "slots_by_due_time"),
    ],
)
def test_an_index_finds_what_is_asked_for(sqlite, verb, index, timetable_of):
    seen = plans(sqlite, lambda: verb(timetable_of(sqlite).schedules))

    assert any(index in plan for plan in seen)
    assert not any("SCAN slots" in plan and "USING" not in plan for plan in seen)
