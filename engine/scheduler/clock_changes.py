"""Says what a change of the clocks does to a cron expression that names times of the day."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta, tzinfo

from engine.models.cron import Cron, read_cron
from engine.models.forecast import WarningCode
from engine.models.schedule import Timing
from engine.scheduler.changes import Change, changes
from engine.scheduler.labels import Labels, count_labels, whole_minute


def clock_warnings(
    timing: Timing, zone: tzinfo, after: datetime, until: datetime
) -> Iterator[tuple[WarningCode, str, datetime]]:
    """A code, a sentence and the moment of the run, for each change in the local days that the time touches.

    An interval, or a cron with no hour restricted, has nothing to be warned of. ValueError for an unreadable cron.
    """
    if timing.cron is None:
        return
    cron = read_cron(timing.cron)
    if cron.every_hour:
        return
    for change in changes(zone, _midnight(after, zone), _midnight(until, zone, days=1)):
        if change.shown < change.resumed:
            yield from _skipped(cron, zone, change)
        else:
            yield from _repeated(cron, zone, change)


def _skipped(cron: Cron, zone: tzinfo, change: Change) -> Iterator[tuple[WarningCode, str, datetime]]:
    labels = count_labels(cron, change.shown, change.resumed)
    if labels.first is None:
        return
    run = whole_minute(change.resumed)
    when = f"{run:%H:%M}" if run.date() == labels.first.date() else f"{run:%H:%M} on {_day(run)}"
    verb, once = ("do", "once ") if labels.count > 1 else ("does", "")
    text = f"{_times(labels)} {verb} not exist on {_day(labels.first)} in {zone}; runs {once}at {when} instead"
    yield WarningCode.SKIPPED_TIME, text, (run - change.after).replace(tzinfo=UTC)


def _repeated(cron: Cron, zone: tzinfo, change: Change) -> Iterator[tuple[WarningCode, str, datetime]]:
    labels = count_labels(cron, change.resumed, change.shown)
    if labels.first is None:
        return
    verb, ending = ("exist", "each runs once") if labels.count > 1 else ("exists", "runs once")
    text = f"{_times(labels)} {verb} twice on {_day(labels.first)} in {zone}; {ending}, the first time"
    yield WarningCode.REPEATED_TIME, text, (labels.first - change.before).replace(tzinfo=UTC)


def _times(labels: Labels) -> str:
    if labels.count == 1:
        return f"{labels.first:%H:%M}"
    return f"{labels.first:%H:%M} to {labels.last:%H:%M} ({labels.count} times)"


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y}"


def _midnight(moment: datetime, zone: tzinfo, days: int = 0) -> datetime:
    """The beginning of the local day, or of one after it, in UTC."""
    day = moment.astimezone(zone).date() + timedelta(days=days)
    return datetime.combine(day, time(), zone).astimezone(UTC)
