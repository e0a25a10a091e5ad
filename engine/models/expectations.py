"""What pydantic expects of a value, in words of our own, to be read after the name of the value's place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args

from engine.models.inputs import shown, word_for
from engine.models.job import Json

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

TYPES = {
    "string_type": "text", "int_type": "a whole number", "int_from_float": "a whole number", "float_type": "a number",
    "bool_type": "true or false", "list_type": "a list", "dict_type": "an object", "model_type": "an object",
    "model_attributes_type": "an object", "none_required": "null", "tuple_type": "a list",
}  # fmt: skip
LIMITS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
NUMBERS = ("int_type", "float_type", "greater_than_equal", "greater_than", "less_than_equal", "less_than")
EMPTY = "must not be empty"
LONGEST = 50
"""The most characters of a text that is quoted."""


def expectation(kind: str, context: Mapping[str, Any], value: Json, field: FieldInfo | None) -> str | None:
    """What is expected in the place of this value, None where pydantic has to say it; `field` knows both limits."""
    if kind in NUMBERS and (limits := _limits(context, field)):
        return f"must be {_number(kind, limits, field)}, not {_quoted(value)}"
    match kind:
        case kind if kind in TYPES:
            return f"must be {TYPES[kind]}, not {word_for(value)}"
        case "literal_error" | "enum":
            return f"must be {context['expected']}, not {_quoted(value)}"
        case "string_too_short" | "too_short" if context["min_length"] == 1:
            return EMPTY
        case "string_too_short" | "too_short":
            return f"must have at least {_length(context['min_length'], value)}"
        case "string_too_long" | "too_long":
            return f"must have at most {_length(context['max_length'], value)}"
        case "string_unicode":
            return "must be text that UTF-8 can carry"
    return None


def number_within(low: int, high: int, value: Json) -> str:
    """What is expected where only a whole number of a range will do."""
    return f"must be {_number('int_type', {'ge': low, 'le': high}, None)}, not {_quoted(value)}"


def _limits(context: Mapping[str, Any], field: FieldInfo | None) -> dict[str, float]:
    marks = field.metadata if field else ()
    known = {name: getattr(mark, name) for mark in marks for name in LIMITS if hasattr(mark, name)}
    return known or {name: limit for name, limit in context.items() if name in LIMITS}


def _number(kind: str, limits: Mapping[str, float], field: FieldInfo | None) -> str:
    is_whole = kind == "int_type" or (field is not None and int in (field.annotation, *get_args(field.annotation)))
    name = "a whole number" if is_whole else "a number"
    match limits:
        case {"ge": low, "le": high}:
            return f"{name} from {_spaced(low)} to {_spaced(high)}"
    return f"{name} {' and '.join(f'{LIMITS[each]} {_spaced(limit)}' for each, limit in limits.items())}"


def _spaced(number: float) -> str:
    return f"{number:,}".removesuffix(".0").replace(",", " ")


def _length(wanted: int, value: Json) -> str:
    given = len(value) if isinstance(value, str | list | dict) else 0
    return f"{wanted} {'characters' if isinstance(value, str) else 'items'}, not {given}"


def _quoted(value: Json) -> str:
    """A text or a number as it was given, of anything else what it is."""
    if isinstance(value, str):
        return repr(value[:LONGEST])
    return shown(value) if isinstance(value, int | float) else word_for(value)
