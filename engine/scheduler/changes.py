"""When the clocks of a time zone are changed: a tzinfo knows the offset of a moment, and not when it ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache

PROBE = timedelta(days=1)
"""No zone has changed its clocks twice within four days, and none within a week since 1970."""
SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Change:
    """From `moment` (UTC) on the clocks show another offset."""

    moment: datetime
    before: timedelta
    after: timedelta

    @property
    def shown(self) -> datetime:
        """What a clock that was not changed shows at the moment, and one that was, `resumed`."""
        return local(self.moment, self.before)

    @property
    def resumed(self) -> datetime:
        """The local time that the clocks go on with."""
        return local(self.moment, self.after)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time with one offset from UTC: from `start` on, and before `end`."""

    start: datetime
    end: datetime
    offset: timedelta


def local(moment: datetime, offset: timedelta) -> datetime:
    """A moment in UTC as clocks with that offset show it."""
    return (moment + offset).replace(tzinfo=None)


def changes(zone: tzinfo, start: datetime, end: datetime) -> Iterator[Change]:
    """The changes of an interval, in order, looked for as they are asked for."""
    for year in range(start.year, end.year + 1):
        for change in _of_year(zone, year):
            if start <= change.moment < end:
                yield change


def stretches(zone: tzinfo, start: datetime, end: datetime) -> Iterator[Stretch]:
    """An interval of UTC, cut where the offset changes, and at each new year: the next one is not looked at before."""
    offset = _offset(zone, start)
    for year in range(start.year, end.year + 1):
        for change in _of_year(zone, year):
            if start < change.moment < end:
                yield Stretch(start, change.moment, offset)
                start, offset = change.moment, change.after
        new_year = min(end, datetime(year + 1, 1, 1, tzinfo=UTC))
        if start < new_year:
            yield Stretch(start, new_year, offset)
            start = new_year


@lru_cache(maxsize=2048)
def _of_year(zone: tzinfo, year: int) -> tuple[Change, ...]:
    """The changes after the beginning of that year of UTC, up to the beginning of the next."""
    found: list[Change] = []
    at, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    offset = _offset(zone, at)
    while at < end:
        later = min(at + PROBE, end)
        if _offset(zone, later) != offset:
            later = _moment_of_change(zone, at, later)
            found.append(Change(later, offset, _offset(zone, later)))
            offset = found[-1].after
        at = later
    return tuple(found)


def _moment_of_change(zone: tzinfo, old: datetime, new: datetime) -> datetime:
    """The first whole second with the offset that `new` has, and `old` has not."""
    offset = _offset(zone, old)
    while new - old > SECOND:
        middle = old + (new - old) // 2
        middle = middle.replace(microsecond=0)
        if _offset(zone, middle) == offset:
            old = middle
        else:
            new = middle
    return new


def _offset(zone: tzinfo, moment: datetime) -> timedelta:
    offset = moment.astimezone(zone).utcoffset()
    assert offset is not None, "a zone has an offset at each moment"
    return offset
