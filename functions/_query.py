"""Reads a query string into a frozen dataclass: its fields are the names that are known, their types say what is taken.

No pydantic here: a GET must not pay for it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import Field, dataclass, field, fields
from datetime import datetime, tzinfo
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_type_hints

from engine.errors import RequestInvalid
from engine.models.times import parse_time

if TYPE_CHECKING:
    from werkzeug.datastructures import MultiDict

T = TypeVar("T")

LONGEST = 1024
BOOLEANS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)


@dataclass(frozen=True)
class Times:
    """What reading a time takes."""

    zone: tzinfo
    now: Callable[[], datetime]


def bounded(default: Any, low: float, high: float) -> Any:
    """A dataclass field for a number from `low` to `high`."""
    return field(default=default, metadata={"low": low, "high": high})


def read_query(type: type[T], arguments: MultiDict[str, str], times: Times) -> T:
    """The query; RequestInvalid names every parameter that cannot be used. An empty value counts as not given."""
    hints, known = _fields_of(type)  # type: ignore[arg-type]
    problems = list(_unknown(arguments, known))
    values = {}
    for name, texts in arguments.lists():
        if name in known and any(texts):
            try:
                values[name] = _read_one(texts, plain(hints[name]), known[name], times)
            except ValueError as error:
                problems.append((name, str(error)))
    if problems:
        raise _invalid(problems)
    return type(**values)


@cache
def _fields_of(type: type[Any]) -> tuple[dict[str, Any], dict[str, Field[Any]]]:
    """The types and the fields by name. Kept: hints are texts, and to understand them takes longer than the query."""
    return get_type_hints(type), {each.name: each for each in fields(type)}


def refuse_query(arguments: MultiDict[str, str]) -> None:
    """RequestInvalid when there is any parameter: this operation takes none."""
    if problems := list(_unknown(arguments, ())):
        raise _invalid(problems)


def _invalid(problems: list[tuple[str, str]]) -> RequestInvalid:
    """The error for these parameters, each with what is wrong."""
    shown = problems[:20]
    sentences = "; ".join(f"`{name}` {message}" for name, message in shown)
    details = [{"field": name, "message": message} for name, message in shown]
    return RequestInvalid(f"The query cannot be used: {sentences}.", details=details)


def _unknown(arguments: MultiDict[str, str], known: Iterable[str]) -> Iterable[tuple[str, str]]:
    takes = f"known: {', '.join(known)}" if known else "this operation takes none"
    return ((name[:100], f"is not known here ({takes})") for name in arguments if name not in known)


def _read_one(texts: list[str], kind: Any, known: Field[Any], times: Times) -> Any:
    if len(texts) > 1:
        raise ValueError(f"was given {len(texts)} times, and is taken once")
    text = texts[0]
    if kind is bool:
        return _boolean(text)
    if kind is int or kind is float:
        return _number(text, kind, **known.metadata)
    if kind is datetime:
        return parse_time(text, times.zone, times.now())
    if issubclass(kind, StrEnum):
        return _member(text, kind)
    if "\0" in text or len(text) > LONGEST:
        raise ValueError(f"must be text of at most {LONGEST} characters without a NUL")
    return text


def plain(hint: Any) -> Any:
    """The type itself, for `X | None`."""
    return next((part for part in get_args(hint) if part is not type(None)), hint)


def _boolean(text: str) -> bool:
    if text.lower() not in BOOLEANS:
        raise ValueError(f"must be true or false, not {text[:50]!r}")
    return BOOLEANS[text.lower()]


def _number(text: str, kind: type[float], low: float = -math.inf, high: float = math.inf) -> float:
    wanted = f"must be a {'whole ' if kind is int else ''}number from {low:,} to {high:,}".replace(",", " ")
    try:
        number = kind(text) if kind is float or _INTEGER.fullmatch(text) else math.nan
    except ValueError:
        number = math.nan
    if not low <= number <= high:
        raise ValueError(f"{wanted}, not {text[:50]!r}")
    return number


def _member(text: str, kind: type[StrEnum]) -> StrEnum:
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"must be one of {', '.join(kind)}, not {text[:50]!r}") from None
