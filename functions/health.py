"""Whether this process lives, whether it can serve, and whether its clock does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine import __version__
from engine.errors import ClockSilent
from engine.models.times import format_time
from functions._http import operation

if TYPE_CHECKING:
    from engine.models import answers
    from engine.orchestrator import Orchestrator


@operation("GET", "/healthz", role=None)
def healthz() -> answers.Health:
    """The process lives. Asks nothing of anybody, so that a database that is away gets nobody restarted."""
    return {"status": "ok", "version": __version__}


@operation("GET", "/readyz", role=None)
def readyz(engine: Orchestrator) -> answers.Readiness:
    """The database answers, and jobs can be taken. `last_tick` is the time of the last good tick."""
    return {**engine.readiness(), "last_tick": format_time(engine.last_tick(), engine.settings.timezone)}


@operation("GET", "/healthz/tick", role=None, errors=[ClockSilent])
def healthz_tick(engine: Orchestrator) -> answers.ClockHealth:
    """The clock calls the tick, or nothing is scheduled that would need it."""
    return {"status": "ok", "last_tick": format_time(engine.clock_health(), engine.settings.timezone)}
