"""Whether this process lives, whether it can serve, and whether its clock does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine import __version__
from engine.models.times import format_time
from functions._http import operation

if TYPE_CHECKING:
    from engine.orchestrator import Orchestrator


@operation("GET", "/healthz", role=None)
def healthz() -> dict[str, Any]:
    """The process lives. Asks nothing of anybody, so that a database that is away gets nobody restarted."""
    return {"status": "ok", "version": __version__}


@operation("GET", "/readyz", role=None)
def readyz(engine: Orchestrator) -> dict[str, Any]:
    """The database answers, and jobs can be taken; `last_tick` is the time of the last good tick."""
    return engine.readiness() | {"last_tick": format_time(engine.last_tick(), engine.settings.timezone)}


@operation("GET", "/healthz/tick", role=None)
def healthz_tick(engine: Orchestrator) -> dict[str, Any]:
    """The clock calls the tick, or nothing is scheduled that would need it."""
    return {"status": "ok", "last_tick": format_time(engine.clock_health(), engine.settings.timezone)}
