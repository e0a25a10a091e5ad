"""What one document says, and what is wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from engine.checking.options import Place, dotted
from engine.models.flow import Flow, FlowReference, StepSpec, TemplateReference
from engine.models.job import Json
from engine.models.problem import Problem
from engine.reading import Marked

MAX_PROBLEMS = 100
"""Of errors, and of warnings. It is enough for a reader, and a text made of mistakes must not cost more."""


@dataclass(frozen=True, slots=True)
class Mention:
    """Another document that a step names; `number` counts steps from 0."""

    reference: FlowReference | TemplateReference
    number: int
    step: str


@dataclass(slots=True)
class Notes:
    """A document's flow (None when there are errors), its problems, and the other documents it names."""

    marked: Marked | None = None
    flow: Flow | None = None
    steps: list[tuple[int, StepSpec]] = field(default_factory=list)
    """The steps, each with its number from 0, and what remains of those that have problems."""
    problems: list[Problem] = field(default_factory=list)
    mentions: list[Mention] = field(default_factory=list)
    has_errors: bool = False
    _counts: Counter[str] = field(default_factory=Counter)

    def add(self, code: str, message: str, place: Place = (), hint: str | None = None, severity: str = "error") -> None:
        """Note a problem at a place of the document, unless there are too many of its kind already."""
        self._counts[severity] += 1
        self.has_errors = self.has_errors or severity == "error"
        if self._counts[severity] <= MAX_PROBLEMS:
            line, column = self.line_of(place)
            self.problems.append(Problem(code, message, dotted(place), line, column, hint, severity))

    def include(self, problems: Iterable[Problem]) -> None:
        """Add problems that others have found."""
        self.problems.extend(problems)
        self.has_errors = bool(self.errors)
        self.problems.sort(key=lambda problem: (problem.line or 0, problem.column or 0))

    @property
    def is_full(self) -> bool:
        """Whether it makes no sense to look for more errors."""
        return self._counts["error"] >= MAX_PROBLEMS

    @property
    def errors(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.severity == "error"]

    def line_of(self, place: Place) -> tuple[int | None, int | None]:
        """Line and column of a place; None where the text could not be read."""
        return self.marked.place(place) if self.marked else (None, None)

    def place_in_step(self, number: int, text: str) -> Place:
        """Where a step's options say this text; where the step is, if that cannot be told."""
        place: Place = ("steps", number)
        step = self.marked.value["steps"][number] if self.marked else None
        return next(_places_of(text, step, place), place)


def _places_of(text: str, value: Json, place: Place) -> Iterator[Place]:
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        if item == text and key not in ("name", "type", "description", "result_key"):
            yield (*place, key)
        yield from _places_of(text, item, (*place, key))
