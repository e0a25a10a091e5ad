"""The step `exit`."""

from __future__ import annotations

from pydantic import Field

from engine.models.expression import JinjaText
from engine.models.flow import Exit as Ending
from engine.models.flow import Run
from engine.steps import Step


class Exit(Step, type="exit"):
    """Ends the flow on purpose, with the status `exit`. In a sub-flow it ends only that sub-flow."""

    message: JinjaText = Field(
        "", description="Why (Jinja); it is stored under `result_key` and becomes the message of the job."
    )

    def run(self, run: Run) -> Ending:
        return Ending(run.render(self.message))
