"""The minutes on a wall clock that a cron expression names, on a clock that is never changed.

A label is a naive datetime in whole minutes. Intervals hold their start and not their end.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from engine.models.cron import Cron

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Labels:
    """How many there are, the first and the last of them."""

    count: int = 0
    first: datetime | None = None
    last: datetime | None = None


def count_labels(cron: Cron, start: datetime, end: datetime) -> Labels:
    """The labels of an interval, counted day by day, whatever their number."""
    count = 0
    first: datetime | None = None
    last: datetime | None = None
    for day, low, high in _days(cron, start, end):
        count += high - low
        if first is None:
            first = datetime.combine(day, cron.times[low])
        last = datetime.combine(day, cron.times[high - 1])
    return Labels(count, first, last)


def each_label(cron: Cron, start: datetime, end: datetime) -> Iterator[datetime]:
    """The labels of an interval, in order."""
    for day, low, high in _days(cron, start, end):
        for index in range(low, high):
            yield datetime.combine(day, cron.times[index])


def first_label(cron: Cron, start: datetime, end: datetime) -> datetime | None:
    """The first label of an interval, if there is one."""
    return next(each_label(cron, start, end), None)


def whole_minute(time: datetime) -> datetime:
    """The first whole minute that is not before that time."""
    floor = time.replace(second=0, microsecond=0)
    return floor if floor == time else floor + MINUTE


def _days(cron: Cron, start: datetime, end: datetime) -> Iterator[tuple[date, int, int]]:
    """Each day that has labels, and which of `cron.times` they are: from an index up to another."""
    start, end = whole_minute(start), whole_minute(end)
    day, last_day = start.date(), end.date()
    while day <= last_day:
        if day.month not in cron.months:
            day = _next_month(day)
            continue
        if cron.runs_on(day):
            low = bisect_left(cron.times, start.time()) if day == start.date() else 0
            high = bisect_left(cron.times, end.time()) if day == last_day else len(cron.times)
            if low < high:
                yield day, low, high
        day += DAY


def _next_month(day: date) -> date:
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)
