"""What one tick did."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from engine.models import answers


@dataclass(slots=True)
class TickReport:
    """Counts of a tick's stages; `errors` holds a sentence for each stage or schedule that failed."""

    fired: int = 0
    missed: int = 0
    skipped: int = 0
    swept: int = 0
    dispatched: int = 0
    woken: int = 0
    pruned: int = 0
    errors: list[str] = field(default_factory=list)
    duration_ms: float = 0.0

    def to_json(self) -> answers.Tick:
        return cast("answers.Tick", asdict(self))
