"""What the clock does when it is treated badly, where no other file has it."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from services import until

from engine.clock import Clock
from engine.orchestrator import Orchestrator
from engine.settings import Settings

FREE = "name: f\nmax_concurrent: unlimited\nsteps:\n  - {name: s, type: set_fact, set_fact: {value: 1}}\n"


def due_times(engine: Orchestrator, id: str) -> list[datetime]:
    return [slot.due_time for slot in engine.slots(id, 500)]


def test_an_engine_that_leaves_fires_nothing_that_falls_due_after_that(data: Path) -> None:
    """Nobody here would run it, and the service that does so one day would find it overdue."""
    (data / "flows" / "free.yml").write_text(FREE)
    engine = Orchestrator(Settings(data_path=data, flow_max_workers=0))
    try:
        engine.start()
        id = engine.create_schedule("free.yml", every_seconds=1).id
        engine.tick()
        until(lambda: len(due_times(engine, id)) > 1)

        engine.drain()
        left = Clock().now()
        until(lambda: Clock().now() > left + timedelta(seconds=2.2))

        assert max(due_times(engine, id)) <= left
    finally:
        engine.close()
