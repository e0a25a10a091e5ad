"""The figures of steps: what one costs by itself, beside the library that does its work."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jq
import quiet_host
from timing import Row, beside, median_cpu_ms

from engine.models.limits import RunLimits
from engine.runner.flow import FlowRun
from engine.runner.job import JobRun
from engine.templating.sandbox import Sandbox

INPUT = {"id": 7, "text": "The printer burns"}
PROGRAM = ".id + 1"
TEMPLATE = "Ticket {{ id }}: {{ text }}"
VALUE = "{{ id + 1 }}"
STEPS: list[dict[str, Any]] = [
    {"name": "query", "type": "jq", "jq": {"expression": PROGRAM, "data_key": "__input__"}},
    {"name": "page", "type": "jinja", "jinja": {"template": TEMPLATE}},
    {"name": "fact", "type": "set_fact", "set_fact": {"value": VALUE}},
]
CALLS = 2000


def figures(folder: Path, quick: bool) -> Iterator[Row]:
    """A step of each kind."""
    data = folder / "steps"
    message = quiet_host.prepared(data, {"main.yml": json.dumps({"name": "main", "steps": STEPS})})
    job = JobRun(quiet_host.QuietHost(), RunLimits(data_path=str(data)), message)
    flow = FlowRun(job, job.path, job.revision, INPUT)
    rounds = 7 if quick else 21
    for step, library in zip(flow.flow.steps, _libraries(), strict=True):
        ours = median_cpu_ms(_often(lambda step=step: step.options.run(flow)), rounds) * 1000 / CALLS
        floor = median_cpu_ms(_often(library), rounds) * 1000 / CALLS
        yield beside(f"a step's own cost, {step.type}", ours, floor, "<= 3.0", "us")


def _libraries() -> list[Callable[[], object]]:
    """The same small work by each step's library, compiled before: the smaller it is, the more our share shows."""
    program = jq.compile(PROGRAM)
    page, fact = Sandbox().from_string(TEMPLATE), Sandbox().compile_expression("id + 1")
    return [lambda: program.input_value(INPUT).all(), lambda: page.render(INPUT), lambda: fact(INPUT)]


def _often(call: Callable[[], object]) -> Callable[[], None]:
    def calls() -> None:
        for _ in range(CALLS):
            call()

    return calls
