"""The step `flow`."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from engine.errors import StepFailed
from engine.models.flow import FlowReference, Reference, Run
from engine.models.job import Json
from engine.steps import Step


class Flow(Step, type="flow"):
    """Runs another flow in the same job. Its failure is this step's; the value is its `_data` without `__input__`."""

    path: str = Field(min_length=1, description="The flow's file, below FLOWS_PATH.")
    data_key: str | None = Field(
        None,
        description="What the sub-flow gets as `__input__`: the value at a key or dotted path, or `.` for the whole "
        "of `_data`. Without it, an object of all names this flow knows: the keys of `_data` that do not begin with "
        "`__`, over those of this flow's own `__input__`. Of these, a sub-flow that declares `inputs` gets those.",
    )

    def run(self, run: Run) -> Json:
        result = run.subflow(self.path, self._input(run), lenient=self.data_key is None)
        if result.failed:
            first = result.errors[0].get("error", "no reason given") if result.errors else "no reason given"
            raise StepFailed(f"sub-flow {self.path!r} failed: {first}")
        return result.data

    def _input(self, run: Run) -> Json:
        if self.data_key is not None:
            return run.lookup(self.data_key)
        given = run.data.get("__input__")
        own = {key: value for key, value in run.data.items() if not key.startswith("__")}
        return {**given, **own} if isinstance(given, dict) else own

    def references(self) -> Iterator[Reference]:
        yield FlowReference(self.path)
