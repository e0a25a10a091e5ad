"""YAML and JSON text to JSON values, strictly: YAML is read as 1.2's core schema, and what is not JSON is refused.

Values come from the parser's events in one pass; where they stand in the text is found out only when somebody asks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from math import isfinite
from typing import Any

from engine.models.job import Json
from engine.models.problem import Problem
from engine.reading.builder import MAX_DEPTH, MAX_DIGITS, Builder, ReadingError

__all__ = ["Marked", "ReadingError", "decode", "read_document", "read_json", "read_yaml"]

FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
"""What YAML does not allow in a text: controls, lone surrogates, and a byte order mark past the beginning."""

PAIR = re.compile(r"((?<!\\)(?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
"""One character beyond U+FFFF as JSON escapes it, after backslashes that are escaped themselves."""


def decode(content: bytes) -> str:
    """UTF-8 text, without a byte order mark."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ReadingError(
            [
                Problem(
                    "not_utf8",
                    f"byte 0x{content[error.start]:02x} is not UTF-8",
                    line=line,
                    hint="save the file as UTF-8",
                )
            ]
        ) from error


class Marked:
    """A document's value, and where its parts stand."""

    def __init__(self, value: Json, text: str) -> None:
        self.value = value
        self._text = text
        self._root: Any = None

    def place(self, path: Sequence[str | int]) -> tuple[int, int]:
        """Line and column, from 1, of a key or list item; of the nearest one above it when it is not there."""
        place, node = (1, 1), self._nodes()
        for step in path:
            found = _child(node, step)
            if found is None:
                break
            mark, node = found
            place = (mark.line + 1, mark.column + 1)
        return place

    def lines_of_items(self, key: str) -> list[int]:
        """The line of each item of the list at that key of the document."""
        found = _child(self._nodes(), key)
        return [] if found is None else [item.start_mark.line + 1 for item in found[1].value]

    def _nodes(self) -> Any:
        """The root of the parts with their marks, made when it is first needed; False for an empty text."""
        import yaml

        if self._root is None:
            self._root = yaml.compose(self._text, Loader=_loader()) or False
        return self._root


def read_yaml(text: str) -> Json:
    """The value of a YAML document. Raises ReadingError."""
    return read_document(text).value


def read_document(text: str, *, failsafe: bool = False) -> Marked:
    """A YAML document with its places; `failsafe` leaves each scalar the text it is written as. Raises ReadingError."""
    import yaml

    text = text.removeprefix("\ufeff")
    if wrong := FORBIDDEN.search(text):
        raise ReadingError([_forbidden(text, wrong)])
    builder = Builder(failsafe)
    try:
        value = builder.build(_events(text))
    except yaml.YAMLError as error:
        if (unescaped := _without_pairs(text)) != text:
            return read_document(unescaped, failsafe=failsafe)
        raise ReadingError([*builder.problems, _syntax_problem(error, text)]) from error
    if builder.problems:
        raise ReadingError(builder.problems)
    return Marked(value, text)


def read_json(text: str) -> Json:
    """The value of a JSON text: no NaN, no number out of range, no key twice. Raises ReadingError."""
    import json

    try:
        value = json.loads(
            text.removeprefix("\ufeff"),
            object_pairs_hook=_object, parse_int=_whole, parse_float=_finite, parse_constant=_finite,
        )  # fmt: skip
    except json.JSONDecodeError as error:
        problem = Problem("json_syntax", f"this is not valid JSON: {error.msg}", "", error.lineno, error.colno)
        raise ReadingError([problem]) from error
    except RecursionError as error:
        raise ReadingError([TOO_DEEP]) from error
    except ValueError as error:
        raise ReadingError([Problem("json_value", str(error))]) from error
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _must_be_shallow(value)
    return value


TOO_DEEP = Problem("too_deep", f"lists and objects are nested more than {MAX_DEPTH} deep")


def _must_be_shallow(value: Json) -> None:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        items = [item for item in level if isinstance(item, dict | list)]
        level = [part for item in items for part in (item.values() if isinstance(item, dict) else item)]
    if items:
        raise ReadingError([TOO_DEEP])


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"key {twice!r} is in an object twice")
    return value


def _whole(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number of {len(text)} digits is too long")
    return int(text)


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"{text[:40]} is not a number that JSON has")
    return number


def _without_pairs(text: str) -> str:
    """A JSON text with the characters that pairs of escapes stand for: all of JSON is YAML but these."""
    import json

    unescaped = PAIR.sub(lambda found: found[1] + json.loads(rf'"\u{found[2]}\u{found[3]}"'), text)
    if unescaped != text:
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            return text  # In YAML they may stand where nothing is an escape.
    return unescaped


def _events(text: str) -> Iterator[Any]:
    import yaml

    parser = _loader()(text)
    try:
        event = None
        while type(event) is not yaml.StreamEndEvent:
            event = parser.get_event()
            yield event
    finally:
        parser.dispose()


def _loader() -> Any:
    """PyYAML's C loader; its Python one, ten times slower, where the C library is missing."""
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _child(node: Any, step: str | int) -> tuple[Any, Any] | None:
    """Where the part begins (an object's at its key), and its node; None when it is not there."""
    kind, parts = (node.id, node.value) if node else (None, ())
    if kind == "mapping":
        return next(((key.start_mark, value) for key, value in parts if key.value == step), None)
    if kind == "sequence" and isinstance(step, int) and step < len(parts):
        return parts[step].start_mark, parts[step]
    return None


def _forbidden(text: str, wrong: re.Match[str]) -> Problem:
    line = text.count("\n", 0, wrong.start()) + 1
    column = wrong.start() - text.rfind("\n", 0, wrong.start())
    message = f"character U+{ord(wrong[0]):04X} is not allowed in YAML"
    return Problem(
        "bad_character", message, "", line, column, 'write it as an escape in double quotes, such as "\\u0000"'
    )


def _syntax_problem(error: Any, text: str) -> Problem:
    mark, began = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    reason, context = getattr(error, "problem", None) or str(error), getattr(error, "context", None)
    message = f"this is not valid YAML: {reason}" + (f" ({context})" if context else "")
    lines = text.splitlines()
    if mark is None or (mark.line >= len(lines) and began is not None):
        mark = began  # at the end of the text, where it began tells more
    if mark is None:
        return Problem("yaml_syntax", message)
    line = min(mark.line, max(len(lines) - 1, 0))
    near = lines[max(line - 1, 0) : line + 1] + ([lines[began.line]] if began and began.line < len(lines) else [])
    return Problem("yaml_syntax", message, "", line + 1, mark.column + 1, _hint(near))


def _hint(near: list[str]) -> str | None:
    """What the lines near a syntax error look like a common mistake of."""
    if any(re.match(r" *\t", line) for line in near):
        return "indent with spaces, not with tabs"
    if any(re.search(r"(?:^|[:,\[-] *)\{[{%]", line) for line in near):
        return "put a value that begins with `{{` in quotes"
    if any(re.search(r"(?:^|[:,\[-] +)[@`%]", line) for line in near):
        return "put a value that begins with a special character in quotes"
    if any(re.search(r": .*: ", line) for line in near):
        return "put a value that holds `: ` in quotes"
    return None
