"""Foresees the coming runs of all schedules, and warns of what may surprise: changed clocks, crowds, no run at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from heapq import merge, nsmallest
from itertools import groupby, islice
from zoneinfo import ZoneInfo

from engine.models.forecast import ComingRun, Forecast, ForecastWarning, WarningCode
from engine.models.schedule import Schedule
from engine.scheduler.clock_changes import clock_warnings
from engine.scheduler.due import next_due, upcoming

CROWD = 20
"""Schedules due in one minute; more are worth a warning."""
CROWDS_SHOWN = 10
COUNTED_AT_MOST = 50_000
"""Due times that are looked at for crowds, when fewer runs were asked for."""


@dataclass(frozen=True)
class _Reader:
    """A schedule with the zone that it is read in."""

    schedule: Schedule
    zone: tzinfo

    def runs(self, index: int, after: datetime, until: datetime) -> Iterator[tuple[datetime, int]]:
        """Its due times, each with the number of the schedule: those of many can be put in order."""
        for moment in upcoming(self.schedule.timing, self.zone, after, until):
            yield moment, index

    def run_at(self, moment: datetime) -> ComingRun:
        local_time = moment.astimezone(self.zone)
        return ComingRun(self.schedule.id, self.schedule.path, moment, local_time, str(self.zone))

    def warnings(self, after: datetime, until: datetime) -> Iterator[ForecastWarning]:
        """What is to be said of it by itself; ValueError when its timing cannot be read."""
        timing = self.schedule.timing
        if next_due(timing, self.zone, after) is None:
            yield _warning(self.schedule, WarningCode.NEVER_DUE, f"{timing.cron} is never due")
        for code, message, moment in clock_warnings(timing, self.zone, after, until):
            yield _warning(self.schedule, code, message, moment)


def forecast(
    schedules: Iterable[Schedule], default_zone: tzinfo, after: datetime, until: datetime, limit: int
) -> Forecast:
    """The first `limit` runs after the one moment and up to the other, and warnings; paused schedules are left out.

    A schedule that cannot be read is a warning. Changed clocks are told for the whole of the local days that the time
    touches; crowds for the first due times only when there are very many, and a warning says so.
    """
    readers: list[_Reader] = []
    warnings: list[ForecastWarning] = []
    for schedule in schedules:
        if schedule.is_paused:
            continue
        try:
            name = schedule.timing.timezone
            reader = _Reader(schedule, default_zone if name is None else ZoneInfo(name))
            warnings += reader.warnings(after, until)
            readers.append(reader)
        except (ValueError, KeyError, OSError) as error:  # The last two are what a zone that is not there may raise.
            warnings.append(_warning(schedule, WarningCode.UNREADABLE, f"the schedule cannot be read: {error}"))
    most = max(limit, COUNTED_AT_MOST)
    in_order = merge(*(reader.runs(index, after, until) for index, reader in enumerate(readers)))
    seen = list(islice(in_order, most + 1))
    warnings += _crowds(seen[:most], default_zone)
    if len(seen) > most:
        last = _local_minute(seen[most][0], default_zone)
        message = f"only the first {most} due times, up to {last}, were looked at for crowds"
        warnings.append(ForecastWarning(WarningCode.NOT_ALL_COUNTED, message, time=seen[most][0]))
    return Forecast(
        runs=tuple(readers[index].run_at(moment) for moment, index in seen[:limit]),
        warnings=tuple(sorted(warnings, key=lambda warning: warning.time or after)),
        truncated=len(seen) > limit,
    )


def _crowds(seen: Sequence[tuple[datetime, int]], zone: tzinfo) -> Iterator[ForecastWarning]:
    """A warning for each of the minutes that are fullest, if there are too many schedules in it."""
    minutes = groupby(seen, key=lambda run: run[0].replace(second=0, microsecond=0))
    sizes = ((len({index for _, index in runs}), minute) for minute, runs in minutes)
    crowded = [(size, minute) for size, minute in sizes if size > CROWD]
    for size, minute in nsmallest(CROWDS_SHOWN, crowded, key=lambda crowd: (-crowd[0], crowd[1])):
        message = f"{size} schedules are due at {_local_minute(minute, zone)}"
        yield ForecastWarning(WarningCode.CROWDED, message, time=minute)


def _warning(schedule: Schedule, code: WarningCode, message: str, time: datetime | None = None) -> ForecastWarning:
    return ForecastWarning(code, message, schedule.id, schedule.path, time)


def _local_minute(moment: datetime, zone: tzinfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M} ({zone})"
