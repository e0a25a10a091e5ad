"""Whether this process lives, and whether it can serve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine import __version__
from functions._http import operation

if TYPE_CHECKING:
    from engine.orchestrator import Orchestrator


@operation("GET", "/healthz", role=None)
def healthz() -> dict[str, Any]:
    """The process lives. Asks nothing of anybody, so that a database that is away gets nobody restarted."""
    return {"status": "ok", "version": __version__}


@operation("GET", "/readyz", role=None)
def readyz(engine: Orchestrator) -> dict[str, Any]:
    """The database answers, and jobs can be taken."""
    return engine.readiness()
