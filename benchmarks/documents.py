"""The figures of documents: the first look at a flow of forty steps, and every further one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import jq
import yaml
from timing import Row, beside, median_cpu_ms

from engine.catalog import Catalog
from engine.checking import Checker
from engine.checking.expressions import Source
from engine.models.problem import Problem
from engine.settings import Settings
from engine.templating import fault_of, warm
from engine.templating.sandbox import Sandbox

STEPS = 10
"""Of each of four kinds."""
CACHED_US = 20


class Compiling:
    """Compiles the expressions of a document as the process does that checks them."""

    def problems(self, sources: list[Source]) -> tuple[dict[str, list[Problem]], str | None]:
        faults = [fault_of(*each.code) for source in sources for each in source.expressions()]
        if any(faults):
            raise RuntimeError(f"the flow has faults: {faults}")
        return {}, None


def figures(folder: Path, quick: bool) -> Iterator[Row]:
    """Loaded, checked and compiled; then kept."""
    rounds = 5 if quick else 15
    data = folder / "documents"
    (data / "flows").mkdir(parents=True)
    catalog = Catalog.from_settings(Settings(data_path=data))
    warm()
    sandbox = Sandbox()
    numbers = count()
    texts = iter([forty_steps(next(numbers)) for _ in range(rounds + 3)])
    floor = median_cpu_ms(lambda: _load(next(texts), sandbox), rounds)
    paths = iter([_written(data, next(numbers)) for _ in range(rounds + 3)])
    ours = median_cpu_ms(lambda: Checker(catalog, verdicts=Compiling()).document(next(paths)), rounds)
    yield beside("a flow of 40 steps, the first time", ours, floor, "<= 2.0")
    path = _written(data, next(numbers))
    checker, file = Checker(catalog, verdicts=Compiling()), data / "flows" / path
    kept = median_cpu_ms(lambda: [checker.document(path) for _ in range(500)], rounds) * 2
    stat = median_cpu_ms(lambda: [os.stat(file) for _ in range(500)], rounds) * 2
    yield f"the same once more (a stat: {stat:.1f} us)", f"{kept:.1f} us", f"{CACHED_US} us", kept / CACHED_US, "<= 1.0"


def forty_steps(number: int) -> str:
    """A flow like those that people write; no expression is in two of them."""
    steps: list[dict[str, Any]] = [{"name": "begin", "type": "debug", "debug": {"message": f"run {number}"}}]
    for n in range(STEPS):
        steps += [
            {"name": f"query {n}", "type": "jq", "jq": {"expression": f".items | map(.id + {number}) | .[{n}]"}},
            {"name": f"fact {n}", "type": "set_fact", "set_fact": {"value": f"{{{{ id + {number} * {n} }}}}"}},
            {
                "name": f"call {n}",
                "type": "rest",
                "when": [f"id != {number} + {n}"],
                "rest": {"uri": f"https://peer.example.com/{number}/{n}/{{{{ id }}}}", "query": {"page": n}},
            },
            {"name": f"page {n}", "type": "jinja", "jinja": {"template": f"{number} {n}: {{{{ text }}}}"}},
        ]
    return yaml.safe_dump({"name": f"forty {number}", "steps": steps[1:]}, sort_keys=False)


def _written(data: Path, number: int) -> str:
    path = f"forty_{number}.yml"
    (data / "flows" / path).write_text(forty_steps(number))
    return path


def _load(text: str, sandbox: Sandbox) -> None:
    """What nobody can do without who tells lines: the C loader with marks, and each expression compiled."""
    loader = yaml.CSafeLoader(text)
    flow = loader.construct_document(loader.get_single_node())
    for step in flow["steps"]:
        match step["type"]:
            case "jq":
                jq.compile(step["jq"]["expression"])
            case "set_fact":
                sandbox.compile_expression(step["set_fact"]["value"][2:-2])
            case "rest":
                sandbox.from_string(step["rest"]["uri"])
                sandbox.compile_expression(step["when"][0])
            case "jinja":
                sandbox.from_string(step["jinja"]["template"])
