"""The tick: what an external clock calls each minute."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import Busy
from engine.models.access import Role
from functions._http import operation

if TYPE_CHECKING:
    from engine.models import answers
    from engine.orchestrator import Orchestrator


@operation("POST", "/api/tick", role=Role.TICK, errors=[Busy])
def run_tick(engine: Orchestrator) -> answers.Tick:
    """Do what is due: lost workers, pending jobs, schedules, sleepers, retention. Any number of clocks may call it."""
    return engine.tick().to_json()
