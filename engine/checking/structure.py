"""One flow document by itself: its keys, its steps and where they lead. Nothing is compiled, nothing else is read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from engine.checking.generators import yields_many
from engine.checking.options import Place, dotted, kind_of, near, step_findings
from engine.errors import DocumentInvalid
from engine.models.flow import RESERVED_TARGETS, Flow, FlowReference, StepReference, StepSpec, TemplateReference
from engine.models.job import Json
from engine.models.problem import Problem
from engine.reading import Marked, ReadingError, read_document

KEYS = ("name", "description", "inputs", "max_concurrent", "steps", "finally_step", "cron", "every_seconds")
"""`cron` and `every_seconds` belong to the older form: schedules read them, here they are let through."""

INPUT_KEYS = ("name", "description", "type", "default", "required", "enum")
RUN_KEYS = frozenset({"__input__", "__job_id__", "__flow_path__", "__timestamp__", "__loop_index__", "__errors__"})
"""What a run itself keeps in `_data`."""

MAX_PROBLEMS = 100
"""Enough for a reader; a text made of mistakes must not cost more."""

EXPRESSION = re.compile(r"\{\{|\{%")


@dataclass(slots=True)
class Reading:
    """What one document says: its flow unless there are errors, and the other documents it names, with their places."""

    flow: Flow | None = None
    problems: list[Problem] = field(default_factory=list)
    references: list[tuple[FlowReference | TemplateReference, Place, str]] = field(default_factory=list)
    """Reference, place in the document, name of the step."""
    marked: Marked | None = None

    def add(self, code: str, message: str, place: Place = (), hint: str | None = None, severity: str = "error") -> None:
        """Note a problem at a place of the document, unless there are too many already."""
        if self.is_full:
            return
        line, column = self.marked.place(place) if self.marked else (None, None)
        self.problems.append(Problem(code, message, dotted(place), line, column, hint, severity))

    @property
    def is_full(self) -> bool:
        return len(self.problems) >= MAX_PROBLEMS

    @property
    def errors(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.severity == "error"]


def check_flow(path: str, text: str) -> tuple[Flow | None, list[Problem]]:
    """The flow, None when it has errors, and everything that is wrong with it by itself, by line."""
    reading = read_flow(path, text)
    return reading.flow, reading.problems


def parse_flow(path: str, text: str) -> Flow:
    """The flow; DocumentInvalid when it has errors."""
    reading = read_flow(path, text)
    if reading.flow is None:
        raise DocumentInvalid(path, reading.errors)
    return reading.flow


def read_flow(path: str, text: str) -> Reading:
    """As `check_flow`, with the references to other documents."""
    reading = Reading()
    try:
        reading.marked = read_document(text)
    except ReadingError as error:
        reading.problems = error.problems
        return reading
    value = reading.marked.value
    match value:
        case None:
            reading.add("empty", "the document is empty", hint="a flow is an object with `name` and `steps`")
        case dict() if "tasks" in value:
            reading.add(
                "batch_unsupported", "this is a batch (it has `tasks`), and batches are not supported yet", ("tasks",)
            )
        case dict():
            _read_object(reading, path, value)
        case _:
            reading.add("not_a_flow", f"the document is {kind_of(value)}; a flow is an object with `name` and `steps`")
    reading.problems.sort(key=lambda problem: (problem.line or 0, problem.column or 0))
    return reading


def _read_object(reading: Reading, path: str, value: dict[str, Json]) -> None:
    _check_keys(reading, value)
    steps = _read_steps(reading, value["steps"]) if "steps" in value else []
    if "steps" not in value:
        reading.add("missing_key", "steps is missing: a flow has a list of steps", hint=_misspelled("steps", value))
    _check_finally(reading, value.get("finally_step"), steps, value)
    if reading.errors:
        return
    reading.flow = Flow(
        name=value.get("name") or PurePosixPath(path).stem,
        steps=tuple(steps),
        finally_step=value.get("finally_step"),
        max_concurrent=0 if value.get("max_concurrent") == "unlimited" else value.get("max_concurrent", 1),
        description=value.get("description"),
        inputs=tuple(value.get("inputs") or ()),
    )


def _misspelled(key: str, value: dict[str, Json]) -> str | None:
    meant = [given for given in value if given not in KEYS and near(key, [given])]
    return f"{meant[0]!r} may be meant" if meant else None


def _check_keys(reading: Reading, value: dict[str, Json]) -> None:
    for key in value.keys() - set(KEYS):
        hint: str | None = near(key, KEYS) or f"known here: {', '.join(KEYS)}"
        if key == "timeout_seconds":
            hint = "give timeout_seconds with the launch or the schedule"
        reading.add("unknown_key", f"{key} is not a known key of a flow", (key,), hint)
    for key in ("name", "description"):
        given = value.get(key)
        if key in value and not isinstance(given, str) and not (key == "description" and given is None):
            hint = "put it in quotes" if isinstance(given, int | float) else None
            reading.add("wrong_type", f"{key} must be text, not {kind_of(given)}", (key,), hint)
    if value.get("name") == "":
        reading.add("empty", "name must not be empty", ("name",))
    limit = value.get("max_concurrent", 1)
    if limit != "unlimited" and (type(limit) is not int or not 1 <= limit <= 1000):
        reading.add(
            "wrong_value", "max_concurrent must be a whole number from 1 to 1000, or unlimited", ("max_concurrent",)
        )
    _check_inputs(reading, value.get("inputs"))


def _check_inputs(reading: Reading, inputs: Json) -> None:
    if inputs is not None and not isinstance(inputs, list):
        reading.add("wrong_type", f"inputs must be a list of objects, not {kind_of(inputs)}", ("inputs",))
        return
    for number, given in enumerate(inputs or ()):
        place: Place = ("inputs", number)
        if not isinstance(given, dict) or not isinstance(given.get("name"), str):
            reading.add("wrong_type", f"{dotted(place)} must be an object with a name", place)
            continue
        for key in given.keys() - set(INPUT_KEYS):
            reading.add(
                "unknown_key", f"{dotted(place)}.{key} is not a known key", (*place, key), near(key, INPUT_KEYS)
            )


def _read_steps(reading: Reading, steps: Json) -> list[StepSpec]:
    if not isinstance(steps, list) or not steps:
        what = "an empty list" if steps == [] else kind_of(steps)
        reading.add("wrong_type", f"steps must be a list of at least one step, not {what}", ("steps",))
        return []
    specs: list[tuple[int, StepSpec]] = []
    for number, step in enumerate(steps):
        if reading.is_full:
            break
        if not isinstance(step, dict):
            message = f"step {number + 1} is {kind_of(step)}; a step is an object with name and type"
            reading.add("wrong_type", message, ("steps", number))
        elif (spec := _read_step(reading, number, step)) is not None:
            specs.append((number, spec))
    _check_names(reading, steps)
    given = [step.get("name") for step in steps if isinstance(step, dict)]
    names = {name for name in given if isinstance(name, str)}
    for number, spec in specs:
        _check_targets(reading, number, spec, steps[number], names)
        _warn(reading, number, spec)
    return [spec for _, spec in specs]


def _read_step(reading: Reading, number: int, step: dict[str, Json]) -> StepSpec | None:
    from pydantic import ValidationError

    from engine.steps import step_reader

    try:
        return step_reader().validate_python(step).spec()
    except ValidationError as error:
        for finding in step_findings(error, step):
            message = f"{_called(number, step)}: {finding.message}"
            reading.add(finding.code, message, ("steps", number, *finding.place), finding.hint)
        return None


def _called(number: int, step: dict[str, Json]) -> str:
    name = step.get("name")
    return f"step {name!r}" if isinstance(name, str) and name else f"step {number + 1}"


def _check_names(reading: Reading, steps: list[Json]) -> None:
    first: dict[str, int] = {}
    for number, step in enumerate(steps):
        name = step.get("name") if isinstance(step, dict) else None
        if not isinstance(name, str):
            continue
        place: Place = ("steps", number, "name")
        if name in first:
            message = f"step {number + 1} has the name of step {first[name] + 1}, {name!r}; names are unique in a flow"
            reading.add("duplicate_name", message, place)
        if name in RESERVED_TARGETS:
            reading.add("reserved_name", f"step {number + 1}: the name {name!r} is reserved for goto", place)
        key, where = (step["result_key"], "result_key") if step.get("result_key") is not None else (name, "name")
        if isinstance(key, str) and key in RUN_KEYS:
            reading.add(
                "reserved_name", f"step {name!r}: {key!r} in `_data` belongs to the run", ("steps", number, where)
            )
        first.setdefault(name, number)


def _check_targets(reading: Reading, number: int, spec: StepSpec, step: Json, names: set[str]) -> None:
    if spec.on_error_goto is not None:
        _check_target(reading, spec, spec.on_error_goto, ("steps", number, "on_error_goto"), names)
    for reference in spec.options.references():
        match reference:
            case StepReference(name):
                _check_target(reading, spec, name, _place_of(name, step, ("steps", number)), names)
            case FlowReference(path) | TemplateReference(path):
                reading.references.append((reference, _place_of(path, step, ("steps", number)), spec.name))


def _check_target(reading: Reading, spec: StepSpec, target: str, place: Place, names: set[str]) -> None:
    if target in names or target in RESERVED_TARGETS:
        return
    hint = near(target, names) or f"steps: {', '.join(sorted(names))}"
    if EXPRESSION.search(target):
        hint = "an expression cannot stand here"
    reading.add("unknown_step", f"step {spec.name!r} leads to {target!r}, and there is no such step", place, hint)


def _place_of(text: str, value: Json, place: Place) -> Place:
    """Where the options say this text: where their step is, if that cannot be told."""
    return next(_places_of(text, value, place), place)


def _places_of(text: str, value: Json, place: Place) -> Iterator[Place]:
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        if item == text and key not in ("name", "type", "description", "result_key"):
            yield (*place, key)
        yield from _places_of(text, item, (*place, key))


def _check_finally(reading: Reading, name: Json, steps: list[StepSpec], value: dict[str, Json]) -> None:
    if name is None:
        return
    if not isinstance(name, str):
        reading.add("wrong_type", f"finally_step must be the name of a step, not {kind_of(name)}", ("finally_step",))
        return
    given = value.get("steps")
    names = [step.get("name") for step in given if isinstance(step, dict)] if isinstance(given, list) else []
    if name not in names:
        known = [other for other in names if isinstance(other, str)]
        hint = near(name, known) or f"steps: {', '.join(sorted(known))}"
        reading.add("unknown_step", f"finally_step names {name!r}, and there is no such step", ("finally_step",), hint)


def _warn(reading: Reading, number: int, spec: StepSpec) -> None:
    options: Any = spec.options
    if spec.type == "jq" and options.output == "auto" and yields_many(options.expression):
        message = f"step {spec.name!r}: the expression yields many values; one alone is not a list, none is null"
        reading.add("many_values", message, ("steps", number, "jq", "expression"), "output: all", "warning")
    if spec.jq_expression is not None and yields_many(spec.jq_expression):
        message = f"step {spec.name!r}: jq_expression yields many values; one alone is not a list, none is null"
        reading.add("many_values", message, ("steps", number, "jq_expression"), "put it in [ ]", "warning")
