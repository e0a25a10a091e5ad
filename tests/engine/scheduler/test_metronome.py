"""Between ticks: what falls due is fired at its time, for a while after a tick and no longer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from threading import Event, Semaphore

import pytest
from clocks import NOON, TestClock

from engine.scheduler.metronome import AFTER_TICK, Metronome


class WindingClock(TestClock):
    """Moves when somebody waits, but not past where the test lets it: then it waits in earnest."""

    def __init__(self) -> None:
        super().__init__()
        self.end = NOON
        self.waits: list[float] = []
        self.idle = Semaphore(0)
        """One for each wait that went beyond where the test lets us."""

    def wait(self, event: Event, seconds: float) -> bool:
        self.waits.append(seconds)
        if self.now() + timedelta(seconds=seconds) <= self.end:
            self.pass_by(seconds)
            return event.is_set()
        self.idle.release()
        return event.wait(20)

    def wait_until_idle(self) -> None:
        assert self.idle.acquire(timeout=20)


class Interval:
    """Due each ten seconds from noon on."""

    def __init__(self, clock: WindingClock) -> None:
        self.clock = clock
        self.due: datetime | None = NOON + timedelta(seconds=10)
        self.fired: list[datetime] = []
        self.failures = 0
        self.is_stuck = False
        """What is due stays so: another process holds it, or its flow cannot be read at present."""

    def next_due(self) -> datetime | None:
        return self.due

    def fire(self) -> None:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("the database is away")
        self.fired.append(self.clock.now())
        if self.is_stuck:
            return
        assert self.due is not None
        self.due += timedelta(seconds=10)


@pytest.fixture
def clock() -> WindingClock:
    return WindingClock()


@pytest.fixture
def interval(clock) -> Interval:
    return Interval(clock)


@pytest.fixture
def metronome(clock, interval) -> Iterator[Metronome]:
    made = Metronome(interval.next_due, interval.fire, clock)
    yield made
    made.close()


def seconds_after_noon(moments: list[datetime]) -> list[float]:
    return [(moment - NOON).total_seconds() for moment in moments]


def test_what_is_due_between_two_ticks_is_fired_at_its_time(clock, interval, metronome):
    clock.end = NOON + timedelta(seconds=60)

    metronome.go_on()
    clock.wait_until_idle()

    assert seconds_after_noon(interval.fired) == [10, 20, 30, 40, 50, 60]


def test_without_another_tick_it_stops(clock, interval, metronome):
    clock.end = NOON + timedelta(hours=1)

    metronome.go_on()
    clock.wait_until_idle()

    assert seconds_after_noon(interval.fired) == [10, 20, 30, 40, 50, 60, 70]


def test_another_tick_lets_it_go_on(clock, interval, metronome):
    clock.end = NOON + AFTER_TICK
    metronome.go_on()
    clock.wait_until_idle()
    fired_before = len(interval.fired)

    clock.end = clock.now() + timedelta(seconds=60)
    metronome.go_on()
    clock.wait_until_idle()

    assert fired_before == 7
    assert len(interval.fired) > fired_before


def test_a_schedule_made_meanwhile_is_seen(clock, interval, metronome):
    interval.due = None
    metronome.go_on()
    clock.wait_until_idle()

    clock.end = NOON + timedelta(seconds=15)
    interval.due = NOON + timedelta(seconds=10)
    metronome.look_again()
    clock.wait_until_idle()

    assert seconds_after_noon(interval.fired) == [10]


def test_a_failure_is_logged_and_tried_again(clock, interval, metronome, caplog):
    interval.failures = 2
    clock.end = NOON + timedelta(seconds=29)

    metronome.go_on()
    clock.wait_until_idle()

    assert seconds_after_noon(interval.fired) == [20, 20]
    assert len(caplog.records) == 2


def test_what_cannot_be_fired_now_is_tried_again_without_haste(clock, interval, metronome):
    interval.is_stuck = True
    clock.end = NOON + timedelta(seconds=12)

    metronome.go_on()
    clock.wait_until_idle()

    assert 2 <= len(interval.fired) <= 12
    assert min(clock.waits) > 0.1


def test_told_to_leave_it_fires_no_more(clock, interval, metronome):
    clock.end = NOON + timedelta(seconds=25)
    metronome.go_on()
    clock.wait_until_idle()

    metronome.leave()
    clock.end = NOON + timedelta(seconds=60)
    metronome.go_on()
    metronome.close()

    assert seconds_after_noon(interval.fired) == [10, 20]


def test_nothing_is_fired_before_the_first_tick(interval, metronome):
    metronome.look_again()
    metronome.close()

    assert interval.fired == []
