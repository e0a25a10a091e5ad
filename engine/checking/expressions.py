"""Which expressions a document holds, and what their faults are to its author. Nothing is compiled here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, get_args

from engine.checking.notes import Notes
from engine.checking.options import Place, dotted
from engine.models.expression import Expressions, Fault, Language
from engine.models.flow import Document, StepSpec, TemplateReference
from engine.models.job import Json
from engine.models.problem import Problem
from engine.templating import is_code

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

Code = tuple[Language, str]
"""A text and how it is compiled: one that stands in many places is compiled once."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A text that is to be compiled, and where it, or the path of the template it is in, stands."""

    code: Code
    place: Place
    step: str
    template: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A document that was read, and the texts of the templates that it names, by their paths."""

    document: Document
    notes: Notes
    templates: Mapping[str, str]

    def expressions(self) -> list[Expression]:
        """Every expression of the steps that could be read, and every template."""
        found = [*self._in_steps(), *self._in_templates()]
        return [each for each in found if is_code(*each.code)]

    def problems(self, faults: Mapping[Code, Fault]) -> list[Problem]:
        """The faults as problems of this document."""
        told = Notes(self.notes.marked)
        for each in self.expressions() if faults else ():
            if (fault := faults.get(each.code)) is not None:
                place = self._existing(each.place)
                what = dotted(place[2:]) if each.template is None else f"template {each.template!r}"
                told.add("expression", f"step {each.step!r}: {what}: {fault.message}", place, fault.hint)
        return told.problems

    def _in_steps(self) -> Iterator[Expression]:
        for number, step in self.notes.steps:
            for place, code in _of_step(step, ("steps", number)):
                yield Expression(code, place, step.name)

    def _in_templates(self) -> Iterator[Expression]:
        for mention in self.notes.mentions:
            path = mention.reference.path
            if isinstance(mention.reference, TemplateReference) and path in self.templates:
                place = self.notes.place_in_step(mention.number, path)
                yield Expression((Language.TEMPLATE, self.templates[path]), place, mention.step, path)

    def _existing(self, place: Place) -> Place:
        """The part of a place that the text has: a condition need not be in a list, a body may be JSON in a text."""
        value: Any = self.notes.marked.value if self.notes.marked else None
        for depth, part in enumerate(place):
            match value:
                case dict() if part in value:
                    value = value[part]
                case list() if isinstance(part, int):
                    value = value[part]
                case _:
                    return place[:depth]
        return place


class Verdicts(Protocol):
    """Whoever has expressions compiled where that does no harm."""

    def problems(self, sources: Sequence[Source]) -> tuple[dict[str, list[Problem]], str | None]:
        """What does not compile, by revision; and why another time may tell more, None when that is final."""


def _of_step(step: StepSpec, at: Place) -> Iterator[tuple[Place, Code]]:
    """The expressions of a step, its common keys included, and where they stand."""
    for number, condition in enumerate(step.when):
        if isinstance(condition, str):
            yield (*at, "when", number), (Language.CONDITION, condition)
    if step.jq_expression is not None:
        yield (*at, "jq_expression"), (Language.JQ, step.jq_expression)
    yield from _within(step.options, (*at, step.type))


def _within(value: Any, at: Place) -> Iterator[tuple[Place, Code]]:
    """The expressions of options, and of whatever options and steps are inside them."""
    from pydantic import BaseModel

    match value:
        case StepSpec():
            yield from _of_step(value, at)
        case list():
            for number, item in enumerate(value):
                yield from _within(item, (*at, number))
        case BaseModel():
            for name, mark in _fields(type(value)).items():
                yield from _of_option(getattr(value, name), mark, (*at, name))


def _of_option(value: Any, mark: Expressions | None, at: Place) -> Iterator[tuple[Place, Code]]:
    if mark is None:
        yield from _within(value, at)
        return
    for place, text in _texts(value if mark.read is None else mark.read(value), at):
        yield place, (mark.language, text)


@cache
def _fields(model: type[BaseModel]) -> dict[str, Expressions | None]:
    """The options of a model, each with its mark, None where it is not marked."""
    return {name: _mark(field) for name, field in model.model_fields.items()}


def _mark(field: FieldInfo) -> Expressions | None:
    # It is on the field, or on a member of a union, as in `JqProgram | None`.
    parts = [*field.metadata, *(part for member in get_args(field.annotation) for part in get_args(member))]
    return next((part for part in parts if isinstance(part, Expressions)), None)


def _texts(value: Json, at: Place) -> Iterator[tuple[Place, str]]:
    """Every text of a value but the keys of its objects, as rendering finds them."""
    if isinstance(value, str):
        yield at, value
    elif isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _texts(item, (*at, key))
