"""From a document that could be read to its outline. An alias repeats a text for nothing, so every text is cut."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from engine.checking.notes import Notes
from engine.models.flow import FlowReference, StepReference, StepSpec, TemplateReference
from engine.models.job import Json
from engine.models.outline import Outline, OutlineStep

MAX_STEPS = 1_000
MAX_OF_A_STEP = 50
MAX_INPUTS = 50
LONGEST_NAME = 255
LONGEST_TEXT = 1_000
LARGEST_VALUE = 2_000
"""Characters and parts of a default or an enum; a larger one is left out."""


def outline_of(path: str, notes: Notes) -> Outline | None:
    """The outline; None when the text is no object with a list of steps."""
    value = notes.marked.value if notes.marked else None
    if notes.marked is None or not isinstance(value, dict) or not isinstance(value.get("steps"), list):
        return None
    steps = value["steps"]
    lines = notes.marked.lines_of_items("steps")
    specs = dict(notes.steps)
    limit = value.get("max_concurrent", 1)
    return Outline(
        name=cut(value.get("name") or None, LONGEST_NAME) or PurePosixPath(path).stem or None,
        description=cut(value.get("description"), LONGEST_TEXT),
        inputs=_inputs(value.get("inputs")),
        steps=tuple(
            _step(step, line, specs.get(number))
            for number, (step, line) in enumerate(zip(steps[:MAX_STEPS], lines, strict=False))
        ),
        finally_step=cut(value.get("finally_step"), LONGEST_NAME),
        max_concurrent=limit if type(limit) is int and 1 <= limit <= 1000 else None,
        is_cut=len(steps) > MAX_STEPS,
    )


def _step(step: Json, line: int, spec: StepSpec | None) -> OutlineStep:
    given: dict[str, Any] = step if isinstance(step, dict) else {}
    name, kind = cut(given.get("name"), LONGEST_NAME), cut(given.get("type"), LONGEST_NAME)
    if spec is None:
        return OutlineStep(name, kind, line)
    named: dict[type, list[str]] = {StepReference: [], FlowReference: [], TemplateReference: []}
    for reference in spec.options.references():
        match reference:
            case StepReference(target):
                named[StepReference].append(target)
            case FlowReference(path) | TemplateReference(path):
                named[type(reference)].append(path)
    if spec.on_error_goto is not None:
        named[StepReference].append(spec.on_error_goto)
    when = [each if isinstance(each, str) else str(each).lower() for each in spec.when]
    return OutlineStep(
        name, kind, line, _few(when, LONGEST_TEXT), *(_few(each, LONGEST_NAME) for each in named.values())
    )


def _inputs(given: Json) -> tuple[dict[str, Json], ...]:
    declared = given[:MAX_INPUTS] if isinstance(given, list) else []
    return tuple(
        {key: value for key, value in each.items() if _fits(key, value)} for each in declared if isinstance(each, dict)
    )


def _fits(key: str, value: Json) -> bool:
    """Whether this is small enough to be shown."""
    left = LARGEST_VALUE - len(key)
    parts = [value]
    while parts and left > 0:
        part = parts.pop()
        left -= len(part) if isinstance(part, str) else 1
        if isinstance(part, dict):
            left -= sum(map(len, part))
            parts += part.values()
        elif isinstance(part, list):
            parts += part
    return left > 0


def _few(texts: list[str], longest: int) -> tuple[str, ...]:
    """Each text once."""
    return tuple(text for each in list(dict.fromkeys(texts))[:MAX_OF_A_STEP] if (text := cut(each, longest)))


def cut(text: Json, longest: int) -> str | None:
    """The text, ending in `...` where it is longer; None when it is no text."""
    if not isinstance(text, str):
        return None
    return text if len(text) <= longest else f"{text[:longest]}..."
