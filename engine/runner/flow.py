"""One flow, step by step: `when`, `goto`, errors, `jq_expression`, `finally_step`; and the sub-flows it calls."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from engine import templating
from engine.errors import OctoflowError, StepFailed
from engine.models.flow import END, EXIT, NOTHING, START, Exit, Goto, StepSpec, SubflowResult
from engine.models.job import Json, StepEnded, StepStarted, StepStatus
from engine.runner.asked import Asked
from engine.runner.endings import FlowEnd, FlowFailed, LimitReached, Stopped, encode, entry_of
from engine.runner.job import JobRun
from engine.runner.loops import can_wait, in_threads


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

    def execute(self) -> FlowEnd:
        """Run the steps, then the `finally_step`, whatever happened. Inside another flow a stop is raised on."""
        end, stopped = FlowEnd(), False
        try:
            message = self._run_steps()
            if message is not None:
                end = replace(end, status="exit", message=message)
        except FlowFailed as failure:
            end = end.failed(failure)
        except Stopped:
            stopped = True
            end = replace(end, status="failed", reason="stopped")
            self.job.host.stopping()
        end = self.run_finally(end)
        if stopped and self.place is not None:
            raise Stopped
        return end

    def run_finally(self, end: FlowEnd) -> FlowEnd:
        """Run the `finally_step`; its failure fails a flow that had not failed, and hides no earlier error."""
        if self.flow.finally_step is None:
            return end
        self.protected = True
        try:
            with self.job.host.protected():
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
                    position = self._position(name, step)
        return None

    def _position(self, name: str, step: StepSpec) -> int:
        if name == START:
            return 0
        if name in (END, self.flow.finally_step):
            return len(self.flow.steps)
        if name not in self._positions:
            known = ", ".join(self._positions)
            text = f"step {step.name!r}: there is no step {name!r} to go to (there are: {known})"
            raise FlowFailed(entry_of(step, text))
        return self._positions[name]

    # One step

    def _run_step(self, step: StepSpec, *, is_finally: bool = False) -> Goto | Exit | None:
        """Run a step with its common keys and tell of its beginning and end; where it steers to, if it does."""
        job, host = self.job, self.job.host
        self.stop_if_asked()
        number = self._number(step, is_finally)
        recorded = self.place is None or job.may_record()
        started = StepStarted(number, step.name, step.type, host.now(), self.place, is_finally)
        if recorded:
            host.emit(started, urgent=self.place is None)
        outer, self.step = self.step, step
        ended = StepEnded(number, StepStatus.STOPPED, started.time)
        try:
            ended, answer = self._attempt(step, number, durable=recorded and (is_finally or step.options.acts))
        except FlowFailed as failure:
            ended = replace(ended, status=StepStatus.FAILED, error=failure.entry["error"], time=host.now())
            if not recorded:
                recorded = True
                host.emit(started)
            raise
        finally:
            self.step = outer
            if recorded:
                host.emit(ended if ended.status is not StepStatus.STOPPED else replace(ended, time=host.now()))
        return answer

    def _number(self, step: StepSpec, is_finally: bool) -> int:
        try:
            return self.job.next_number()
        except LimitReached as error:
            if is_finally:  # It runs always; one more than the limit does no harm.
                return self.job.limits.max_step_runs + self.depth
            raise FlowFailed(entry_of(step, str(error)), "limit") from error

    def _attempt(self, step: StepSpec, number: int, *, durable: bool) -> tuple[StepEnded, Goto | Exit | None]:
        """Run the step unless a condition forbids; `durable` when its beginning must be on disk first."""
        host = self.job.host
        try:
            refusal = self._refusal(step)
            if refusal is not None:
                output = encode(refusal).decode() if self.place is None else None
                return StepEnded(number, StepStatus.SKIPPED, host.now(), output=output), None
            if durable:
                host.sync()
            value = self._value(step)
            output, answer = None, None
            if isinstance(value, Goto | Exit):
                answer = value
            if not isinstance(value, Goto) and value is not NOTHING:
                output = self._store(step, value.message if isinstance(value, Exit) else value)
            return self._ended(step, number, StepStatus.SUCCESS, output), answer
        except LimitReached as error:
            raise FlowFailed(entry_of(step, str(error)), "limit") from error
        except MemoryError as error:
            text = f"step {step.name!r}: the job's memory limit was reached"
            raise FlowFailed(entry_of(step, text), "limit") from error
        except Exception as error:  # noqa: BLE001 - a fault in a step ends its flow in good order, finally_step included
            return self._settle(step, number, error)

    def _ended(
        self, step: StepSpec, number: int, status: StepStatus, output: str | None, error: str | None = None
    ) -> StepEnded:
        key = step.result_key if output is not None else None
        return StepEnded(number, status, self.job.host.now(), error=error, result_key=key, output=output)

    def _refusal(self, step: StepSpec) -> dict[str, Json] | None:
        """The first condition that does not hold and what it came to; None when the step is to run."""
        for condition in step.when:
            value = templating.evaluate_condition(condition, self.names)
            if not templating.holds(value):
                return {"when": condition, "value": value}
        return None

    def _value(self, step: StepSpec) -> Any:
        """What the step gives, after its `jq_expression`."""
        value = step.options.run(self)
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

    def _settle(self, step: StepSpec, number: int, error: Exception) -> tuple[StepEnded, Goto | None]:
        """What an error comes to: forgiven, a way round, or the end of the flow."""
        text = f"step {step.name!r}: {_sentence(error)}"
        value = getattr(error, "value", None)
        output = None if value is None else self._store(step, value)
        forgiven, way_round = self._note(step, error, text)
        if not forgiven and way_round is None:
            raise FlowFailed(entry_of(step, text)) from error
        status = StepStatus.IGNORED if forgiven else StepStatus.FAILED
        return self._ended(step, number, status, output, text), way_round

    def _note(self, step: StepSpec, error: Exception, text: str) -> tuple[bool, Goto | None]:
        """Add the error to `__errors__`; whether `ignore_errors` forgives it, else where `on_error_goto` leads."""
        searched = (text, getattr(error, "text", text))
        pattern = next((p.pattern for p in step.ignore_errors if any(map(p.search, searched))), None)
        entry = entry_of(step, text)
        self.data["__errors__"].append(entry if pattern is None else {**entry, "ignored": pattern})
        way_round = None if pattern is not None or step.on_error_goto is None else Goto(step.on_error_goto)
        return pattern is not None, way_round

    def run_step(self, step: StepSpec) -> Any:
        """Run a step inside the one that runs, with its own conditions, errors and `jq_expression`; its value.

        It is stored as well only under a `result_key` of its own: the outer step stores it under its key.
        """
        if self._refusal(step) is not None:
            return NOTHING
        self.job.next_number()
        if step.options.acts:
            self.job.host.sync()
        try:
            value = self._value(step)
        except (StepFailed, OctoflowError, templating.ExpressionError) as error:
            if not step.ignore_errors and step.on_error_goto is None:
                raise
            forgiven, way_round = self._note(step, error, f"step {step.name!r}: {_sentence(error)}")
            if forgiven:
                return NOTHING
            if way_round is None:
                raise
            return way_round
        if step.result_key != step.name and value is not NOTHING and not isinstance(value, Goto | Exit):
            self.data[step.result_key] = value
        return value

    # Sub-flows

    def subflow(self, path: str, input: Json, *, index: int | None = None) -> SubflowResult:
        revision = self.part("flow", path)
        limit = self.job.limits.max_flow_depth
        if self.depth > limit:
            raise LimitReached(f"Flows are nested deeper than {limit}, which is the limit (MAX_FLOW_DEPTH).")
        name = self.step.name if self.step else path
        name = name if index is None else f"{name}[{index}]"
        run = FlowRun(
            self.job,
            path,
            revision,
            input,
            depth=self.depth + 1,
            index=index,
            place=name if self.place is None else f"{self.place} > {name}",
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
            return self.subflow(path, items[index], index=index + 1)

        workers = min(max_workers, len(items))
        if workers > 1 and can_wait(self.job, self.part("flow", path), path):
            return in_threads(self.job, run, len(items), workers)
        return [run(index) for index in range(len(items))]


def _sentence(error: Exception) -> str:
    """An error as a user should read it; one that nobody foresaw names its type, for it is a fault of ours."""
    if isinstance(error, StepFailed | OctoflowError | templating.ExpressionError):
        return str(error)
    if isinstance(error, RecursionError):
        return "the data is nested too deeply"
    return f"unexpected {type(error).__name__}: {error}"
