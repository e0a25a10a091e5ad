"""Reads a cron expression of five fields, as crontab(5) describes them; says what is wrong with another."""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, time
from functools import lru_cache
from typing import NoReturn

LONGEST = 255
SHORTCUTS = ("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually")
HOURS, MINUTES = range(24), range(60)
LEAP_YEAR = 2024

_TIMES = tuple(time(hour, minute) for hour in HOURS for minute in MINUTES)
"""So that all expressions share them."""
_ITEM = re.compile(r"(?:\*|(?P<low>\w+)(?:-(?P<high>\w+))?)(?:/(?P<step>\d+))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Cron:
    """What an expression allows: `times` of the day, ascending, on the days that match."""

    times: tuple[time, ...]
    days: frozenset[int] | None
    """Days of the month; None for `*`, and so below."""
    months: frozenset[int]
    weekdays: frozenset[int] | None
    """0 is Sunday."""
    every_hour: bool
    """The hour is not restricted: what is meant is an interval of real time, not a time of the day."""

    @property
    def is_ever_due(self) -> bool:
        """Whether any of its months has one of its days: there is no 30 February."""
        if self.days is None or self.weekdays is not None:
            return True
        return any(min(self.days) <= monthrange(LEAP_YEAR, month)[1] for month in self.months)

    def runs_on(self, day: date) -> bool:
        """Whether this is one of its days. Days of the month and of the week, when both are given: either will do."""
        if day.month not in self.months:
            return False
        if self.weekdays is None:
            return self.days is None or day.day in self.days
        return day.isoweekday() % 7 in self.weekdays or (self.days is not None and day.day in self.days)


@dataclass(frozen=True, slots=True)
class _Field:
    """A field's name, its numbers, the words that may stand for them."""

    name: str
    low: int
    high: int
    words: tuple[str, ...] = ()
    first_word: int = 0

    def number(self, text: str) -> int:
        """What a number or a word of this field stands for."""
        if text in self.words:
            return self.words.index(text) + self.first_word
        if not text.isdigit():
            words = f", or {self.words[0]} to {self.words[-1]}" if self.words else ""
            self.refuse(f"{text!r} is not a number from {self.low} to {self.high}{words}")
        number = int(text)
        if not self.low <= number <= self.high:
            self.refuse(f"{number} is not from {self.low} to {self.high}")
        return number

    def refuse(self, problem: str) -> NoReturn:
        raise ValueError(f"{self.name}: {problem}")


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1),
    _Field("day of week", 0, 7, ("sun", "mon", "tue", "wed", "thu", "fri", "sat")),
)


@lru_cache(maxsize=4096)
def read_cron(text: str) -> Cron:
    """What the expression means; ValueError names the field that cannot be read, and the way out."""
    from croniter import croniter

    text = _checked(text)
    fields, _ = croniter.expand(text)
    minutes, hours, days, months, weekdays = ([] if "*" in field else field for field in fields)
    return Cron(
        times=tuple(_TIMES[hour * 60 + minute] for hour in hours or HOURS for minute in minutes or MINUTES),
        days=frozenset(days) or None,
        months=frozenset(months or range(1, 13)),
        weekdays=frozenset(weekdays) or None,
        every_hour=not hours,
    )


def _checked(text: str) -> str:
    """The expression in lower case, if it is one of those that croniter reads as crontab(5) does.

    It reads more: seconds and years, `L`, `#`, `W`, `?`, hashes and random numbers, `5-5` as `*`, and a range that
    wraps around with a step in a way of its own.
    """
    if len(text) > LONGEST:
        raise ValueError(f"the expression is {len(text)} characters long; up to {LONGEST} are read")
    text = text.strip(" \t").lower()
    if text.startswith("@"):
        if text not in SHORTCUTS:
            raise ValueError(f"{text!r} is not one of {' '.join(SHORTCUTS)}")
        return text
    fields = re.findall(r"[^ \t]+", text)
    if len(fields) != len(_FIELDS):
        names = ", ".join(field.name for field in _FIELDS)
        more = "; seconds and years have no field, every_seconds runs in seconds" if len(fields) > len(_FIELDS) else ""
        raise ValueError(f"five fields are read ({names}), not {len(fields)}{more}")
    for field, value in zip(_FIELDS, fields, strict=True):
        for item in value.split(","):
            _check(field, item, value)
    return " ".join(fields)


def _check(field: _Field, item: str, value: str) -> None:
    """One item of a field's list; ValueError."""
    match = _ITEM.fullmatch(item)
    if match is None:
        field.refuse(_unreadable(item, value))
    low = high = None
    if match["low"]:
        low = _number(field, match["low"])
    if match["high"]:
        high = _number(field, match["high"])
        if low == high or (low, high) == (7, 0):
            field.refuse(f"{item!r} is a range from a value to itself; write {match['low']!r}")
    if match["step"]:
        step, most = int(match["step"]), 7 if field.high == 7 else field.high - field.low + 1
        if not 1 <= step <= most:
            field.refuse(f"the step {step} of {item!r} is not from 1 to {most}; every_seconds has longer ones")
        if low is not None and high is not None and low > high:
            field.refuse(f"{item!r} has a step and goes from {low} down to {high}; write two ranges, parted by a comma")


def _number(field: _Field, text: str) -> int:
    """The field's number; ValueError tells the letters of other crons apart from typing errors."""
    if re.fullmatch(r"l\d*|\d+l|\d*w|w\d+|lw", text):
        field.refuse(
            f"{text.upper()!r} (a last day, a nearest working day) is not read; name the days that it can be, and let "
            "the flow end itself on the others"
        )
    if re.fullmatch(r"[hr]", text):
        field.refuse(f"{text.upper()!r} (any value) is not read; write the value that is to be")
    return field.number(text)


def _unreadable(item: str, value: str) -> str:
    if not item:
        return f"{value!r} has a comma with nothing beside it"
    if item == "?":
        return "'?' is not read; write '*'"
    if "#" in item:
        return f"{item!r} (the n-th such day of a month) is not read; name the weekday, and let the flow see to it"
    if re.fullmatch(r"[hr]\(.*", item):
        return f"{item.upper()!r} (any value of a range) is not read; write the value that is to be"
    return f"{item!r} is not a value, a range (1-5), a step (*/5, 1-30/5) or '*'"
