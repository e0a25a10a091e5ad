"""The clock inside the service, for where no clock outside calls the tick (TICK_INSIDE, `octoflow serve --tick`)."""

from __future__ import annotations

import logging
from datetime import datetime
from threading import Event
from typing import TYPE_CHECKING

from engine.errors import OctoflowError

if TYPE_CHECKING:
    from engine.orchestrator import Orchestrator

AFTER_MINUTE_SECONDS = 0.05
"""So much later than the full minute: a wall clock that is slowly being set would else show the same one twice."""

log = logging.getLogger(__name__)


def tick_each_minute(engine: Orchestrator, closing: Event) -> None:
    """Call the tick at each full minute, whatever became of the one before; returns when `closing` is set."""
    while not engine.clock.wait(closing, _seconds_to_next_minute(engine.clock.now())):
        try:
            engine.tick()
        except OctoflowError as error:
            log.warning("The tick failed, the next one comes in a minute: %s", error)
        except Exception:
            if not closing.is_set():
                log.exception("The tick failed, the next one comes in a minute")


def _seconds_to_next_minute(now: datetime) -> float:
    return 60.0 - now.second - now.microsecond / 1_000_000 + AFTER_MINUTE_SECONDS
