"""What pydantic says about a step, said to the step's author: where, in plain words, with a way out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Any, get_args

from engine.models.expectations import EMPTY, TYPES, expectation
from engine.models.job import Json

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

Place = tuple[str | int, ...]

MOST = 200
"""So many errors of one step are looked at."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem that has no line yet; `place` is relative to the step."""

    place: Place
    code: str
    message: str
    hint: str | None = None
    wanted: str | None = None
    """The type that would have been right, when the type is what is wrong, and what was given."""
    given: str = ""
    branch: Place | None = None
    """Where several types were allowed, the place that each of them was tried at."""


def kind_of(value: Json) -> str:
    """What a value is called in a sentence."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
    return "an object"


def near(word: str, words: Any) -> str | None:
    """The hint that a close word makes."""
    matches = get_close_matches(word, words, 1)
    return f"did you mean {matches[0]!r}?" if matches else None


def holds(value: Json, part: str | int) -> bool:
    """Whether there is such a part in the value."""
    if isinstance(part, int):
        return isinstance(value, list) and part < len(value)
    return isinstance(value, dict) and part in value


def step_findings(error: ValidationError, step: Json) -> list[Finding]:
    """Everything that is wrong with one step, each thing once."""
    return _misnamed(_merged([*_findings(error, step, ())]), step)


def _findings(error: ValidationError, step: Json, at: Place) -> Iterator[Finding]:
    from pydantic import ValidationError

    for detail in error.errors(include_url=False, include_input=False)[:MOST]:
        loc = detail["loc"] if detail["type"].startswith("union_tag") else detail["loc"][1:]
        place, branch, value = _real_place(loc, step, detail["type"])
        inner = detail.get("ctx", {}).get("error")
        if isinstance(inner, ValidationError):
            yield from _findings(inner, _named(value), at + place)
        else:
            yield _finding(detail, at + place, None if branch is None else at + branch, value, step)


def _named(step: Json) -> Json:
    """A step inside another one may leave its name out."""
    return {"name": "", **step} if isinstance(step, dict) else step


def _real_place(loc: Place, value: Json, kind: str) -> tuple[Place, Place | None, Json]:
    """The part of a pydantic location that is in the document, where it left it first, and the value there."""
    place: list[str | int] = []
    branch: Place | None = None
    for number, part in enumerate(loc, 1):
        if holds(value, part):
            value = value[part]
        elif kind != "missing" or number < len(loc):
            branch = tuple(place) if branch is None else branch
            continue
        place.append(part)
    return tuple(place), branch, value


def _finding(detail: ErrorDetails, place: Place, branch: Place | None, value: Json, step: Json) -> Finding:
    name, context = dotted(place), detail.get("ctx", {})
    match detail["type"]:
        case "missing":
            return Finding(place, "missing_key", f"{name} is missing", branch=branch)
        case "extra_forbidden":
            return Finding(place, "unknown_key", f"{name} is not a known key", _known_hint(place, step), branch=branch)
        case "union_tag_not_found":
            place = (*place, "type")
            return Finding(place, "missing_key", f"{dotted(place)} is missing", f"types: {', '.join(_types())}")
        case "union_tag_invalid":
            given = str(context["tag"])
            hint = near(given, _types()) or f"types: {', '.join(_types())}"
            return Finding((*place, "type"), "unknown_type", f"{given!r} is not a step type", hint)
        case kind if kind in TYPES:
            wrong = _wrong_type(place, branch, [TYPES[kind]], kind_of(value))
            is_options = isinstance(step, dict) and place == (step.get("type"),)
            return replace(wrong, hint=_options_hint(place[0], value)) if is_options else wrong
        case "value_error":
            return Finding(place, "wrong_value", f"{name}: {context.get('error', detail['msg'])}", branch=branch)
    field = _fields_here(place, step).get(str(place[-1]))
    said = expectation(detail["type"], context, value, field) or f"is wrong: {detail['msg']}"
    return Finding(place, "empty" if said == EMPTY else "wrong_value", f"{name} {said}", branch=branch)


def _wrong_type(place: Place, branch: Place | None, wanted: list[str], given: str) -> Finding:
    words = " or ".join(dict.fromkeys(wanted))
    hint = "put it in quotes" if "text" in wanted and given in ("a number", "true or false") else None
    return Finding(place, "wrong_type", f"{dotted(place)} must be {words}, not {given}", hint, words, given, branch)


def _merged(findings: list[Finding]) -> list[Finding]:
    """Where several types were allowed, the complaint of the one that was meant; else all of them as one."""
    merged: list[Finding] = []
    groups: dict[Place | None, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.branch, []).append(finding)
    for branch, group in groups.items():
        deeper = [finding for finding in group if branch is None or len(finding.place) > len(branch)]
        wanted = [finding.wanted for finding in group if finding.wanted is not None]
        if deeper or len(wanted) < len(group):
            merged += deeper or [finding for finding in group if finding.wanted is None]
        else:
            merged.append(_wrong_type(group[0].place, branch, wanted, group[0].given))
    return merged


def _misnamed(findings: list[Finding], step: Json) -> list[Finding]:
    """Options that are absent because they stand under another name, or a level too high, are one problem."""
    kind = step.get("type") if isinstance(step, dict) else None
    absent = next((finding for finding in findings if finding.place == (kind,) and finding.code == "missing_key"), None)
    if absent is None or not isinstance(kind, str):
        return findings
    options = _options(kind)
    unknown = [
        str(finding.place[0]) for finding in findings if finding.code == "unknown_key" and len(finding.place) == 1
    ]
    misnamed = [key for key in unknown if key in _types() or get_close_matches(key, [kind])]
    too_high = [key for key in unknown if key in options.model_fields]
    if misnamed:
        message = f"its type is {kind!r}, but its options are called {misnamed[0]!r}"
        better = Finding((misnamed[0],), "wrong_options", message, f"call them {kind!r}, or change the type")
    elif too_high:
        message = f"its options are missing: an object called {kind!r}"
        better = Finding((too_high[0],), "missing_options", message, f"{', '.join(too_high)}: put this under {kind!r}")
    else:
        message = f"its options are missing: an object called {kind!r}"
        better = Finding((kind,), "missing_options", message, _options_hint(kind, None))
    told = {(key,) for key in (kind, *misnamed[:1], *too_high)}
    return [better, *(finding for finding in findings if finding.place not in told)]


def _options_hint(kind: Any, given: Json) -> str | None:
    """What to write for a step's options, where something else than an object was given; None where none are needed."""
    needed = [name for name, field in _options(kind).model_fields.items() if field.is_required()]
    if len(needed) == 1 and isinstance(given, str | int | float) and not isinstance(given, bool):
        return f"write {kind}: {{{needed[0]}: {str(given)[:50]}}}"
    return f"it needs {', '.join(needed)}" if needed else None


