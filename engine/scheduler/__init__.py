"""The tick: everything that happens because time has passed, in stages that fail apart."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from engine.clock import Clock
from engine.errors import DatabaseDown
from engine.models.tick import TickReport

log = logging.getLogger("octoflow.tick")

Stage = Callable[[TickReport], None]


def tick(stages: Mapping[str, Stage], clock: Clock) -> TickReport:
    """Run the stages in their order. One that fails is in `errors` and stops no other; DatabaseDown ends the tick."""
    report = TickReport()
    start = clock.monotonic()
    for name, stage in stages.items():
        try:
            stage(report)
        except DatabaseDown:
            raise
        except Exception as error:
            log.exception("tick: stage %s failed", name)
            report.errors.append(f"{name}: {error}")
    report.duration_ms = round((clock.monotonic() - start) * 1000, 3)
    return report
