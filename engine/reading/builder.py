"""A YAML parser's events to a JSON value, by 1.2's core schema; each way to go wrong is a problem with a line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isinf
from typing import Any, NoReturn

from engine.models.job import Json
from engine.models.problem import Problem

MAX_DEPTH = 50
MAX_ALIASES = 100
MAX_ALIAS_NODES = 100_000
MAX_PROBLEMS = 50

WORDS: dict[str, Json] = {"": None, "~": None, "null": None, "Null": None, "NULL": None} | {
    form: word == "true" for word in ("true", "false") for form in (word, word.capitalize(), word.upper())
}
STARTS = frozenset("+-.0123456789")
NUMBER = re.compile(
    r"(?P<int>[-+]?[0-9]+)|0o(?P<oct>[0-7]+)|0x(?P<hex>[0-9a-fA-F]+)"
    r"|(?P<float>[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)"
    r"|(?P<none>[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))"
)
MAX_DIGITS = 4300
CORE = "tag:yaml.org,2002:"
IN_QUOTES = "write text in quotes"


class ReadingError(ValueError):
    """A text cannot be read; `problems` lists every reason that was found, at least one."""

    def __init__(self, problems: list[Problem]) -> None:
        first = problems[0]
        place = f"line {first.line}: " if first.line else ""
        hint = f"; {first.hint}" if first.hint else ""
        super().__init__(f"{place}{first.message}{hint}")
        self.problems = problems


@dataclass(slots=True)
class _Open:
    """A list or object that has begun and not ended; `key` waits for its value."""

    value: Any
    anchor: str | None
    key: str | None = None
    lines: dict[str, int] = field(default_factory=dict)


class Builder:
    """Builds one value. Problems that do not hide others are collected, the rest raise ReadingError at once."""

    def __init__(self, failsafe: bool) -> None:
        self.problems: list[Problem] = []
        self._failsafe = failsafe
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Json, str | None]] = {}
        self._aliases = self._alias_nodes = self._documents = 0
        self._result: Json = None

    def build(self, events: Iterator[Any]) -> Json:
        """The value that the events of one document make."""
        import yaml

        handlers = {
            yaml.ScalarEvent: self._scalar, yaml.AliasEvent: self._alias, yaml.DocumentStartEvent: self._document,
            yaml.MappingStartEvent: self._mapping, yaml.MappingEndEvent: self._end,
            yaml.SequenceStartEvent: self._sequence, yaml.SequenceEndEvent: self._end,
        }  # fmt: skip
        for event in events:
            if (handler := handlers.get(type(event))) is not None:
                handler(event)
        return self._result

    def _document(self, event: Any) -> None:
        self._documents += 1
        if self._documents > 1:
            self._fail(event, "many_documents", "a second document begins here", "keep one in a file")

    def _scalar(self, event: Any) -> None:
        text = event.value
        opened = self._open[-1] if self._open else None
        if opened is not None and opened.key is None and type(opened.value) is dict:
            self._tagged(event, "str")
            self._set_key(opened, text, event)
            value: Json = text
        else:
            value = self._scalar_value(event)
            self._put(value)
        self._name(event, event.anchor, value, text)

    def _scalar_value(self, event: Any) -> Json:
        tag = event.tag
        try:
            if tag is None and (self._failsafe or not event.implicit[0]):
                return event.value
            if tag is None:
                return plain_value(event.value)
            kind = self._tagged(event, "str", "int", "float", "bool", "null")
            return event.value if self._failsafe else _explicit(kind, event.value)
        except ValueError as error:
            if isinstance(error, ReadingError):
                raise
            self._add(event, "bad_number" if tag is None else "bad_tag", str(error), IN_QUOTES)
            return event.value

    def _mapping(self, event: Any) -> None:
        self._tagged(event, "map")
        self._begin({}, event)

    def _sequence(self, event: Any) -> None:
        self._tagged(event, "seq")
        self._begin([], event)

    def _begin(self, value: Any, event: Any) -> None:
        if self._open and self._open[-1].key is None and type(self._open[-1].value) is dict:
            what = "an object" if type(value) is dict else "a list"
            self._fail(event, "bad_key", f"{what} cannot be a key", 'put text that begins with "{{" or "[" in quotes')
        if len(self._open) >= MAX_DEPTH:
            self._fail(event, "too_deep", f"lists and objects are nested more than {MAX_DEPTH} deep")
        self._open.append(_Open(value, event.anchor))

    def _end(self, event: Any) -> None:
        ended = self._open.pop()
        self._put(ended.value)
        self._name(event, ended.anchor, ended.value, None)

    def _name(self, event: Any, anchor: str | None, value: Json, text: str | None) -> None:
        if anchor is None:
            return
        if anchor in self._anchors:
            self._fail(event, "bad_alias", f"anchor &{anchor} is given a second time", "use another name")
        self._anchors[anchor] = (value, text)

    def _alias(self, event: Any) -> None:
        name = event.anchor
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            self._fail(event, "too_many_aliases", f"there are more than {MAX_ALIASES} aliases")
        if any(opened.anchor == name for opened in self._open):
            self._fail(event, "bad_alias", f"alias *{name} stands inside what it refers to")
        if name not in self._anchors:
            self._fail(event, "bad_alias", f"alias *{name} refers to nothing: there is no &{name} before it", IN_QUOTES)
        value, text = self._anchors[name]
        opened = self._open[-1] if self._open else None
        if opened is not None and opened.key is None and type(opened.value) is dict:
            if text is None:
                self._fail(event, "bad_key", f"alias *{name} is a list or an object, which cannot be a key")
            self._set_key(opened, text, event)
        else:
            self._put(self._copied(value, len(self._open), event))

    def _copied(self, value: Json, depth: int, event: Any) -> Json:
        """A copy of its own for each alias: what changes one must not change the other."""
        self._alias_nodes += 1
        if self._alias_nodes > MAX_ALIAS_NODES:
            self._fail(event, "too_many_aliases", f"the aliases stand for more than {MAX_ALIAS_NODES} values")
        if type(value) not in (dict, list):
            return value
        if depth >= MAX_DEPTH:
            self._fail(event, "too_deep", f"lists and objects are nested more than {MAX_DEPTH} deep")
        if type(value) is dict:
            return {key: self._copied(item, depth + 1, event) for key, item in value.items()}
        return [self._copied(item, depth + 1, event) for item in value]

    def _set_key(self, opened: _Open, key: str, event: Any) -> None:
        line = event.start_mark.line + 1
        if key in opened.lines:
            self._add(
                event, "duplicate_key", f"key {key!r} is here a second time; it is on line {opened.lines[key]} already"
            )
        opened.lines[key] = line
        opened.key = key

    def _put(self, value: Json) -> None:
        if not self._open:
            self._result = value
            return
        opened = self._open[-1]
        if opened.key is None:
            opened.value.append(value)
        else:
            opened.value[opened.key] = value
            opened.key = None

    def _tagged(self, event: Any, *kinds: str) -> str:
        """The core schema's name of the tag, `str` for the one that says nothing; another tag is a problem."""
        tag = event.tag
        if tag is None or tag == "!":
            return kinds[0]
        kind = str(tag).removeprefix(CORE)
        if kind in kinds:
            return kind
        self._add(
            event,
            "bad_tag",
            f"tag {tag!r} is not allowed here: only JSON values are",
            f"remove the tag, or {IN_QUOTES}",
        )
        return kinds[0]

    def _add(self, event: Any, code: str, message: str, hint: str | None = None) -> None:
        mark = event.start_mark
        self.problems.append(Problem(code, message, self._path(), mark.line + 1, mark.column + 1, hint))
        if len(self.problems) >= MAX_PROBLEMS:
            raise ReadingError(self.problems)

    def _fail(self, event: Any, code: str, message: str, hint: str | None = None) -> NoReturn:
        self._add(event, code, message, hint)
        raise ReadingError(self.problems)

    def _path(self) -> str:
        steps = (str(len(opened.value)) if type(opened.value) is list else opened.key for opened in self._open)
        return ".".join(step for step in steps if step is not None)


def plain_value(text: str) -> Json:
    """What an unquoted scalar stands for; ValueError for a number that JSON does not have."""
    if text in WORDS:
        return WORDS[text]
    if text[0] not in STARTS or not (found := NUMBER.fullmatch(text)):
        return text
    match found.lastgroup:
        case "int" if len(text) > MAX_DIGITS:
            raise ValueError(f"a number of {len(text)} digits is too long")
        case "int":
            return int(text)
        case "oct":
            return int(found["oct"], 8)
        case "hex":
            return int(found["hex"], 16)
        case "float" if not isinf(number := float(text)):
            return number
    raise ValueError(f"{text[:40]} is not a number that JSON has")


def _explicit(kind: str, text: str) -> Json:
    value = text if kind == "str" else plain_value(text)
    match kind, value:
        case "str", _:
            return value
        case "float", int():
            return float(text)
        case ("null", None) | ("bool", bool()) | ("float", float()):
            return value
        case "int", int() if not isinstance(value, bool):
            return value
    raise ValueError(f"{text[:40]!r} is not of the type that its tag says ({kind})")
