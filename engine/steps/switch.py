"""The step `switch`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from engine.models.flow import NOTHING, Reference, Run, StepReference, StepSpec
from engine.models.job import Json
from engine.steps import NestedStep, Pattern, Step


def _text(value: Json) -> str:
    """Texts as they are, other values as compact JSON: what the cases are compared with."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class Case(BaseModel):
    """One branch of a `switch`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    when: Annotated[Pattern, BeforeValidator(_text, json_schema_input_type=Any)] = Field(
        description="A regular expression that the value's whole text must match, such as `P[12]`, `200` or `true`."
    )
    step: NestedStep = Field(description="The step to run then; its name may be left out.")


class Switch(Step, type="switch"):
    """Runs the step of the first case that fits a value. Its value is that step's; it has none when no case fits."""

    data_key: str = Field(
        description="A key or dotted path of the value. Texts are compared as they are, other values as compact JSON."
    )
    cases: list[Case] = Field(min_length=1, description="The cases, tried in their order.")
    default: NestedStep = Field(None, description="The step to run when no case fits.")

    @property
    def acts(self) -> bool:
        return any(step.options.acts for step in self._steps())

    def run(self, run: Run) -> Any:
        text = _text(run.lookup(self.data_key))
        step = next((case.step for case in self.cases if case.when.fullmatch(text)), self.default)
        return NOTHING if step is None else run.run_step(step)

    def references(self) -> Iterator[Reference]:
        for step in self._steps():
            yield from step.options.references()
            if step.on_error_goto is not None:
                yield StepReference(step.on_error_goto)

    def _steps(self) -> Iterator[StepSpec]:
        yield from (case.step for case in self.cases)
        if self.default is not None:
            yield self.default
