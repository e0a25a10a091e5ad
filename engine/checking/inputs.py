"""The inputs that a document declares, and everything that is wrong with the declarations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from engine.checking.notes import Notes
from engine.checking.options import Place, dotted, kind_of, near
from engine.checking.steps import RUN_KEYS
from engine.models.inputs import (
    MAX_INPUTS,
    MAX_PATTERN,
    MAX_PATTERNS,
    NAME,
    NO_DEFAULT,
    Input,
    Kind,
    Pattern,
    same,
    shown,
)
from engine.models.job import Json

KEYS = ("name", "type", "description", "default", "required", "enum", "pattern", "secret")

Said = tuple[str, str, str, str | None]
"""A problem: the key it is about (empty for the whole input), its code, what is said after the place, and a hint."""


def declared_inputs(notes: Notes, given: Json) -> tuple[Input, ...]:
    """The inputs of a document; what is wrong with them is noted, and they are not to be used then."""
    if given is None:
        return ()
    if not isinstance(given, list):
        notes.add("wrong_type", f"inputs must be a list of objects, not {kind_of(given)}", ("inputs",))
        return ()
    if len(given) > MAX_INPUTS:
        notes.add("too_many", f"inputs has {len(given)} items, and may have {MAX_INPUTS}", ("inputs",))
        return ()
    patterns = [number for number, each in enumerate(given) if isinstance(each, dict) and "pattern" in each]
    if len(patterns) > MAX_PATTERNS:
        place: Place = ("inputs", patterns[MAX_PATTERNS], "pattern")
        notes.add("too_many", f"{dotted(place)} is one pattern too many: {MAX_PATTERNS} may have one", place)
        return ()
    found: dict[str, Input] = {}
    for number, each in enumerate(given):
        _add(notes, found, ("inputs", number), each)
    return tuple(found.values())


def _add(notes: Notes, found: dict[str, Input], place: Place, given: Json) -> None:
    if not isinstance(given, dict):
        message = f"{dotted(place)} must be an object with a name, not {kind_of(given)}"
        notes.add("wrong_type", message, place, "such as `- name: host`")
        return
    problems = [*_problems_of_keys(given), *_problems_of_name(given, found)]
    if all(code == "unknown_key" for _, code, _, _ in problems):
        input = _read(given)
        problems += [*_problems_of_secret(input, given), *_problems_of_values(input, given)]
        found[input.name] = input
    for key, code, text, hint in problems:
        at = (*place, key) if key in given else place
        notes.add(code, f"{dotted((*place, key)) if key else dotted(place)} {text}", at, hint)
    if given.get("required") is True and "default" in given:
        at = (*place, "default")
        message = f"{dotted(at)} is never used: a launch has to give the value"
        notes.add("unused_default", message, at, "leave out `required` or `default`", severity="warning")


def _problems_of_keys(given: dict[str, Any]) -> Iterator[Said]:
    for key in given:
        if key not in KEYS:
            yield key, "unknown_key", "is not a known key", near(key, KEYS) or f"known here: {', '.join(KEYS)}"
    kind = given.get("type", "string")
    if kind not in list(Kind):
        hint = (
            near(kind, [str(each) for each in Kind]) if isinstance(kind, str) else None
        ) or f"types: {', '.join(Kind)}"
        word = repr(kind[:50]) if isinstance(kind, str) else kind_of(kind)
        yield "type", "unknown_type", f"must be a type of inputs, not {word}", hint
    for key in ("required", "secret"):
        if key in given and not isinstance(given[key], bool):
            yield key, "wrong_type", f"must be true or false, not {kind_of(given[key])}", None
    description = given.get("description")
    if description is not None and not isinstance(description, str):
        quotes = "put it in quotes" if isinstance(description, int | float) else None
        yield "description", "wrong_type", f"must be text, not {kind_of(description)}", quotes
    yield from _problems_of_enum(given)
    if "pattern" in given:
        yield from _problems_of_pattern(given["pattern"], kind)


def _problems_of_enum(given: dict[str, Any]) -> Iterator[Said]:
    enum = given.get("enum", ())
    if "enum" in given and not isinstance(enum, list):
        yield "enum", "wrong_type", f"must be a list of values, not {kind_of(enum)}", None
    elif "enum" in given and not enum:
        yield "enum", "empty", "must not be empty: no value would fit", "leave it out to allow every value"
    elif len(enum) > 200:
        yield "enum", "too_many", f"has {len(enum)} values, and may have 200", None
    elif any(same(one, other) for number, one in enumerate(enum) for other in enum[:number]):
        yield "enum", "duplicate", "has the same value twice", None


def _problems_of_pattern(pattern: Json, kind: Json) -> Iterator[Said]:
    if not isinstance(pattern, str):
        yield "pattern", "wrong_type", f"must be text, not {kind_of(pattern)}", "put it in quotes"
    elif kind != Kind.STRING:
        yield "pattern", "wrong_value", "is for texts only", "leave it out, or let the type be string"
    elif len(pattern) > MAX_PATTERN:
        yield "pattern", "wrong_value", f"has {len(pattern)} characters, and may have {MAX_PATTERN}", None
    else:
        try:
            Pattern(pattern)
        except ValueError as error:
            hint = "patterns are those of RE2 and Rust: no look-around, no back-references"
            yield "pattern", "bad_pattern", f"does not compile: {error}", hint


def _problems_of_name(given: dict[str, Any], found: dict[str, Input]) -> Iterator[Said]:
    name = given.get("name")
    if name is None:
        yield "name", "missing_key", "is missing", None
    elif not isinstance(name, str):
        yield "name", "wrong_type", f"must be text, not {kind_of(name)}", "put it in quotes"
    elif re.fullmatch(NAME.strip("^$"), name) is None:
        hint = "letters, digits and _, at most 64, and no digit first"
        yield "name", "wrong_value", f"must be a plain name, not {name[:100]!r}", hint
    elif name in RUN_KEYS:
        yield "name", "reserved_name", f"is {name!r}, which in `_data` belongs to the run", None
    elif name in found:
        yield "name", "duplicate", f"is {name!r}, and another input has that name already", None


def _read(given: dict[str, Any]) -> Input:
    has_default = "default" in given
    return Input(
        name=given["name"],
        kind=Kind(given.get("type", "string")),
        default=given.get("default", NO_DEFAULT),
        enum=tuple(given.get("enum", ())),
        pattern=given.get("pattern"),
        description=given.get("description"),
        is_required=given.get("required", not has_default),
        is_secret=given.get("secret", False),
    )


def _problems_of_secret(input: Input, given: dict[str, Any]) -> Iterator[Said]:
    if not input.is_secret:
        return
    if input.kind is not Kind.STRING:
        yield "type", "wrong_value", "must be string: a secret is a text", None
    for key in ("default", "enum"):
        if key in given:
            hint = "put the value into secrets.yml or Vault" if key == "default" else None
            yield key, "wrong_value", "would be read by everybody: a secret has none", hint


def _problems_of_values(input: Input, given: dict[str, Any]) -> Iterator[Said]:
    """What the values of the declaration itself are lacking."""
    if input.is_secret:
        return
    plain = replace(input, enum=())
    for value in input.enum:
        for fault in plain.faults(value):
            yield "enum", "wrong_value", f"cannot have {shown(value)}: it {fault}", None
    for fault in input.faults(input.default) if input.has_default else ():
        hint = "leave it out for an input that need not be given" if given["default"] is None else None
        yield "default", "wrong_value", fault, hint