def _known_hint(place: Place, step: Json) -> str | None:
    if place[-1] == "<<":
        return "YAML 1.2 has no merge keys: write the keys out"
    known = list(_fields_here(place, step))
    return near(str(place[-1]), known) or (f"known here: {', '.join(sorted(known))}" if known else None)


def _fields_here(place: Place, step: Json) -> dict[str, FieldInfo | None]:
    """The keys that may stand where this one does, with what is known of them; empty when that cannot be told."""
    kind, inner, value = "", place, step
    for depth, part in enumerate(place):
        if isinstance(value, dict) and value.get("type") in _types():
            kind, inner = value["type"], place[depth:]
        value = value[part]
    if len(inner) == 1:
        from engine.steps import CommonKeys

        return {**CommonKeys.model_fields, kind: None}
    model: type[BaseModel] | None = _options(kind)
    for part in inner[1:-1]:
        if model is not None and isinstance(part, str):
            field = model.model_fields.get(part)
            model = _model_in(field.annotation) if field else None
    return dict(model.model_fields) if model else {}


def _model_in(annotation: Any) -> type[BaseModel] | None:
    from pydantic import BaseModel

    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for part in get_args(annotation) if (model := _model_in(part))), None)


def dotted(place: Place) -> str:
    """A place as it is written: `rest.headers.Accept`."""
    return ".".join(map(str, place))


def _options(kind: str) -> type[BaseModel]:
    from engine.steps import step_types

    return step_types()[kind]


@cache
def _types() -> tuple[str, ...]:
    from engine.steps import step_types

    return tuple(step_types())
