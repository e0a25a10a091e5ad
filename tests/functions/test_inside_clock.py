"""The clock inside the service: a tick at each full minute, whatever becomes of one of them."""

from __future__ import annotations

import logging
from datetime import timedelta
from threading import Event
from types import SimpleNamespace

import pytest
from clocks import NOON, TestClock

from engine.errors import DatabaseBusy
from engine.settings import Settings
from functions._inside_clock import tick_each_minute


@pytest.fixture
def closing() -> Event:
    return Event()


def run(start, closing, ticks, *, tick=lambda number: None):
    """The moments of so many ticks, in seconds after noon; `tick(number)` is what each of them does."""
    clock, times = TestClock(start), []

    def one_tick():
        times.append((clock.now() - NOON).total_seconds())
        if len(times) == ticks:
            closing.set()
        tick(len(times))
        return clock

    tick_each_minute(SimpleNamespace(clock=clock, tick=one_tick), closing)
    return times


def test_it_ticks_a_moment_after_each_full_minute(closing):
    times = run(NOON + timedelta(seconds=17.25), closing, 3)

    assert times == [pytest.approx(minute * 60, abs=0.1) for minute in (1, 2, 3)]
    assert all(seconds > minute * 60 for minute, seconds in enumerate(times, 1))


@pytest.mark.parametrize("error", [DatabaseBusy("The database is busy."), RuntimeError("nobody foresaw this")])
def test_a_tick_that_fails_is_logged_and_the_next_one_comes_all_the_same(closing, caplog, error):
    def fail(number):
        if number == 1:
            raise error

    with caplog.at_level(logging.WARNING):
        times = run(NOON, closing, 2, tick=fail)

    assert len(times) == 2
    assert str(error) in caplog.text


def test_a_tick_that_takes_long_is_followed_by_the_next_full_minute(closing):
    clock, times = TestClock(NOON), []

    def long_tick():
        times.append(clock.passed)
        clock.pass_by(90)
        if len(times) == 2:
            closing.set()

    tick_each_minute(SimpleNamespace(clock=clock, tick=long_tick), closing)

    assert times == [pytest.approx(60, abs=0.1), pytest.approx(180, abs=0.1)]


def test_a_closing_process_ticks_no_more_and_complains_of_no_tick_that_it_cut_short(closing, caplog):
    def cut_short(number):
        raise RuntimeError("the database is gone")

    times = run(NOON, closing, 1, tick=cut_short)

    assert len(times) == 1
    assert caplog.text == ""


@pytest.mark.parametrize(("is_inside", "expected"), [(True, 1), (False, 0)])
def test_only_a_service_that_is_told_so_ticks_by_itself(process, is_inside, expected):
    ticks, clock = [], TestClock(NOON)

    def tick():
        ticks.append(clock.now())
        process._closing.set()

    process.use(
        SimpleNamespace(
            settings=Settings(tick_inside=is_inside), clock=clock, tick=tick, start=lambda: None, close=lambda: None
        )
    )
    process.start_soon()
    process._starter.join(5)

    assert not process._starter.is_alive()
    assert len(ticks) == expected


def test_a_closing_service_ends_its_clock(process):
    waiting = Event()

    class WaitingClock(TestClock):
        def wait(self, event, seconds):
            waiting.set()
            return event.wait(30)

    process.use(
        SimpleNamespace(
            settings=Settings(tick_inside=True), clock=WaitingClock(), start=lambda: None, close=lambda: None
        )
    )
    process.start_soon()
    assert waiting.wait(5)

    process.close()
    process._starter.join(5)

    assert not process._starter.is_alive()
