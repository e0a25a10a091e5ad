"""The steps of one flow: each by itself, their names, and where they lead."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from engine.checking.generators import yields_many
from engine.checking.notes import Mention, Notes
from engine.checking.options import Finding, Place, kind_of, near, step_findings
from engine.checking.patterns import Budget
from engine.checking.remains import is_stand_in, remains_of, without_options
from engine.models.flow import RESERVED_TARGETS, FlowReference, StepReference, StepSpec, TemplateReference
from engine.models.job import Json

RUN_KEYS = frozenset({"__input__", "__job_id__", "__flow_path__", "__timestamp__", "__loop_index__", "__errors__"})
"""What a run itself keeps in `_data`."""

EXPRESSION = re.compile(r"\{\{|\{%")
MAX_NAMES = 500
"""So many names are looked through for one that is close to a wrong one."""


def read_steps(notes: Notes, steps: Json) -> list[StepSpec]:
    """The steps, and what remains of those that have problems, which are noted."""
    if not isinstance(steps, list) or not steps:
        what = "an empty list" if steps == [] else kind_of(steps)
        notes.add("wrong_type", f"steps must be a list of at least one step, not {what}", ("steps",))
        return []
    budget = Budget()
    for number, step in enumerate(steps):
        if notes.is_full:
            break
        if not isinstance(step, dict):
            message = f"step {number + 1} is {kind_of(step)}; a step is an object with name and type"
            notes.add("wrong_type", message, ("steps", number))
        elif not budget.allows(step):
            message = (
                f"{_called(number, step)}: the regular expressions of this flow are too many, or have too wide ranges"
            )
            notes.add("patterns_too_costly", message, ("steps", number), "use fewer, or shorter ones")
            break
        elif (spec := _read_step(notes, number, step)) is not None:
            notes.steps.append((number, spec))
    _check_names(notes, steps)
    given = [step.get("name") for step in steps if isinstance(step, dict)]
    names = {name for name in given if isinstance(name, str)}
    for number, spec in notes.steps:
        _check_targets(notes, number, spec, names)
        _warn(notes, number, spec)
    return [spec for _, spec in notes.steps]


def _read_step(notes: Notes, number: int, step: dict[str, Json]) -> StepSpec | None:
    """The step, or what remains of it when it has problems, which are noted."""
    from pydantic import ValidationError

    from engine.steps import step_reader

    try:
        return step_reader().validate_python(step).spec()
    except (RecursionError, OverflowError) as error:  # re.compile, of a pattern that is too much for it
        notes.add("wrong_value", f"{_called(number, step)}: a pattern in it is too large: {error}", ("steps", number))
    except ValidationError as error:
        for finding in _with_common(step_findings(error, step), step):
            message = f"{_called(number, step)}: {finding.message}"
            notes.add(finding.code, message, ("steps", number, *finding.place), finding.hint)
    return remains_of(number, step)


def _with_common(findings: list[Finding], step: dict[str, Json]) -> list[Finding]:
    """And what is wrong with the common keys, of which nothing is said where the type is wrong."""
    from pydantic import ValidationError

    from engine.steps import step_reader

    if any(finding.place == ("type",) for finding in findings):
        other = without_options(step)
        try:
            step_reader().validate_python(other)
        except ValidationError as error:
            findings += step_findings(error, other)
    return findings


def _called(number: int, step: dict[str, Json]) -> str:
    name = step.get("name")
    return f"step {name!r}" if isinstance(name, str) and name else f"step {number + 1}"


def _check_names(notes: Notes, steps: list[Json]) -> None:
    first: dict[str, int] = {}
    for number, step in enumerate(steps):
        name = step.get("name") if isinstance(step, dict) else None
        if not isinstance(name, str):
            continue
        place: Place = ("steps", number, "name")
        if name in first:
            message = f"step {number + 1} has the name of step {first[name] + 1}, {name!r}; names are unique in a flow"
            notes.add("duplicate_name", message, place)
        if name in RESERVED_TARGETS:
            notes.add("reserved_name", f"step {number + 1}: the name {name!r} is reserved for goto", place)
        key, where = (step["result_key"], "result_key") if step.get("result_key") is not None else (name, "name")
        if isinstance(key, str) and key in RUN_KEYS:
            notes.add(
                "reserved_name", f"step {name!r}: {key!r} in `_data` belongs to the run", ("steps", number, where)
            )
        first.setdefault(name, number)


def _check_targets(notes: Notes, number: int, spec: StepSpec, names: set[str]) -> None:
    if spec.on_error_goto is not None:
        _check_target(notes, number, spec, spec.on_error_goto, names)
    for reference in spec.options.references():
        match reference:
            case StepReference(name):
                _check_target(notes, number, spec, name, names)
            case FlowReference(path) | TemplateReference(path) if not is_stand_in(path):
                notes.mentions.append(Mention(reference, number, spec.name))


def _check_target(notes: Notes, number: int, spec: StepSpec, target: str, names: set[str]) -> None:
    if target in names or target in RESERVED_TARGETS or is_stand_in(target) or notes.is_full:
        return
    hint = "an expression cannot stand here" if EXPRESSION.search(target) else step_hint(target, names)
    message = f"step {spec.name!r} leads to {target!r}, and there is no such step"
    notes.add("unknown_step", message, notes.place_in_step(number, target), hint)


def step_hint(name: str, names: Iterable[str]) -> str:
    """What a name that no step has may be meant for."""
    known = sorted(names)
    return near(name, known[:MAX_NAMES]) or f"steps: {', '.join(known[:20])}{', ...' if known[20:] else ''}"


def _warn(notes: Notes, number: int, spec: StepSpec) -> None:
    options: Any = spec.options
    if spec.type == "jq" and options.output == "auto" and yields_many(options.expression):
        message = f"step {spec.name!r}: the expression yields many values; one alone is not a list, none is null"
        notes.add("many_values", message, ("steps", number, "jq", "expression"), "output: all", "warning")
    if spec.jq_expression is not None and yields_many(spec.jq_expression):
        message = f"step {spec.name!r}: jq_expression yields many values; one alone is not a list, none is null"
        notes.add("many_values", message, ("steps", number, "jq_expression"), "put it in [ ]", "warning")
