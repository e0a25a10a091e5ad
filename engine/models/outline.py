"""The outline of a flow: what an editor or a page draws of it, also of one that has problems."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from engine.models.job import Json


@dataclass(frozen=True, slots=True)
class OutlineStep:
    """One step. What cannot be read is null or empty."""

    name: str | None
    type: str | None
    line: int
    when: tuple[str, ...] = ()
    """The conditions as they are written."""
    leads_to: tuple[str, ...] = ()
    """The steps it may go on with, but for the one below it; `__end__` and the like among them."""
    sub_flows: tuple[str, ...] = ()
    """The flows it runs, as their paths are written."""
    templates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outline:
    """What a flow says of itself, cut to what can be shown: long texts end in `...`."""

    name: str | None
    description: str | None
    inputs: tuple[dict[str, Json], ...]
    steps: tuple[OutlineStep, ...]
    finally_step: str | None
    max_concurrent: int | None
    """Null for `unlimited`."""
    is_cut: bool
    """Whether it has more steps than are shown."""

    def mapped(self, change: Callable[[Any], Any]) -> Outline:
        """The outline of what becomes of all its values, as JSON."""
        changed = change(
            {**asdict(self), "inputs": list(self.inputs), "steps": [_lists(asdict(step)) for step in self.steps]}
        )
        steps = tuple(OutlineStep(**_tuples(step)) for step in changed.pop("steps"))
        return Outline(**_tuples(changed), steps=steps)


def _lists(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}


def _tuples(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
