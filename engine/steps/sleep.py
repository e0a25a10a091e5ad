"""The step `sleep`."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from engine.errors import StepFailed
from engine.models.expression import Expressions, Language
from engine.models.flow import NOTHING, Nothing, Run
from engine.steps import Step

LONGEST = 2_592_000.0
"""Thirty days, as for timeouts."""


def _in_range(seconds: float | str) -> float | str:
    if not isinstance(seconds, str) and not 0 <= seconds <= LONGEST:
        raise ValueError(f"must be from 0 to {LONGEST:.0f}")
    return seconds


class Sleep(Step, type="sleep"):
    """Pauses the flow. It ends at once when the job is cancelled or out of time, and has no value."""

    seconds: Annotated[float | str, AfterValidator(_in_range), Expressions(Language.VALUE)] = Field(
        description="How long to pause, in seconds: a number (fractions allowed), or Jinja that gives one."
    )

    def run(self, run: Run) -> Nothing:
        run.sleep(_seconds(run.render_value(self.seconds)))
        return NOTHING


def _seconds(value: object) -> float:
    try:
        seconds = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else -1.0
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= LONGEST:
        raise StepFailed(f"seconds is {value!r}, which is not a number from 0 to {LONGEST:.0f}")
    return seconds
