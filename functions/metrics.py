"""Numbers for a monitor, in the text format of Prometheus."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from engine.models.access import Role
from engine.models.metric import METRICS
from functions._answers import Page
from functions._http import operation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.models.metric import Readings
    from engine.orchestrator import Orchestrator

MEDIA = "text/plain"


@operation("GET", "/metrics", role=Role.VIEWER, media=[MEDIA])
def metrics(engine: Orchestrator) -> Page:
    """What a monitor reads each few seconds, as Prometheus has it: docs/reference/metrics.md tells of each number."""
    from prometheus_client import generate_latest

    return Page(generate_latest(_Registry(engine.metrics())), f"{MEDIA}; version=0.0.4; charset=utf-8")


class _Registry:
    """Numbers of one moment, in the shape that `generate_latest` asks for: ours, then those of the process."""

    def __init__(self, readings: Readings) -> None:
        self._readings = readings

    def collect(self) -> Iterator[Any]:
        """Each metric with its numbers."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        for metric in METRICS:
            family = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
            made = family(metric.name, metric.about, labels=[metric.label] if metric.label else [])
            for value, number in self._readings[metric.name].items():
                made.add_metric([value] if metric.label else [], number)
            yield made
        yield from _process().collect()


@cache
def _process() -> Any:
    """Memory, processor time, start and open files of this process, by the names that all Prometheus clients use."""
    from prometheus_client import ProcessCollector

    return ProcessCollector(registry=None)
