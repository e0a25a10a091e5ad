"""One flow, step by step: `when`, `goto`, errors, `jq_expression`, `finally_step`; and the sub-flows it calls."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from engine import templating
from engine.errors import InputsInvalid, OctoflowError, StepFailed
from engine.models.flow import END, EXIT, NOTHING, START, Exit, Goto, StepSpec, SubflowResult
from engine.models.job import Json, StepStatus
from engine.runner.asked import Asked
from engine.runner.endings import FlowEnd, FlowFailed, LimitReached, Stopped, encode, entry_of
from engine.runner.job import JobRun
from engine.runner.loops import can_wait, in_threads
from engine.runner.telling import Telling

MAX_ERROR = 4_000
"""The most characters of an error's sentence that are kept: a program may raise all its data."""
SKIPPED = object()
"""Stands for the value of a step that a condition kept from running."""


class FlowRun(Asked):
    """One flow of a job, with its own `_data`; implements `engine.models.flow.Run`."""

    def __init__(
        self,
        job: JobRun,
        path: str,
        revision: str,
        input: Json,
        *,
        depth: int = 1,
        index: int | None = None,
        place: str | None = None,
        protected: bool = False,
    ) -> None:
        """`place` names the step of the outer flow that this one is in; None for the flow that was launched."""
        super().__init__(job, path, revision, input, index=index, protected=protected)
        self.flow = job.flow(revision, path)
        self.depth = depth
        self.place = place
        self._positions = {step.name: position for position, step in enumerate(self.flow.steps)}
        self._lost_items: list[dict[str, Any]] = []
        """The errors of a loop's failed items, until they are noted with the loop's own."""

    def execute(self) -> FlowEnd:
        """Run the steps, then the `finally_step`, whatever happened. Inside another flow a stop is raised on."""
        end, host = FlowEnd(), self.job.host
        with host.protected():
            try:
                with nullcontext() if self.protected else host.stoppable():
                    message = self._run_steps()
                if message is not None:
                    end = replace(end, status="exit", message=message)
            except FlowFailed as failure:
                end = end.failed(failure)
            except Stopped:
                end = replace(end, status="failed", reason="stopped")
                host.stopping()
            end = self.run_finally(end)
        if end.reason == "stopped" and self.place is not None:
            raise Stopped
        return end

    def run_finally(self, end: FlowEnd) -> FlowEnd:
        """Run the `finally_step`; its failure fails a flow that had not failed, and hides no earlier error."""
        if self.flow.finally_step is None:
            return end
        self.protected = True
        try:
            self._run_step(self.flow.steps[self._positions[self.flow.finally_step]], is_finally=True)
        except FlowFailed as failure:
            return end.failed(failure)
        return end

    def _run_steps(self) -> str | None:
        """Run the steps in their order, or as they steer; the message of an exit, None at the end."""
        steps = self.flow.steps
        position = 0
        while position < len(steps):
            step = steps[position]
            position += 1
            if step.name == self.flow.finally_step:
                continue
            match self._run_step(step):
                case Exit(message):
                    return message
                case Goto(name) if name == EXIT:
                    return f"step {step.name!r} went to {EXIT}"
                case Goto(name):
                    position = self._position(name)
        return None

    def _position(self, name: str) -> int:
        """Where the step of this name is in the list; StepFailed when there is none."""
        if name == START:
            return 0
        if name in (END, EXIT, self.flow.finally_step):
            return len(self.flow.steps)
        if name not in self._positions:
            raise StepFailed(f"there is no step {name!r} to go to (there are: {', '.join(self._positions)})")
        return self._positions[name]

    # One step

    def _run_step(self, step: StepSpec, *, is_finally: bool = False) -> Goto | Exit | None:
        """Run a step with its common keys and tell of its beginning and end; where it steers to, if it does."""
        self.stop_if_asked()
        number = self._number(step, is_finally)
        inside = self.place is not None
        with Telling(self.job, step, number, self.place, inside=inside, is_finally=is_finally) as telling:
            self.step = step
            return self._attempt(step, telling)

    def _number(self, step: StepSpec, is_finally: bool) -> int:
        try:
            # A finally_step runs always; one more than the limit does no harm.
            return self.job.next_number(beyond_limit=is_finally)
        except LimitReached as error:
            raise self._used_up(step, str(error)) from error

    def _attempt(self, step: StepSpec, telling: Telling) -> Goto | Exit | None:
        """Run the step unless a condition forbids, store its value, deal with its error."""
        try:
            value = self._guarded_value(step, telling)
            if value is SKIPPED:
                return None
            output = None
            if isinstance(value, Goto):
                self._position(value.step_name)
            elif value is not NOTHING:
                output = self._store(step, value.message if isinstance(value, Exit) else value)
            self._end(telling, step, StepStatus.SUCCESS, output)
            return value if isinstance(value, Goto | Exit) else None
        except LimitReached as error:
            raise self._used_up(step, str(error)) from error
        except MemoryError as error:
            raise self._used_up(
                step, f"step {step.name!r}: the job's memory limit was reached (JOB_MEMORY_MB)"
            ) from error
        except Exception as error:  # noqa: BLE001 - a fault in a step ends its flow in good order, finally_step included
            return self._settle(step, telling, error)

    def _used_up(self, step: StepSpec, text: str) -> FlowFailed:
        self._note(step, text, None)
        return FlowFailed(entry_of(step, text), "limit")

    def _guarded_value(self, step: StepSpec, telling: Telling) -> Any:
        """The step's value, or SKIPPED when a condition forbids it; its beginning is on disk if it has to be."""
        refusal = self._refusal(step)
        if refusal is not None:
            telling.end(StepStatus.SKIPPED, output=encode(refusal).decode())
            return SKIPPED
        if telling.durable:
            self.job.sync()
        return self._value(step)

    def _end(self, telling: Telling, step: StepSpec, status: StepStatus, output: str | None, error: str = "") -> None:
        telling.end(status, output=output, key=None if output is None else step.result_key, error=error)

    def _refusal(self, step: StepSpec) -> dict[str, Json] | None:
        """The first condition that does not hold and what it came to; None when the step is to run."""
        for condition in step.when:
            value = templating.evaluate_condition(condition, self.names)
            if not templating.holds(value):
                return {"when": condition, "value": value}
        return None

    def _value(self, step: StepSpec) -> Any:
        """What the step gives, after its `jq_expression`."""
        try:
            value = step.options.run(self)
        except StepFailed:
            self.stop_if_over()
            raise
        if step.jq_expression is None or value is NOTHING or isinstance(value, Goto | Exit):
            return value
        results = self.jq(step.jq_expression, value)
        return results[0] if len(results) == 1 else (results or None)

    def _store(self, step: StepSpec, value: Json) -> str | None:
        """Put the value into `_data`. Its JSON text, which proves that it is JSON, is what a row keeps of it.

        Inside a sub-flow there is no text: the step that called it proves and keeps all of it at once.
        """
        text = None
        if self.place is None:
            try:
                text = encode(value).decode()
            except (TypeError, ValueError, RecursionError) as error:
                raise StepFailed(f"its value is not JSON: {error}") from error
        self.data[step.result_key] = value
        return text

    def _settle(self, step: StepSpec, telling: Telling, error: Exception) -> Goto | None:
        """What an error comes to: forgiven, a way round, or the end of the flow."""
        text, pattern = _named(step, error), _forgiving(step, error)
        value = getattr(error, "value", None)
        try:
            output = None if value is None else self._store(step, value)
        except StepFailed as unfit:
            output, text = None, f"{text}; {unfit}"
        self._note(step, text, pattern)
        self._end(telling, step, StepStatus.FAILED if pattern is None else StepStatus.IGNORED, output, text)
        if pattern is not None:
            return None
        if step.on_error_goto is None:
            raise FlowFailed(entry_of(step, text)) from error
        return Goto(step.on_error_goto)

    def _note(self, step: StepSpec, text: str, pattern: str | None) -> None:
        """Add an error to `__errors__`, after those of the items that it sums up; `pattern` is what ignores it."""
        entries, self._lost_items = [*self._lost_items, entry_of(step, text)], []
        self.data["__errors__"] += entries if pattern is None else [{**entry, "ignored": pattern} for entry in entries]

    def run_step(self, step: StepSpec) -> Any:
        """Run a step inside the one that runs, with its own conditions, errors and `jq_expression`; its value.

        It is stored as well only under a `result_key` of its own: the outer step stores it under its key.
        """
        inside = self.place is not None
        with Telling(self.job, step, self.job.next_number(), self._place_within(), inside=inside) as telling:
            try:
                value = self._guarded_value(step, telling)
            except (StepFailed, OctoflowError, templating.ExpressionError) as error:
                text, pattern = _named(step, error), _forgiving(step, error)
                if pattern is None and step.on_error_goto is None:
                    raise
                self._note(step, text, pattern)
                self._end(telling, step, StepStatus.FAILED if pattern is None else StepStatus.IGNORED, None, text)
                if pattern is None and step.on_error_goto is not None:
                    return Goto(step.on_error_goto)
                shown = getattr(error, "value", None)
                value = NOTHING if shown is None else shown
            else:
                if value is SKIPPED:
                    return NOTHING
                self._end(telling, step, StepStatus.SUCCESS, None)
            if step.result_key != step.name and value is not NOTHING and not isinstance(value, Goto | Exit):
                self.data[step.result_key] = value
            return value

    def _place_within(self, index: int | None = None) -> str:
        """How a step run inside the step that runs says where it is."""
        name = self.step.name if self.step else self.flow.name
        name = name if index is None else f"{name}[{index}]"
        return name if self.place is None else f"{self.place} > {name}"

    # Sub-flows

    def subflow(self, path: str, input: Json, *, index: int | None = None, lenient: bool = False) -> SubflowResult:
        revision = self.part("flow", path)
        limit = self.job.limits.max_flow_depth
        place = self._place_within(index)
        if self.depth > limit:
            raise LimitReached(f"Flows are nested deeper than {limit}, which is the limit (MAX_FLOW_DEPTH): {place}.")
        input = self.job.input_of(revision, path, input, lenient=lenient)
        run = FlowRun(
            self.job,
            path,
            revision,
            input,
            depth=self.depth + 1,
            index=index,
            place=place,
            protected=self.protected,
        )
        end = run.execute()
        if end.reason == "limit":
            raise LimitReached(end.errors[0]["error"])
        data = {key: value for key, value in run.data.items() if key != "__input__"}
        return SubflowResult(data, end.status == "failed", end.errors)

    def loop(self, path: str, items: list[Json], *, max_workers: int) -> list[SubflowResult]:
        limit = self.job.limits.max_loop_items
        if len(items) > limit:
            raise LimitReached(f"A loop over {len(items)} items is over the limit of {limit} (MAX_LOOP_ITEMS).")

        def run(index: int) -> SubflowResult:
            try:
                return self.subflow(path, items[index], index=index + 1)
            except InputsInvalid as error:
                return SubflowResult({}, True, [{"step": path, "type": "flow", "error": str(error)}])

        workers = min(max_workers, len(items))
        if workers > 1 and can_wait(self.job, self.part("flow", path), path):
            results = in_threads(self.job, run, len(items), workers)
        else:
            results = [run(index) for index in range(len(items))]
        name = self.step.name if self.step else path
        self._lost_items = [
            {**entry, "step": f"{name}[{index}] > {entry['step']}"}
            for index, result in enumerate(results, 1)
            for entry in result.errors
        ]
        return results


def _named(step: StepSpec, error: Exception) -> str:
    return f"step {step.name!r}: {_sentence(error)}"


def _forgiving(step: StepSpec, error: Exception) -> str | None:
    """The first of the step's `ignore_errors` that is found in the error, not in the step's own name."""
    searched = (_sentence(error), getattr(error, "text", ""))
    return next((pattern.pattern for pattern in step.ignore_errors if any(map(pattern.search, searched))), None)


def _sentence(error: Exception) -> str:
    """An error as a user should read it; one that nobody foresaw names its type, for it is a fault of ours."""
    if isinstance(error, StepFailed | OctoflowError | templating.ExpressionError):
        text = str(error)
    elif isinstance(error, RecursionError):
        return "the data is nested too deeply"
    else:
        text = f"unexpected {type(error).__name__}: {error}"
    return text if len(text) <= MAX_ERROR else f"{text[:MAX_ERROR]}... ({len(text)} characters)"
