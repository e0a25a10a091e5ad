"""Firing: every due schedule is decided upon and written, and a broken one stops no other."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from clocks import NOON, TestClock

from engine.errors import DatabaseDown, FlowNotFound, StorageDown
from engine.models.job import NewJob
from engine.models.schedule import BrokenSchedule, DueSchedule, Fired, Misfire, Overlap, Standing, Timing
from engine.models.tick import TickReport
from engine.scheduler.firing import BATCH, Firer

MINUTE = timedelta(minutes=1)


def schedule(id: str, **changes) -> DueSchedule:
    """Due each minute, the last time at noon's minute before; `changes` are those of its standing."""
    standing = Standing(
        timing=Timing(anchor=NOON - 10 * MINUTE, every_seconds=60),
        misfire=Misfire.LATEST,
        misfire_grace_seconds=None,
        last_due=NOON - MINUTE,
        next_due=NOON,
    )
    return DueSchedule(id, f"{id}.yml", Overlap.SKIP, None, None, replace(standing, **changes))


class Table:
    """A schedules' table in memory that writes down what it is asked."""

    def __init__(self, *rows: DueSchedule | BrokenSchedule) -> None:
        self.rows = {row.id: row for row in rows}
        self.batches: list[int] = []
        self.fired: list = []
        self.put_off_rows: dict[str, tuple[str, datetime, int]] = {}
        self.refused: set[str] = set()
        self.failure: Exception | None = None

    def due(self, now: datetime, limit: int):
        rows = self.rows.values()
        return [row for row in rows if isinstance(row, BrokenSchedule) or row.standing.next_due <= now][:limit]

    def fire(self, firings, documents, now):
        if self.failure:
            raise self.failure
        if any(firing.schedule_id in self.refused for firing in firings):
            raise RuntimeError("a row that no database takes")
        self.batches.append(len(firings))
        self.fired += firings
        for firing in firings:
            row = self.rows[firing.schedule_id]
            self.rows[firing.schedule_id] = replace(row, standing=replace(row.standing, next_due=firing.next_due))
        launched = tuple(firing.job.id for firing in firings if firing.job)
        failed = tuple((firing.schedule_id, firing.error) for firing in firings if firing.error)
        missed = sum(slot.count for firing in firings for slot in firing.slots)
        return Fired(jobs=launched, missed=missed, failed=failed)

    def put_off(self, id, error, next_due, failures, now):
        self.put_off_rows[id] = error, next_due, failures
        del self.rows[id]


def fire(table: Table, make_job=None) -> TickReport:
    def job_of(schedule):
        return NewJob(id=f"job of {schedule.id}", path=schedule.path, name="", revision=""), []

    report = TickReport()
    Firer(table, make_job or job_of, lambda _timing: UTC, TestClock()).fire(report)
    return report


def test_each_due_schedule_launches_its_job():
    table = Table(schedule("a"), schedule("b"), schedule("later", next_due=NOON + MINUTE))

    report = fire(table)

    assert [firing.job.id for firing in table.fired] == ["job of a", "job of b"]
    assert {firing.due_time for firing in table.fired} == {NOON}
    assert table.fired[0].expected == NOON
    assert table.fired[0].next_due == NOON + MINUTE
    assert (report.fired, report.missed, report.errors) == (2, 0, [])


def test_what_was_missed_is_counted():
    table = Table(schedule("a", last_due=NOON - 4 * MINUTE, next_due=NOON - 3 * MINUTE))

    report = fire(table)

    assert (report.fired, report.missed) == (1, 3)


def test_many_are_written_in_batches():
    table = Table(*(schedule(f"s{n}") for n in range(BATCH * 2 + 7)))

    report = fire(table)

    assert table.batches == [BATCH, BATCH, 7]
    assert report.fired == BATCH * 2 + 7


def test_a_document_that_is_gone_is_told_and_looked_at_later():
    def make_job(schedule):
        if schedule.id == "gone":
            raise FlowNotFound("There is no flow 'gone.yml'.")
        return NewJob(id="j", path=schedule.path, name="", revision=""), []

    table = Table(schedule("gone", failures=2), schedule("well"))

    report = fire(table, make_job)

    gone = next(firing for firing in table.fired if firing.schedule_id == "gone")
    assert gone.job is None
    assert gone.error == "There is no flow 'gone.yml'."
    assert gone.failures == 3
    assert gone.next_due > NOON + MINUTE
    assert report.fired == 1
    assert report.errors == ["schedule gone: There is no flow 'gone.yml'."]


def test_a_row_that_cannot_be_read_is_put_off_ever_longer():
    first, second = (Table(BrokenSchedule("bad", "its misfire is 'x'", failures)) for failures in (0, 5))

    report = fire(first)
    fire(second)

    assert report.errors == ["schedule bad: its misfire is 'x'"]
    assert first.put_off_rows["bad"][2] == 1
    assert NOON < first.put_off_rows["bad"][1] < second.put_off_rows["bad"][1]


def test_a_row_that_cannot_be_written_stops_no_other_of_its_batch():
    table = Table(schedule("a"), schedule("bad"), schedule("b"))
    table.refused = {"bad"}

    report = fire(table)

    assert [firing.schedule_id for firing in table.fired] == ["a", "b"]
    assert list(table.put_off_rows) == ["bad"]
    assert report.fired == 2


def test_a_broken_timing_stops_no_other():
    table = Table(schedule("bad", timing=Timing(NOON, cron="61 * * * *")), schedule("well"))

    report = fire(table)

    assert list(table.put_off_rows) == ["bad"]
    assert report.fired == 1


def test_a_data_folder_that_is_away_leaves_the_due_time_to_the_next_tick():
    def make_job(schedule):
        raise StorageDown("The folder is away.")

    table = Table(schedule("a"))

    report = fire(table, make_job)

    assert table.fired == []
    assert table.put_off_rows == {}
    assert report.errors == ["schedule a: The folder is away."]


def test_those_that_cannot_be_launched_at_present_hold_up_no_other_however_many(caplog):
    def make_job(schedule):
        if schedule.id == "well":
            return NewJob(id="job", path=schedule.path, name="", revision=""), []
        raise StorageDown("The folder is away.")

    table = Table(*(schedule(f"s{n}") for n in range(BATCH * 2)), schedule("well"))

    report = fire(table, make_job)

    assert [firing.schedule_id for firing in table.fired] == ["well"]
    assert len(report.errors) == BATCH * 2
    assert len(caplog.records) <= 4


def test_a_launch_that_fails_is_logged_where_nobody_reads_the_answer(caplog):
    def make_job(schedule):
        if schedule.id == "gone":
            raise FlowNotFound("There is no flow 'gone.yml'.")
        raise StorageDown("The folder is away.")

    fire(Table(schedule("gone"), schedule("away")), make_job)

    logged = [record.getMessage() for record in caplog.records]
    assert any("gone" in line and "There is no flow 'gone.yml'." in line for line in logged)
    assert any("away" in line and "The folder is away." in line for line in logged)


def test_a_database_that_is_down_ends_the_tick():
    table = Table(schedule("a"))
    table.failure = DatabaseDown("The database is away.")

    with pytest.raises(DatabaseDown):
        fire(table)
