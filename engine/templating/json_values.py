"""Turns what an expression gives into JSON values, or says why it cannot be one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set, ValuesView
from math import isfinite
from typing import Any

from engine.models.job import Json
from engine.templating.errors import ExpressionError

LISTS = (list, tuple, range, Set, ValuesView, Iterator)
"""What becomes a list: literals and filters give tuples, views and generators as well."""


def as_json(value: Any) -> Json:
    """A copy made of JSON values only; ExpressionError for NaN, an undefined name, a function and the like."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float):
        if not isfinite(value):
            raise ExpressionError(f"the value {value} is not a JSON number")
        return value
    if isinstance(value, Mapping):
        return {_key(key): as_json(item) for key, item in value.items()}
    if isinstance(value, LISTS):
        return [as_json(item) for item in value]
    _refuse_undefined(value)
    raise ExpressionError(f"a {type(value).__name__} is not a JSON value")


def _refuse_undefined(value: Any) -> None:
    """An undefined name says which one it is as soon as it is used."""
    from jinja2 import Undefined

    if isinstance(value, Undefined):
        str(value)


def _key(key: Any) -> str:
    if isinstance(key, str):
        return str(key)
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, int):
        return str(key)
    raise ExpressionError(f"an object's key must be a text, not {key!r}")
