"""An input that a flow declares: its type, what else is asked of a value, and whether a value fits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from engine.models.job import Json

NAME = r"^[A-Za-z_][A-Za-z0-9_]{0,63}$"
MAX_INPUTS = 50
MAX_PATTERNS = 20
MAX_PATTERN = 1_000
"""The most characters of a pattern. It is read by an engine without backtracking, so that none can hang a service."""
LONGEST_MATCHED = 10_000
"""The most characters of a text that has a pattern: with the worst one, looking at it takes 0.2 s."""
SHORTEST_SECRET = 4
"""What masking takes: hiding every `ab` would leave no text."""

LONGEST_SECRET = 10_000
"""The most characters of a secret input: masking looks for each of them. A private key has about 3,000."""
MOST_SECRET_LINES = 200
"""Each line of a secret is masked as a secret of its own; a private key has about 50."""


class Kind(StrEnum):
    """The type of an input."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    OBJECT = "object"
    ARRAY = "array"


WORDS = {
    Kind.STRING: "text",
    Kind.INTEGER: "a whole number",
    Kind.NUMBER: "a number",
    Kind.BOOLEAN: "true or false",
    Kind.OBJECT: "an object",
    Kind.ARRAY: "a list",
}


class NoDefault:
    """The default of an input that has none."""


NO_DEFAULT = NoDefault()


@dataclass(frozen=True, slots=True)
class Input:
    """A declared input. `enum` is empty when any value of the type will do."""

    name: str
    kind: Kind = Kind.STRING
    default: Any = NO_DEFAULT
    enum: tuple[Json, ...] = ()
    pattern: str | None = None
    description: str | None = None
    is_required: bool = True
    is_secret: bool = False

    @property
    def has_default(self) -> bool:
        return self.default is not NO_DEFAULT

    def faults(self, value: Json) -> Iterator[str]:
        """What is wrong with a value, each to be read after the input's name. A secret's value is not quoted."""
        if not is_of(value, self.kind):
            yield f"must be {WORDS[self.kind]}, not {word_for(value)}"
            return
        if self.enum and not any(same(value, each) for each in self.enum):
            yield f"must be one of {', '.join(map(shown, self.enum[:20]))}{', ...' if len(self.enum) > 20 else ''}"
        if isinstance(value, str):
            yield from self._faults_of_text(value)

    def _faults_of_text(self, value: str) -> Iterator[str]:
        if self.pattern is not None and len(value) > LONGEST_MATCHED:
            yield f"must have at most {LONGEST_MATCHED} characters, because it has a pattern"
        elif self.pattern is not None and not Pattern(self.pattern).matches(value):
            yield f"must match the pattern {self.pattern}"
        if self.is_secret and (len(value) > LONGEST_SECRET or len(value.splitlines()) > MOST_SECRET_LINES):
            yield (
                f"must have at most {LONGEST_SECRET} characters and {MOST_SECRET_LINES} lines, because it is a secret, "
                "and each of them is masked"
            )
        elif self.is_secret and not can_be_hidden(value):
            yield (
                f"is too short for a secret: only {SHORTEST_SECRET} characters or more, white space around them apart "
                "and not all of them *, can be hidden in logs and results"
            )


class Pattern:
    """A regular expression as the Rust engine knows them, which pydantic brings: it takes linear time."""

    def __init__(self, pattern: str) -> None:
        """ValueError says why it does not compile."""
        from pydantic_core import SchemaError, SchemaValidator, core_schema

        try:
            self._validator = SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))
        except SchemaError as error:
            raise ValueError(_last_line(str(error))) from error

    def matches(self, text: str) -> bool:
        """Whether it is found anywhere in the text, as in JSON Schema."""
        return self._validator.isinstance_python(text, strict=True)


def is_of(value: Json, kind: Kind) -> bool:
    """Whether this is a value of the type; 60.0 is as whole as 60, and true is no number."""
    match kind:
        case Kind.STRING:
            return isinstance(value, str)
        case Kind.BOOLEAN:
            return isinstance(value, bool)
        case Kind.OBJECT:
            return isinstance(value, dict)
        case Kind.ARRAY:
            return isinstance(value, list)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, int) or (value.is_integer() if kind is Kind.INTEGER else math.isfinite(value))


def same(one: Json, other: Json) -> bool:
    """Whether two values are the same JSON: 1 is 1.0, and not true."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def can_be_hidden(value: str) -> bool:
    """Whether masking takes this value."""
    return len(value.strip()) >= SHORTEST_SECRET and any(each != "*" and not each.isspace() for each in value)


def word_for(value: Json) -> str:
    """What a value is called in a sentence."""
    match value:
        case None:
            return "null"
        case bool():
            return WORDS[Kind.BOOLEAN]
        case int():
            return WORDS[Kind.NUMBER]
        case float():
            return str(value)
        case str():
            return WORDS[Kind.STRING]
    return WORDS[Kind.OBJECT if isinstance(value, dict) else Kind.ARRAY]


def shown(value: Json) -> str:
    """A value as a sentence quotes it."""
    import json

    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 50 else f"{text[:50]}..."


def _last_line(message: str) -> str:
    line = message.strip().splitlines()[-1].strip()
    return line.removeprefix("error: ").removeprefix("SchemaError: ")
