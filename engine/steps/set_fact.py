"""The step `set_fact`."""

from __future__ import annotations

from pydantic import Field

from engine.models.expression import JinjaValue
from engine.models.flow import Run
from engine.models.job import Json
from engine.steps import Step


class SetFact(Step, type="set_fact"):
    """Puts a value into the flow's data."""

    value: JinjaValue = Field(
        description="Any JSON, with Jinja in its strings. A string that is one `{{ expression }}` keeps the type "
        "of the expression."
    )

    def run(self, run: Run) -> Json:
        return run.render_value(self.value)
