"""Flows that tests run: one that ends at once, one that does not, one that tidies up; and steps to make others of."""

from __future__ import annotations

from typing import Any

QUICK = "name: quick\nsteps:\n  - {name: v, type: set_fact, set_fact: {value: 1}}\n"
SLOW = "name: slow\nsteps:\n  - {name: wait, type: sleep, sleep: {seconds: 60}}\n"
TIDY = (
    "name: tidy\nfinally_step: tidy\nsteps:\n"
    "  - {name: wait, type: sleep, sleep: {seconds: 60}}\n"
    "  - {name: tidy, type: file, file: {path: tidied.txt, mode: append, type: text, data_key: __flow_path__}}\n"
)


def step(kind: str, name: str = "it", **options: Any) -> dict[str, Any]:
    """A step of that type as a document has it, its common keys beside its options."""
    common = {key: options.pop(key) for key in ("ignore_errors", "when", "on_error_goto") if key in options}
    return {"name": name, "type": kind, kind: options, **common}


def fact(name: str, value: Any) -> dict[str, Any]:
    """A step that gives this value."""
    return step("set_fact", name, value=value)
