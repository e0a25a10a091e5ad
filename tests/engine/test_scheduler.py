"""The tick: stages in their order, each failing for itself."""

from __future__ import annotations

import pytest
from clocks import TestClock

from engine.errors import DatabaseBusy, DatabaseDown
from engine.scheduler import tick


@pytest.fixture
def clock():
    return TestClock()


def test_stages_run_in_their_order_and_count_into_one_report(clock):
    order = []

    def sweep(report):
        order.append("sweep")
        report.swept += 2

    def dispatch(report):
        order.append("dispatch")
        report.dispatched += 3

    report = tick({"sweep": sweep, "dispatch": dispatch}, clock)

    assert order == ["sweep", "dispatch"]
    assert (report.swept, report.dispatched, report.errors) == (2, 3, [])


@pytest.mark.parametrize("error", [DatabaseBusy("The database is busy."), RuntimeError("a fault")])
def test_a_stage_that_fails_is_told_and_stops_no_other(clock, caplog, error):
    def fails(report):
        report.swept += 1
        raise error

    def dispatch(report):
        report.dispatched += 1

    report = tick({"sweep": fails, "dispatch": dispatch}, clock)

    assert report.errors == [f"sweep: {error}"]
    assert (report.swept, report.dispatched) == (1, 1)
    assert "tick: stage sweep failed" in caplog.text


def test_a_database_that_is_down_ends_the_tick(clock):
    ran = []

    def fails(report):
        raise DatabaseDown("The database cannot be reached.")

    with pytest.raises(DatabaseDown):
        tick({"sweep": fails, "dispatch": ran.append}, clock)

    assert ran == []


def test_a_report_says_how_long_the_tick_took(clock):
    report = tick({"sweep": lambda report: clock.pass_by(1.2345678)}, clock)

    assert report.duration_ms == 1234.568


def test_a_report_is_json(clock):
    def fails(report):
        raise RuntimeError("a fault")

    report = tick({"sweep": fails}, clock)

    assert report.to_json() == {
        "fired": 0, "missed": 0, "skipped": 0, "swept": 0, "dispatched": 0, "woken": 0, "pruned": 0,
        "errors": ["sweep: a fault"], "duration_ms": 0.0,
    }  # fmt: skip
