"""What a service tells a monitor: the name, kind and meaning of each number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Metric:
    """A number, or one for each value of its label."""

    name: str
    """As Prometheus wants it: units are seconds, the name of a counter gets `_total` where it is shown."""
    kind: Literal["gauge", "counter"]
    about: str
    label: str | None = None

    @property
    def shown(self) -> str:
        """Its name in what is scraped."""
        return f"{self.name}_total" if self.kind == "counter" else self.name


Readings = Mapping[str, Mapping[str, float]]
"""Numbers by the name of their metric and the value of its label, empty where it has none."""

METRICS = (
    Metric("octoflow_info", "gauge", "Always 1; the label tells what runs here.", "version"),
    Metric("octoflow_jobs", "gauge", "Jobs in the database that have not ended.", "state"),
    Metric(
        "octoflow_oldest_pending_seconds",
        "gauge",
        "Seconds since the oldest job that waits for a worker was launched; 0 when none waits.",
    ),
    Metric("octoflow_jobs_ended", "counter", "Jobs that this process has seen to their end since it began.", "status"),
    Metric("octoflow_jobs_running_here", "gauge", "Jobs that this process runs."),
    Metric("octoflow_workers", "gauge", "How many jobs this process runs at most at a time (FLOW_MAX_WORKERS)."),
    Metric("octoflow_schedules_overdue", "gauge", "Schedules whose due time passed over a minute ago without a tick."),
    Metric("octoflow_last_tick_timestamp_seconds", "gauge", "When the last good tick was; 0 when there was none."),
)
