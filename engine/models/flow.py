"""A flow and its steps, and what a step may ask of the run it is part of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from engine.models.inputs import Input
from engine.models.job import Json

if TYPE_CHECKING:
    import requests

START, END, EXIT = "__start__", "__end__", "__exit__"
"""Targets of `goto` that every flow has: its first step, its end (success), its end (exit)."""
RESERVED_TARGETS = frozenset({START, END, EXIT})


class Nothing:
    """The value of a step that has none: nothing is stored, `_data` stays as it is."""


NOTHING = Nothing()


@dataclass(frozen=True, slots=True)
class Goto:
    """A step's answer: go on with the step of this name. A type, so that no peer's JSON can steer a flow."""

    step_name: str


@dataclass(frozen=True, slots=True)
class Exit:
    """A step's answer: the flow ends here, on purpose."""

    message: str


@dataclass(frozen=True, slots=True)
class FlowReference:
    """A step runs the document at this path."""

    path: str


@dataclass(frozen=True, slots=True)
class TemplateReference:
    """A step reads the template at this path (below TEMPLATES_PATH)."""

    path: str


@dataclass(frozen=True, slots=True)
class StepReference:
    """A step may lead to the step of this name."""

    name: str


Reference = FlowReference | TemplateReference | StepReference


class Runnable(Protocol):
    """A step's options, as the runner sees them."""

    @property
    def acts(self) -> bool:
        """Whether this changes the world outside the job; its start is then on disk before it runs."""

    def run(self, run: Run) -> Any:
        """The step's value (JSON), NOTHING, a Goto or an Exit. Raises StepFailed."""

    def references(self) -> Iterator[Reference]:
        """The other documents, templates and steps that are named in plain text (not in an expression)."""


@dataclass(frozen=True, slots=True)
class StepSpec:
    """One step of a flow: the common keys, and the options of its type."""

    name: str
    type: str
    options: Runnable
    result_key: str
    description: str | None = None
    when: tuple[Any, ...] = ()
    """Jinja expressions (or plain booleans); the step runs when all hold."""
    ignore_errors: tuple[re.Pattern[str], ...] = ()
    jq_expression: str | None = None
    on_error_goto: str | None = None


@dataclass(frozen=True, slots=True)
class Flow:
    """A checked flow. `max_concurrent` is 0 for `unlimited`."""

    name: str
    steps: tuple[StepSpec, ...]
    finally_step: str | None = None
    max_concurrent: int = 1
    description: str | None = None
    inputs: tuple[Input, ...] = ()


@dataclass(frozen=True, slots=True)
class FlowInputs:
    """What a document declares; `digest` and `characters` are those of its text, but where it is masked.

    `digest` is then another one for each way to mask it.
    """

    path: str
    name: str
    description: str | None
    inputs: tuple[Input, ...]
    digest: str
    characters: int


@dataclass(frozen=True, slots=True)
class Document:
    """A document at one revision. `parts` maps `flow:<path>` and `template:<path>` to the texts it is run with.

    `revision` is the SHA-256, in hex, of path, text and the revisions of the parts. `compiles` says that all its
    expressions are known to; False that nobody has told.
    """

    path: str
    text: str
    revision: str
    parts: dict[str, str] = field(default_factory=dict)
    compiles: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class SubflowResult:
    """How a sub-flow ended: its `_data` without `__input__`, and its errors when it failed."""

    data: dict[str, Json]
    failed: bool
    errors: list[dict[str, Any]]


class Run(Protocol):
    """What a step may ask of the run it is part of. The runner implements it; a unit test passes a fake."""

    data: dict[str, Json]
    """`_data`: steps read it through `lookup` and the expressions; only the runner writes it."""

    max_response_bytes: int
    """The most bytes that a peer's answer may have, decoded."""

    def lookup(self, data_key: str) -> Json:
        """The value at `.`, at an exact key, or at a dotted path; StepFailed names a key that is not there."""

    def render(self, template: str) -> str:
        """A Jinja template's text over `_data` and `__input__`; an undefined name is a StepFailed."""

    def render_value(self, value: Json) -> Json:
        """The value with every string leaf rendered; a leaf that is one expression keeps that expression's type."""

    def render_with(self, template: str, data: Json) -> str:
        """As `render`, with `data` under its own name, and its keys over the others when it is an object."""

    def jq(self, expression: str, value: Json) -> list[Json]:
        """Every result of the jq program on the value; StepFailed when it does not compile or fails."""

    def secret(self, name: str, *, fresh: bool = False) -> dict[str, str]:
        """A secret's fields, `type` among them; StepFailed when it is not there. `fresh`: read anew, not kept."""

    def http(self) -> requests.Session:
        """The job's HTTP session, made at its first use."""

    def template(self, path: str) -> str:
        """A template's text; a leading `templates/` is accepted."""

    def read_file(self, path: str) -> bytes:
        """A regular file's bytes, below DATA_PATH."""

    def write_file(self, path: str, content: bytes) -> None:
        """Put the file there whole, or leave what was there; folders are made."""

    def append_file(self, path: str, content: bytes) -> None:
        """Add the bytes in one write; folders are made."""

    def subflow(self, path: str, input: Json, *, index: int | None = None, lenient: bool = False) -> SubflowResult:
        """Run another flow with this input, in this job; `index` is its place in a loop, from 1.

        InputsInvalid when it does not fit what that flow declares. `lenient` drops names that are not declared.
        """

    def loop(self, path: str, items: list[Json], *, max_workers: int) -> list[SubflowResult]:
        """Run another flow once for each item, so many at a time; results in the order of the items."""

    def run_step(self, step: StepSpec) -> Any:
        """Run a step inside this one, with its own `when`, errors and value; returns what it returned."""

    def sleep(self, seconds: float) -> None:
        """Wait; ends at once when the job is stopped."""

    def remaining_seconds(self) -> float:
        """Seconds until the job's deadline; `inf` without one, and in a `finally_step`, whose time another keeps."""

    def log(self, level: str, message: str) -> None:
        """Add a line to the job's log."""
