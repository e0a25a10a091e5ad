"""The tick: what an external clock calls each minute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.models.access import Role
from functions._http import operation

if TYPE_CHECKING:
    from engine.orchestrator import Orchestrator


@operation("POST", "/api/tick", role=Role.TICK)
def run_tick(engine: Orchestrator) -> dict[str, Any]:
    """Do what is due: lost workers, pending jobs, schedules, sleepers, retention. Any number of clocks may call it."""
    return engine.tick().to_json()
