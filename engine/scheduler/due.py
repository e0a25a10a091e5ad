"""When something is due, from its timing alone: nothing here reads a clock. docs/adr/0012 has the rules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from engine.models.cron import Cron, read_cron
from engine.models.schedule import Timing
from engine.scheduler.changes import local, stretches
from engine.scheduler.labels import count_labels, each_label, first_label, whole_minute

HORIZON = timedelta(days=9 * 366)
"""How far the next due time is looked for. 29 February is the rarest day, and eight years apart around 2100."""
WIDEST = timedelta(days=2)
"""A label, or the first one after those that a change left out, is nearer to UTC than that."""
TICK = timedelta.resolution


@dataclass(frozen=True, slots=True)
class Due:
    """How many due times an interval has, the first and the last of them."""

    count: int = 0
    oldest: datetime | None = None
    newest: datetime | None = None


def due(timing: Timing, zone: tzinfo, after: datetime, until: datetime) -> Due:
    """The due times after the one moment, up to and including the other; ValueError for a cron that cannot be read."""
    if timing.cron is None:
        return _due_of_interval(timing, after, until)
    count, oldest, newest = 0, None, None
    cron = read_cron(timing.cron)
    for span in _spans(cron, zone, _utc(after), _utc(until)):
        labels = count_labels(cron, span.start, span.end)
        first, last = (span.start, labels.last or span.start) if span.catches_up else (labels.first, labels.last)
        if first is not None and last is not None:
            count += labels.count + span.catches_up
            oldest = oldest or span.moment(first)
            newest = span.moment(last)
    return Due(count, oldest, newest)


def next_due(timing: Timing, zone: tzinfo, after: datetime) -> datetime | None:
    """The first due time after that moment, None when there is none for nine years; ValueError as `due`."""
    after = _utc(after)
    if timing.cron is None:
        return next(_upcoming_of_interval(timing, after, datetime.max.replace(tzinfo=UTC)))
    cron = read_cron(timing.cron)
    # A cron that is seldom due: start where its next label is, not at the changes of all the years before.
    label = first_label(cron, local(after, -WIDEST), local(after, HORIZON))
    if label is None:
        return None
    start = max(after, label.replace(tzinfo=UTC) - WIDEST)
    return next(_upcoming(cron, zone, start, after + HORIZON), None)


def upcoming(timing: Timing, zone: tzinfo, after: datetime, until: datetime) -> Iterator[datetime]:
    """The due times that `due` counts, in order, each found when it is asked for; ValueError as there."""
    if timing.cron is None:
        return _upcoming_of_interval(timing, _utc(after), _utc(until))
    return _upcoming(read_cron(timing.cron), zone, _utc(after), _utc(until))


def _utc(moment: datetime) -> datetime:
    """In a zone with changes, adding to a time moves a wall clock's hands."""
    return moment.astimezone(UTC)


# Intervals: anchor + k * every, k from 1 on


def _due_of_interval(timing: Timing, after: datetime, until: datetime) -> Due:
    anchor, every = _interval(timing)
    first = max((_utc(after) - anchor) // every, 0) + 1
    last = (_utc(until) - anchor) // every
    return Due(last - first + 1, anchor + first * every, anchor + last * every) if first <= last else Due()


def _upcoming_of_interval(timing: Timing, after: datetime, until: datetime) -> Iterator[datetime]:
    anchor, every = _interval(timing)
    moment = anchor + (max((after - anchor) // every, 0) + 1) * every
    while moment <= until:
        yield moment
        moment += every


def _interval(timing: Timing) -> tuple[datetime, timedelta]:
    if timing.every_seconds is None or timing.every_seconds < 1:
        raise ValueError(f"every_seconds is {timing.every_seconds}, and there is no cron: neither says when it is due")
    return _utc(timing.anchor), timedelta(seconds=timing.every_seconds)


# Cron: labels of a wall clock, from one change of the clocks to the next


@dataclass(frozen=True, slots=True)
class _Span:
    """Local time from `start` on and before `end`, in which each label is due once, when the clocks show it.

    `catches_up`: so is `start`, which no label names, in place of labels that a change left out.
    """

    start: datetime
    end: datetime
    offset: timedelta
    catches_up: bool

    def moment(self, label: datetime) -> datetime:
        return (label - self.offset).replace(tzinfo=UTC)


def _upcoming(cron: Cron, zone: tzinfo, after: datetime, until: datetime) -> Iterator[datetime]:
    for span in _spans(cron, zone, after, until):
        if span.catches_up:
            yield span.moment(span.start)
        for label in each_label(cron, span.start, span.end):
            yield span.moment(label)


def _spans(cron: Cron, zone: tzinfo, after: datetime, until: datetime) -> Iterator[_Span]:
    """The local time after the one moment, up to the other, without what the clocks show for a second time.

    With no hour restricted, all of it, and nothing is caught up: each minute is one of real time.
    """
    begin, end = after + TICK, until + TICK
    if end <= begin:
        return
    reached: datetime | None = None
    for stretch in stretches(zone, begin - WIDEST, end):
        start, stop = local(stretch.start, stretch.offset), local(stretch.end, stretch.offset)
        clipped = local(begin, stretch.offset)
        catches_up = False
        if reached is not None and not cron.every_hour:
            if reached < start and first_label(cron, reached, start) is not None:
                start = whole_minute(start)
                catches_up = clipped <= start and first_label(cron, start, start + TICK) is None
            start = max(start, reached)
        start, reached = max(start, clipped), max(reached or stop, stop)
        if start < stop:
            yield _Span(start, stop, stretch.offset, catches_up)
