"""A schedule whose row cannot be read hides no other and can be deleted."""

from __future__ import annotations

import pytest
from sqlalchemy import delete, select, text

from engine.errors import DatabaseRefused
from engine.models.schedule import BrokenSchedule, ScheduleFilter, ScheduleSource
from engine.store.schedule_rows import read_each, to_schedule
from engine.store.tables import schedules as schedules_table

BREAKS = {
    "an unknown word": "overlap = 'perhaps'",
    "data that is no JSON": "data = '{'",
}
SQLITE_BREAKS = {
    "a time that is a text": "last_due = 'yesterday'",
    "a time beyond the calendar": "anchor = 9000000000000000000",
    "a text that is not UTF-8": "cron = CAST(x'ff' AS TEXT)",
}


def damage(database, id, change):
    with database.write() as connection:
        connection.execute(text(f"UPDATE schedules SET {change}, failures = 4 WHERE id = :id"), {"id": id})


@pytest.mark.parametrize("change", BREAKS.values())
def test_a_broken_schedule_hides_no_other(database, schedules, timetable, change):
    good, bad, other = (timetable.add(f"{name}.yml") for name in "abc")
    damage(database, bad.id, change)

    due = schedules.due(good.next_due, 10)

    broken = next(each for each in due if isinstance(each, BrokenSchedule))
    assert (broken.id, broken.failures) == (bad.id, 4)
    assert "cannot be read" in broken.error
    assert [each.id for each in due if each is not broken] == [good.id, other.id]
    listed = schedules.list(ScheduleFilter())
    assert [listed[0], listed[2]] == [good, other]
    assert listed[1].id == bad.id
    assert listed[1].next_due is None
    assert "cannot be read" in (listed[1].last_error or "")
    assert len(schedules.by_source(ScheduleSource.API)) == 3


@pytest.mark.parametrize("change", SQLITE_BREAKS.values())
def test_whatever_sqlite_lets_into_a_row_hides_no_other(sqlite, timetable_of, change):
    timetable = timetable_of(sqlite)
    good, bad = timetable.add("a.yml"), timetable.add("b.yml")
    damage(sqlite, bad.id, change)

    due = timetable.schedules.due(good.next_due, 10)

    assert {each.id: type(each) is BrokenSchedule for each in due} == {good.id: False, bad.id: True}


def test_a_broken_schedule_says_so_when_it_is_asked_for_and_can_be_put_off_and_deleted(database, schedules, timetable):
    bad = timetable.add()
    damage(database, bad.id, "misfire = 'perhaps'")

    with pytest.raises(DatabaseRefused, match=f"{bad.id}.*'perhaps'.*Delete it"):
        schedules.get(bad.id)
    schedules.put_off(bad.id, "broken", bad.next_due + timetable.minute, 1, bad.next_due)
    assert schedules.due(bad.next_due, 10) == []
    schedules.delete(bad.id)
    assert schedules.count(ScheduleFilter()) == 0


def test_one_that_is_deleted_while_the_broken_one_is_looked_for_is_left_out(database, timetable):
    good, bad, gone = (timetable.add(f"{name}.yml") for name in "abc")
    looks = []

    def read(row):
        if row.id == bad.id:
            looks.append(row.id)
            if len(looks) == 2:  # By itself: the ids of all have been read.
                connection.execute(delete(schedules_table).where(schedules_table.c.id == gone.id))
            raise ValueError("broken")
        return to_schedule(row)

    with database.write() as connection:
        query = select(schedules_table).order_by(schedules_table.c.id)
        found = read_each(connection, query, {}, read)

    assert [each.id for each in found] == [good.id, bad.id]


def test_a_slot_that_cannot_be_read_hides_no_other_schedule(database, schedules, timetable):
    good, bad = timetable.add("a.yml"), timetable.add("b.yml")
    timetable.tick()
    with database.write() as connection:
        connection.execute(text("UPDATE slots SET verdict = 'perhaps' WHERE schedule_id = :id"), {"id": bad.id})

    first, second = schedules.list(ScheduleFilter())
    assert (first.id, first.last_error) == (good.id, None)
    assert second.id == bad.id
    assert "perhaps" in (second.last_error or "")
