"""One flow document by itself: its keys, its steps and where they lead. Nothing is compiled, nothing else is read."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import PurePosixPath

from engine.checking.inputs import declared_inputs
from engine.checking.notes import MAX_PROBLEMS, Notes
from engine.checking.options import kind_of, near
from engine.checking.steps import read_steps, step_hint
from engine.errors import DocumentInvalid
from engine.models.flow import Flow
from engine.models.job import Json
from engine.models.problem import Problem
from engine.reading import ReadingError, read_document

KEYS = ("name", "description", "inputs", "max_concurrent", "steps", "finally_step", "cron", "every_seconds")
"""`cron` and `every_seconds` belong to the older form: schedules read them, and `check_times` says what is wrong."""


def check_flow(path: str, text: str) -> tuple[Flow | None, list[Problem]]:
    """The flow, None when it has errors, and everything that is wrong with it by itself, by line."""
    notes = read_flow(path, text)
    return notes.flow, notes.problems


def parse_flow(path: str, text: str) -> Flow:
    """The flow; DocumentInvalid when it has errors."""
    notes = read_flow(path, text)
    if notes.flow is None:
        raise DocumentInvalid(path, notes.errors)
    return notes.flow


def read_flow(path: str, text: str) -> Notes:
    """As `check_flow`, with the references to other documents."""
    notes = Notes()
    try:
        notes.marked = read_document(text)
    except ReadingError as error:
        notes.problems, notes.has_errors = error.problems, True
        return notes
    value = notes.marked.value
    match value:
        case None:
            notes.add("empty", "the document is empty", hint="a flow is an object with `name` and `steps`")
        case dict() if "tasks" in value:
            notes.add(
                "batch_unsupported", "this is a batch (it has `tasks`), and batches are not supported yet", ("tasks",)
            )
        case dict():
            _read_object(notes, path, value)
        case _:
            notes.add("not_a_flow", f"the document is {kind_of(value)}; a flow is an object with `name` and `steps`")
    notes.problems.sort(key=lambda problem: (problem.line or 0, problem.column or 0))
    return notes


def _read_object(notes: Notes, path: str, value: dict[str, Json]) -> None:
    _check_keys(notes, value)
    steps = read_steps(notes, value["steps"]) if "steps" in value else []
    if "steps" not in value:
        notes.add("missing_key", "steps is missing: a flow has a list of steps", hint=_misspelled("steps", value))
    _check_finally(notes, value)
    inputs = declared_inputs(notes, value.get("inputs"))
    if notes.has_errors:
        return
    notes.flow = Flow(
        name=value.get("name") or PurePosixPath(path).stem,
        steps=tuple(steps),
        finally_step=value.get("finally_step"),
        max_concurrent=0 if value.get("max_concurrent") == "unlimited" else value.get("max_concurrent", 1),
        description=value.get("description"),
        inputs=inputs,
    )


def _misspelled(key: str, value: dict[str, Json]) -> str | None:
    unknown = [given for given in value if given not in KEYS]
    meant = get_close_matches(key, unknown[:MAX_PROBLEMS], 1)
    return f"{meant[0]!r} may be meant" if meant else None


def _check_keys(notes: Notes, value: dict[str, Json]) -> None:
    for key in [key for key in value if key not in KEYS][:MAX_PROBLEMS]:
        hint: str | None = near(key, KEYS) or f"known here: {', '.join(KEYS)}"
        if key == "timeout_seconds":
            hint = "give timeout_seconds with the launch or the schedule"
        notes.add("unknown_key", f"{key} is not a known key of a flow", (key,), hint)
    for key in ("name", "description"):
        given = value.get(key)
        if key in value and not isinstance(given, str) and not (key == "description" and given is None):
            hint = "put it in quotes" if isinstance(given, int | float) else None
            notes.add("wrong_type", f"{key} must be text, not {kind_of(given)}", (key,), hint)
    if value.get("name") == "":
        notes.add("empty", "name must not be empty", ("name",))
    limit = value.get("max_concurrent", 1)
    if limit != "unlimited" and (type(limit) is not int or not 1 <= limit <= 1000):
        notes.add(
            "wrong_value", "max_concurrent must be a whole number from 1 to 1000, or unlimited", ("max_concurrent",)
        )


def _check_finally(notes: Notes, value: dict[str, Json]) -> None:
    name = value.get("finally_step")
    if name is None:
        return
    if not isinstance(name, str):
        notes.add("wrong_type", f"finally_step must be the name of a step, not {kind_of(name)}", ("finally_step",))
        return
    given = value.get("steps")
    names = [step.get("name") for step in given if isinstance(step, dict)] if isinstance(given, list) else []
    if name not in names:
        hint = step_hint(name, {other for other in names if isinstance(other, str)})
        notes.add("unknown_step", f"finally_step names {name!r}, and there is no such step", ("finally_step",), hint)
