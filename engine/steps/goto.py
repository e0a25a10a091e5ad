"""The step `goto`."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from engine.models.expression import JinjaText
from engine.models.flow import Goto as Target
from engine.models.flow import Reference, Run, StepReference
from engine.steps import Step


class Goto(Step, type="goto"):
    """Goes on with another step of the flow; together with `when` it makes branches and loops."""

    step_name: JinjaText = Field(
        min_length=1,
        description="The name of the step to go on with (Jinja), or `__start__`, `__end__` (the flow succeeds), "
        "`__exit__` (the flow ends with the status `exit`).",
    )

    def run(self, run: Run) -> Target:
        return Target(run.render(self.step_name).strip())

    def references(self) -> Iterator[Reference]:
        if "{{" not in self.step_name and "{%" not in self.step_name:
            yield StepReference(self.step_name.strip())
