"""The step `flow_loop`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import Field

from engine.errors import StepFailed
from engine.models.flow import FlowReference, Reference, Run, SubflowResult
from engine.models.job import Json
from engine.steps import Step


class FlowLoop(Step, type="flow_loop"):
    """Runs another flow once for each item of a list, several at a time. The value is the list of their `_data`.

    When items fail the step fails, after all have ended; in their places the list then holds objects with `__index__`,
    `status` and `errors`.
    """

    path: str = Field(min_length=1, description="The flow's file, below FLOWS_PATH.")
    data_key: str = Field(
        description="A key or dotted path of the list; each item is the `__input__` of its sub-flow, "
        "and its place, from 1, the sub-flow's `__loop_index__`."
    )
    max_workers: int = Field(8, ge=1, le=64, description="How many items are worked on at the same time.")

    def run(self, run: Run) -> Json:
        items = run.lookup(self.data_key)
        if not isinstance(items, list):
            raise StepFailed(f"data_key {self.data_key!r} must lead to a list, and leads to {_kind(items)}")
        results = run.loop(self.path, items, max_workers=self.max_workers)
        values = [_value(index, result) for index, result in enumerate(results, 1)]
        failed = [value for value, result in zip(values, results, strict=True) if result.failed]
        if failed:
            raise StepFailed(_message(failed, len(values)), value=values)
        return values

    def references(self) -> Iterator[Reference]:
        yield FlowReference(self.path)


def _value(index: int, result: SubflowResult) -> dict[str, Json]:
    if not result.failed:
        return result.data
    return {"__index__": index, "status": "failed", "errors": result.errors}


def _message(failed: list[dict[str, Any]], count: int) -> str:
    errors = failed[0]["errors"]
    first = errors[0].get("error", "no reason given") if errors else "no reason given"
    return f"{len(failed)} of {count} items failed; the first: item {failed[0]['__index__']}: {first}"


def _kind(value: Json) -> str:
    names: dict[type, str] = {dict: "an object", str: "a text", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), "null")
