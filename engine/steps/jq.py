"""The step `jq`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from engine.models.expression import JqProgram
from engine.models.flow import Run
from engine.models.job import Json
from engine.steps import Step


class Jq(Step, type="jq"):
    """Transforms data with a jq program."""

    expression: JqProgram = Field(min_length=1, description="The jq program, such as `.tickets | map(.id)`.")
    data_key: str | None = Field(
        None,
        description="The data the program sees: a key, a dotted path, or `.` for the whole of `_data`. "
        "Without it, `_data` over the keys of `__input__`.",
    )
    output: Literal["auto", "first", "all"] = Field(
        "auto",
        description="`auto`: one result is the value, none is null, several are a list. "
        "`first`: the first result or null. `all`: always a list.",
    )

    def run(self, run: Run) -> Json:
        results = run.jq(self.expression, self._data(run))
        match self.output:
            case "all":
                return results
            case "auto" if len(results) > 1:
                return results
        return results[0] if results else None

    def _data(self, run: Run) -> Json:
        if self.data_key is not None:
            return run.lookup(self.data_key)
        given = run.data.get("__input__")
        return {**given, **run.data} if isinstance(given, dict) else run.data
