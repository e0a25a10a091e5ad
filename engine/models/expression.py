"""Where a document holds expressions: marks on the options of steps, and what is said of an expression."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any


class Language(StrEnum):
    """How a text is compiled."""

    TEMPLATE = "template"
    """Jinja that gives text."""
    VALUE = "value"
    """Jinja in a string of a value: one `{{ expression }}` alone keeps its type."""
    CONDITION = "condition"
    JQ = "jq"


@dataclass(frozen=True, slots=True)
class Expressions:
    """The mark of an option that holds expressions: one text, or for VALUE every string in any JSON."""

    language: Language
    read: Callable[[Any], Any] | None = None
    """Gives what is rendered, when that is not what is written."""


JinjaText = Annotated[str, Expressions(Language.TEMPLATE)]
JinjaValue = Annotated[Any, Expressions(Language.VALUE)]
JqProgram = Annotated[str, Expressions(Language.JQ)]


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an expression does not compile, and what can be done."""

    message: str
    hint: str | None = None
