"""What a monitor asks of a service each few seconds."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from engine import __version__
from engine.models.job import Status
from engine.models.metric import Readings
from engine.orchestrator.clock_health import ClockHealthVerbs
from engine.orchestrator.part import Part

if TYPE_CHECKING:
    from engine.store.gauges import GaugeStore

LATE = timedelta(minutes=1)
"""A clock that ticks once a minute leaves nothing waiting for longer."""


class MetricVerbs(ClockHealthVerbs):
    """Numbers about the database's jobs and schedules, and about this process."""

    def metrics(self) -> Readings:
        """A number for each of METRICS, as they are now; a count of what has not happened yet is 0."""
        now, gauges, executor = self.clock.now(), self._gauges, self._executor
        oldest, last_tick = gauges.oldest_pending(), self.last_tick()
        return {
            "octoflow_info": {__version__: 1},
            "octoflow_jobs": {str(state): count for state, count in gauges.jobs().items()},
            "octoflow_oldest_pending_seconds": {"": max(0.0, (now - oldest).total_seconds()) if oldest else 0.0},
            "octoflow_jobs_ended": {str(status): executor.ended[status] for status in Status},
            "octoflow_jobs_running_here": {"": executor.running},
            "octoflow_workers": {"": self.settings.flow_max_workers},
            "octoflow_schedules_overdue": {"": gauges.overdue(now - LATE)},
            "octoflow_last_tick_timestamp_seconds": {"": last_tick.timestamp() if last_tick else 0.0},
        }

    @Part
    def _gauges(self) -> GaugeStore:
        from engine.store.gauges import GaugeStore

        return GaugeStore(self._database)
