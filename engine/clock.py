"""The time, and waiting for it: the only place that reads the system's clocks."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import getrandbits
from threading import Event

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Clock:
    """Wall time, monotonic time and sleep; tests pass one of their own."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds from an arbitrary start that never go back."""
        return time.monotonic()

    def wait(self, event: Event, seconds: float) -> bool:
        """True as soon as the event is set, False after so many seconds."""
        return event.wait(seconds)


def to_micros(moment: datetime) -> int:
    """Whole microseconds since 1970 in UTC: how moments are stored and travel between processes."""
    return (moment - EPOCH) // MICROSECOND


def from_micros(micros: int) -> datetime:
    """The moment that `to_micros` made a number of, aware, in UTC."""
    return EPOCH + MICROSECOND * micros  # A third of what timedelta(microseconds=...) takes, and a list has 150.


def new_id(moment: datetime) -> str:
    """A UUID of version 7 (RFC 9562): unique, and in the order of time, so that ids sort as jobs were queued.

    The twelve bits after the millisecond carry its fraction, the RFC's method 3.
    """
    return _id(_first_of(moment) | secrets.randbits(62))


def new_ids(moment: datetime) -> Iterator[str]:
    """As many of `new_id` as are asked for, each after the one before: the RFC's method 2, a random step each time.

    Thousands that are stored together then stand together in an index.
    """
    value = _first_of(moment) | secrets.randbits(61)
    while True:
        yield _id(value)
        value += 1 + getrandbits(32)


def _first_of(moment: datetime) -> int:
    millis, micros = divmod(to_micros(moment), 1000)
    fraction = micros * 4096 // 1000
    return (millis << 80) | (7 << 76) | (fraction << 64) | (2 << 62)


def _id(value: int) -> str:
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def id_floor(moment: datetime) -> str:
    """What no id that `new_id` makes at that moment, down to the millisecond, or later sorts before."""
    text = f"{min(max(to_micros(moment) // 1000, 0), (1 << 48) - 1):012x}"
    return f"{text[:8]}-{text[8:]}"
