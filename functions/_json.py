"""JSON at the border: strict on the way in, compact on the way out."""

from __future__ import annotations

import json
import math
from typing import Any

from engine.errors import RequestInvalid

DEEPEST = 200
"""How deep arrays and objects may be nested: what we take, every later reader must be able to take as well."""

IN_UTF_8 = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
IN_ASCII = json.JSONEncoder(allow_nan=False, separators=(",", ":"))


def read_object(text: bytes) -> dict[str, Any]:
    """The JSON object in these bytes; RequestInvalid says what is wrong with them."""
    if not text.strip():
        raise RequestInvalid("The body is empty, and a JSON object is expected: {} where there is nothing to say.")
    try:
        value = json.loads(
            text.decode("utf-8-sig"),
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
    except UnicodeDecodeError as error:
        raise RequestInvalid(f"The body is not UTF-8 (at byte {error.start}).") from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise RequestInvalid(f"The body is not JSON: {error.msg} ({place}).") from error
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:  # Python refuses to convert thousands of digits
        raise RequestInvalid("The body has a number with too many digits.") from error
    if not isinstance(value, dict):
        raise RequestInvalid(f"The body must be a JSON object, not {_kind(value)}.")
    _check_depth(value, text)
    return value


def to_bytes(value: Any) -> bytes:
    """Compact JSON in UTF-8 on a line of its own.

    A lone surrogate, which UTF-8 cannot carry, goes out as the escape it came in as.
    """
    try:
        return IN_UTF_8.encode(value).encode() + b"\n"
    except UnicodeEncodeError:
        return IN_ASCII.encode(value).encode() + b"\n"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise RequestInvalid(f"The body has the key {twice[:100]!r} twice in one object.")
    return value


def _refuse_constant(name: str) -> Any:
    raise RequestInvalid(f"The body holds {name}, which is no JSON number.")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise RequestInvalid(f"The body holds the number {text[:50]}, which is too large.")
    return number


def _check_depth(value: Any, text: bytes) -> None:
    if text.count(b"[") + text.count(b"{") <= DEEPEST:
        return
    level = [value]
    for _ in range(DEEPEST):
        level = [item for each in level for item in _items(each) if isinstance(item, (dict, list))]
        if not level:
            return
    raise _too_deep()


def _items(container: Any) -> Any:
    return container.values() if isinstance(container, dict) else container


def _too_deep() -> RequestInvalid:
    return RequestInvalid(f"The body is nested deeper than {DEEPEST} levels.")


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "a number"
