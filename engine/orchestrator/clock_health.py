"""Whether the clock that is to call the tick does so."""

from __future__ import annotations

from datetime import datetime, timedelta

from engine.errors import ClockSilent
from engine.models.times import format_time
from engine.orchestrator.schedules import ScheduleVerbs

LAST_TICK = "tick"
"""The mark that every tick renews that came through to its end."""
SILENCE = timedelta(minutes=3)
"""So long a clock that ticks once a minute may be unheard."""
KNOWN_SECONDS = 1.0
"""Anybody may ask for the last tick, so it is not looked up for each."""


class ClockHealthVerbs(ScheduleVerbs):
    """The last tick, and whether it is too long ago."""

    _last_tick: datetime | None = None
    _known_until = 0.0

    def last_tick(self) -> datetime | None:
        """When the last good tick was, as it was known within the last second; None when there never was one."""
        if self._known_until <= self.clock.monotonic():
            self._last_tick = self._marks.marked(LAST_TICK)
            self._known_until = self.clock.monotonic() + KNOWN_SECONDS
        return self._last_tick

    def clock_health(self) -> datetime | None:
        """The last tick; ClockSilent when none has come for three minutes although schedules have waited so long."""
        last = self.last_tick()
        latest_start = self.clock.now() - SILENCE
        if last is None or last < latest_start:
            waiting_since = self._waiting_since()
            if waiting_since is not None and waiting_since < latest_start:
                since = f"since {format_time(last, self.settings.timezone)}" if last else "yet"
                way_out = "let a clock call POST /api/tick each minute"
                raise ClockSilent(f"No tick has come {since}, and schedules wait for one: {way_out}.")
        return last
