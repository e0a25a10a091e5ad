"""Counts of what has not ended, on each database."""

from __future__ import annotations

from datetime import timedelta

import pytest

from engine.models.job import State
from engine.store.gauges import GaugeStore


@pytest.fixture
def gauges(database):
    return GaugeStore(database)


def test_an_empty_database_has_none(gauges, bench):
    assert set(gauges.jobs().values()) == {0}
    assert State.FINISHED not in gauges.jobs()
    assert gauges.oldest_pending() is None
    assert gauges.overdue(bench.now) == 0


def test_jobs_are_counted_by_state_and_the_first_that_waits_is_known(gauges, bench, jobs):
    bench.finish(bench.start())
    bench.start()
    first = jobs.get(bench.queue()).queued_time
    bench.later(7)
    bench.queue()

    assert {state: count for state, count in gauges.jobs().items() if count} == {State.RUNNING: 1, State.PENDING: 2}
    assert gauges.oldest_pending() == first


def test_the_first_that_waits_is_found_without_a_look_at_the_others(sqlite, bench_of):
    gauges, bench = GaugeStore(sqlite), bench_of(sqlite)
    for _ in range(300):
        bench.queue()

    assert steps_of(sqlite, gauges.oldest_pending) < 20


def steps_of(database, verb):
    """How many instructions SQLite needs for it, in tens."""
    with database.engine.connect() as connection:
        driver = connection.connection.driver_connection
    seen = []
    driver.set_progress_handler(lambda: seen.append(None), 10)
    verb()
    driver.set_progress_handler(None, 0)
    return len(seen)


def test_schedules_are_overdue_once_their_time_is_before_the_bound(gauges, timetable):
    due = timetable.add().next_due

    assert gauges.overdue(due) == 0
    assert gauges.overdue(due + timedelta(seconds=1)) == 1
