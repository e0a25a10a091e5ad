"""One flow, step by step: `when`, `goto`, errors, `jq_expression`, `finally_step`; and its sub-flows, in the same process.

`JobRun` is the whole job: what it may use, its numbering, its HTTP session. `FlowRun` is one flow in it, with its own
`_data`; it is what a step sees as `Run`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from itertools import count
from pathlib import Path
from threading import Event as Flag
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from engine import templating
from engine.checking import parse_flow
from engine.errors import OctoflowError, StepFailed
from engine.files import Root
from engine.models.flow import END, EXIT, NOTHING, START, Exit, Flow, Goto, StepSpec, SubflowResult
from engine.models.job import Event, Json, LogLine, StepEnded, StepStarted, StepStatus
from engine.models.limits import RunLimits

if TYPE_CHECKING:
    import requests

CHUNK = 25
"""So many items of a loop are handed to a thread at once when there are many: a hand-over costs more than a small step."""


class Stopped(BaseException):
    """The job is to stop, now: raised in the main thread by a signal, in a loop's threads where they look."""


class FlowFailed(Exception):
    """A step's error ended the flow; `entry` is what the job's `errors` will hold."""

    def __init__(self, entry: dict[str, Any], reason: str = "step_error") -> None:
        super().__init__(entry["error"])
        self.entry = entry
        self.reason = reason


class LimitReached(Exception):
    """The job as a whole used up something it has a limit of; no `ignore_errors` forgives that."""


class Host(Protocol):
    """The process the runner is in, as far as a run needs it."""

    stopped: Flag

    def now(self) -> datetime: ...
    def emit(self, event: Event, *, urgent: bool = False) -> None: ...
    def sync(self) -> None: ...
    def secret(self, name: str) -> dict[str, str]: ...
    def stopping(self) -> None: ...


@dataclass(slots=True)
class FlowEnd:
    """How a flow ended. `status` is success, failed or exit."""

    status: str = "success"
    reason: str | None = None
    message: str | None = None
    errors: list[dict[str, Any]] = field(default_factory=list)
    data_json: bytes = b"{}"
    unclean: bool = False
    """Whether something of the job may live on in this process, so that no other job should run in it."""


class JobRun:
    """One job: its documents, its limits, what its flows share."""

    def __init__(
        self,
        host: Host,
        limits: RunLimits,
        *,
        job_id: str,
        path: str,
        revision: str,
        documents: Mapping[str, dict[str, Any]],
        timestamp: str,
        timeout_seconds: float | None,
        first_number: int = 1,
    ) -> None:
        self.host = host
        self.limits = limits
        self.job_id = job_id
        self.path = path
        self.revision = revision
        self.documents = documents
        self.timestamp = timestamp
        self.deadline = None if timeout_seconds is None else monotonic() + timeout_seconds
        self.files = Root(Path(limits.data_path), reserved=[Path(place) for place in limits.reserved], max_bytes=limits.max_file_bytes)
        self._numbers = count(first_number)
        self._recorded = count(1)
        self._lines = count(1)
        self._session: requests.Session | None = None
        self._input: Json = None
        self._left: tuple[dict[str, Json], list[dict[str, Any]]] = ({}, [])
        self.unclean = False

    @classmethod
    def from_json(cls, job: Mapping[str, Any], payload: bytes, host: Host, limits: RunLimits) -> JobRun:
        """The run that a service's message describes; the payload is the input, or the `_data` a lost run left."""
        run = cls(
            host,
            limits,
            job_id=job["job_id"],
            path=job["path"],
            revision=job["revision"],
            documents=job["documents"],
            timestamp=job["timestamp"],
            timeout_seconds=job["timeout_seconds"],
            first_number=job["first_number"],
        )
        value = json.loads(payload)
        if job["finally_only"]:
            run._left = (value, job["errors"])
        else:
            run._input = value
        return run

    def execute(self) -> FlowEnd:
        """Run the flow, its `finally_step` included; a stop is not raised on: who sent it knows."""
        flow = FlowRun(self, self.path, self.revision, self._input)
        return self._close(flow, flow.execute())

    def finally_only(self) -> FlowEnd:
        """Run nothing but the `finally_step`, over what a lost or killed run left."""
        data, errors = self._left
        flow = FlowRun(self, self.path, self.revision, data.get("__input__"))
        flow.data.update(data)
        end = FlowEnd(errors=list(errors))
        flow.run_finally(end)
        return self._close(flow, end)

    def _close(self, flow: FlowRun, end: FlowEnd) -> FlowEnd:
        if self._session is not None:
            self._session.close()
        try:
            end.data_json = _encode(flow.data)
        except (ValueError, MemoryError) as error:
            end.status, end.reason = "failed", end.reason or "limit"
            end.errors.append({"step": None, "type": None, "error": f"The result could not be written: {error}."})
        end.unclean = self.unclean
        return end

    def session(self) -> requests.Session:
        """One HTTP session for the job: connections are kept for its steps, and closed at its end."""
        if self._session is None:
            import requests
            from requests.adapters import HTTPAdapter

            session = requests.Session()
            session.trust_env = False
            adapter = HTTPAdapter(pool_connections=16, pool_maxsize=64)
            session.mount("http://", adapter)
            session.mount("https://", adapter)
            self._session = session
        return self._session

    def next_number(self) -> int:
        """The next step run's number, from 1; LimitReached when there were too many."""
        number = next(self._numbers)
        if number > self.limits.max_step_runs:
            raise LimitReached(
                f"The job ran {self.limits.max_step_runs} steps, which is the limit (MAX_STEP_RUNS)."
            )
        return number

    def may_record(self) -> bool:
        """Whether one more step run inside a sub-flow gets a row of its own."""
        return next(self._recorded) <= self.limits.max_recorded_steps

    def log(self, level: str, message: str, step: str | None) -> None:
        line = next(self._lines)
        if line < self.limits.max_log_lines:
            self.host.emit(LogLine(self.host.now(), level, message, step), urgent=level in ("warning", "error"))
        elif line == self.limits.max_log_lines:
            text = f"{line} lines were logged, which is the limit (MAX_LOG_LINES); no more are kept."
            self.host.emit(LogLine(self.host.now(), "warning", text, step))

    def flow_at(self, revision: str, path: str) -> Flow:
        return _parsed(revision, path, self.documents[revision]["text"])


@lru_cache(maxsize=256)
def _parsed(revision: str, path: str, text: str) -> Flow:
    return parse_flow(path, text)


class FlowRun:
    """One flow of a job, with its own `_data`; implements `engine.models.flow.Run`."""

    def __init__(
        self,
        job: JobRun,
        path: str,
        revision: str,
        input: Json,
        *,
        ancestors: tuple[str, ...] = (),
        index: int | None = None,
        place: str | None = None,
        protected: bool = False,
    ) -> None:
        self.job = job
        self.protected = protected
        """Whether this is part of a `finally_step`: then a stop that was heard before does not end it."""
        self.path = path
        self.document = job.documents[revision]
        self.flow = job.flow_at(revision, path)
        self.ancestors = (*ancestors, revision)
        self.place = place
        self.data: dict[str, Json] = {
            "__input__": input,
            "__job_id__": job.job_id,
            "__flow_path__": path,
            "__timestamp__": job.timestamp,
            "__loop_index__": index,
            "__errors__": [],
        }
        self.names = templating.Names(self.data, input) if isinstance(input, dict) else templating.Names(self.data)
        self._step: StepSpec | None = None
        self._positions = {step.name: position for position, step in enumerate(self.flow.steps)}

    # The flow

    def execute(self) -> FlowEnd:
        """Run the steps, then the `finally_step`, whatever happened."""
        end = FlowEnd()
        try:
            message = self._steps()
            if message is not None:
                end.status, end.message = "exit", message
        except FlowFailed as failure:
            end.status, end.reason, end.errors = "failed", failure.reason, [failure.entry]
        except Stopped:
            end.status, end.reason = "failed", "stopped"
            self.job.host.stopping()
            if self.place is not None:
                self.run_finally(end)
                raise
        self.run_finally(end)
        return end

    def run_finally(self, end: FlowEnd) -> None:
        """Run the `finally_step`; its failure fails a flow that had not failed, and hides no earlier error."""
        name = self.flow.finally_step
        if name is None:
            return
        self.protected = True
        try:
            self._run_recorded(self.flow.steps[self._positions[name]], is_finally=True)
        except FlowFailed as failure:
            end.errors.append(failure.entry)
            if end.status != "failed":
                end.status, end.reason = "failed", failure.reason

    def _steps(self) -> str | None:
        """Run the steps in their order, or as they steer; the message of an exit, None at the end."""
        steps = self.flow.steps
        position = 0
        while position < len(steps):
            step = steps[position]
            position += 1
            if step.name == self.flow.finally_step:
                continue
            answer = self._run_recorded(step)
            if isinstance(answer, Exit):
                return answer.message
            if isinstance(answer, Goto):
                if answer.step_name == EXIT:
                    return ""
                position = self._position(answer.step_name, step)
        return None

    def _position(self, name: str, step: StepSpec) -> int:
        if name == START:
            return 0
        if name == END or name == self.flow.finally_step:
            return len(self.flow.steps)
        if name not in self._positions:
            known = ", ".join(self._positions)
            raise FlowFailed(_entry(step, f"step {step.name!r}: there is no step {name!r} to go to (there are: {known})"))
        return self._positions[name]

    # One step

    def _run_recorded(self, step: StepSpec, *, is_finally: bool = False) -> Goto | Exit | None:
        """Run a step of this flow with its common keys; where it steers to, if it does."""
        job, host = self.job, self.job.host
        if self.place is not None:
            self._stop_if_asked()
        try:
            number = job.next_number()
        except LimitReached as error:
            if not is_finally:
                raise FlowFailed(_entry(step, str(error)), "limit") from error
            number = job.limits.max_step_runs + 1
        recorded = self.place is None or job.may_record()
        started = StepStarted(number, step.name, step.type, host.now(), self.place, is_finally)
        if recorded:
            host.emit(started, urgent=self.place is None)
        outer, self._step = self._step, step
        ended = StepEnded(number, StepStatus.FAILED, started.time)
        try:
            ended, answer = self._attempt(step, number, is_finally=is_finally, recorded=recorded)
        except FlowFailed as failure:
            ended = StepEnded(number, StepStatus.FAILED, host.now(), error=failure.entry["error"])
            if not recorded:
                host.emit(started)
                recorded = True
            raise
        except Stopped:
            ended = StepEnded(number, StepStatus.STOPPED, host.now())
            raise
        finally:
            self._step = outer
            if recorded:
                host.emit(ended)
        return answer

    def _attempt(
        self, step: StepSpec, number: int, *, is_finally: bool, recorded: bool
    ) -> tuple[StepEnded, Goto | Exit | None]:
        host = self.job.host
        stored: str | None = None
        answer: Goto | Exit | None = None
        try:
            refusal = self._refusal(step)
            if refusal is not None:
                output = _encode(refusal).decode() if self.place is None else None
                return StepEnded(number, StepStatus.SKIPPED, host.now(), output=output), None
            if recorded and (is_finally or step.options.acts):
                host.sync()
            value = self._value(step)
            if isinstance(value, Goto):
                answer = value
            elif isinstance(value, Exit):
                answer = value
                stored = self._store(step, value.message)
            elif value is not NOTHING:
                stored = self._store(step, value)
            key = step.result_key if stored is not None else None
            return StepEnded(number, StepStatus.SUCCESS, host.now(), result_key=key, output=stored), answer
        except LimitReached as error:
            raise FlowFailed(_entry(step, str(error)), "limit") from error
        except FlowFailed:
            raise
        except MemoryError as error:
            raise FlowFailed(_entry(step, f"step {step.name!r}: the job's memory limit was reached"), "limit") from error
        except Exception as error:
            return self._failed(step, number, error)

    def _value(self, step: StepSpec) -> Any:
        """What the step gives, after its `jq_expression`."""
        value = step.options.run(self)
        if step.jq_expression is None or value is NOTHING or isinstance(value, Goto | Exit):
            return value
        results = self.jq(step.jq_expression, value)
        return results[0] if len(results) == 1 else (results or None)

    def _refusal(self, step: StepSpec) -> dict[str, Json] | None:
        """The first condition that does not hold and what it came to; None when the step is to run."""
        for condition in step.when:
            value = templating.evaluate_condition(condition, self.names)
            if not templating.holds(value):
                return {"when": condition, "value": value}
        return None

    def _store(self, step: StepSpec, value: Json) -> str | None:
        """Put the value into `_data`; its JSON text for a step whose output is kept. The text is the proof that it is JSON."""
        if self.place is not None:
            self.data[step.result_key] = value
            return None
        try:
            text = _encode(value).decode()
        except (TypeError, ValueError, RecursionError) as error:
            raise StepFailed(f"its value is not JSON: {error}") from error
        self.data[step.result_key] = value
        return text

    def _failed(self, step: StepSpec, number: int, error: Exception) -> tuple[StepEnded, Goto | None]:
        """What an error comes to: forgiven, a way round, or the end of the flow."""
        text = f"step {step.name!r}: {_sentence(error)}"
        searched = getattr(error, "text", text)
        stored = None
        if (value := getattr(error, "value", None)) is not None:
            stored = self._store(step, value)
        entry = _entry(step, text)
        errors: list[Json] = self.data["__errors__"]
        pattern = next((p.pattern for p in step.ignore_errors if p.search(searched) or p.search(text)), None)
        key = step.result_key if stored is not None else None
        now = self.job.host.now()
        if pattern is not None:
            errors.append({**entry, "ignored": pattern})
            return StepEnded(number, StepStatus.IGNORED, now, error=text, result_key=key, output=stored), None
        if step.on_error_goto is not None:
            errors.append(entry)
            ended = StepEnded(number, StepStatus.FAILED, now, error=text, result_key=key, output=stored)
            return ended, Goto(step.on_error_goto)
        errors.append(entry)
        raise FlowFailed(entry) from error

    # What a step may ask

    def lookup(self, data_key: str) -> Json:
        if data_key == ".":
            return self.data
        sources = [self.data] + ([self.data["__input__"]] if isinstance(self.data["__input__"], dict) else [])
        for source in sources:
            if data_key in source:
                return source[data_key]
        for source in sources:
            found, value = _follow(source, data_key.split("."))
            if found:
                return value
        raise StepFailed(f"data_key {data_key!r} is not there (there are: {', '.join(map(str, self.names)) or 'no keys'})")

    def render(self, template: str) -> str:
        return templating.render(template, self.names, limit=self.job.limits.max_rendered_bytes)

    def render_value(self, value: Json) -> Json:
        return templating.render_value(value, self.names, limit=self.job.limits.max_rendered_bytes)

    def render_with(self, template: str, data: Json) -> str:
        own: dict[str, Json] = {**data, "data": data} if isinstance(data, dict) else {"data": data}
        return templating.render(template, templating.Names(own, *self.names.maps), limit=self.job.limits.max_rendered_bytes)

    def jq(self, expression: str, value: Json) -> list[Json]:
        return templating.jq_all(expression, value)

    def secret(self, name: str) -> dict[str, str]:
        return self.job.host.secret(name)

    def http(self) -> requests.Session:
        return self.job.session()

    def template(self, path: str) -> str:
        revision = self.document["parts"].get(f"template:{path}")
        if revision is None:
            raise StepFailed(f"template {path!r} is not part of this flow's revision")
        text: str = self.job.documents[revision]["text"]
        return text

    def read_file(self, path: str) -> bytes:
        return self.job.files.read(path)

    def write_file(self, path: str, content: bytes) -> None:
        self.job.files.write(path, content)

    def append_file(self, path: str, content: bytes) -> None:
        self.job.files.append(path, content)

    def subflow(self, path: str, input: Json, *, index: int | None = None) -> SubflowResult:
        name = self._step.name if self._step else path
        place = name if index is None else f"{name}[{index}]"
        place = place if self.place is None else f"{self.place} > {place}"
        revision = self.document["parts"].get(f"flow:{path}")
        if revision is None:
            raise StepFailed(f"flow {path!r} is not part of this flow's revision")
        if len(self.ancestors) >= self.job.limits.max_flow_depth:
            raise LimitReached(
                f"Flows are nested deeper than {self.job.limits.max_flow_depth}, which is the limit (MAX_FLOW_DEPTH)."
            )
        run = FlowRun(
            self.job, path, revision, input, ancestors=self.ancestors, index=index, place=place,
            protected=self.protected,
        )  # fmt: skip
        end = run.execute()
        if end.reason == "limit":
            raise LimitReached(end.errors[0]["error"])
        data = {key: value for key, value in run.data.items() if key != "__input__"}
        return SubflowResult(data, end.status == "failed", end.errors)

    def loop(self, path: str, items: list[Json], *, max_workers: int) -> list[SubflowResult]:
        limit = self.job.limits.max_loop_items
        if len(items) > limit:
            raise LimitReached(f"A loop over {len(items)} items is over the limit of {limit} (MAX_LOOP_ITEMS).")
        workers = min(max_workers, len(items))
        if workers <= 1 or not self._waits(path):
            return [self.subflow(path, item, index=index) for index, item in enumerate(items, 1)]
        return self._in_threads(path, items, workers)

    def _waits(self, path: str) -> bool:
        """Whether the flow does anything that threads could do at the same time: pure steps only take turns."""
        revision = self.document["parts"].get(f"flow:{path}")
        return revision is None or _can_wait(self.job, revision, path)

    def _in_threads(self, path: str, items: list[Json], workers: int) -> list[SubflowResult]:
        from concurrent.futures import ThreadPoolExecutor, wait

        def run(start: int) -> list[SubflowResult]:
            chunk = items[start : start + size]
            return [self.subflow(path, item, index=start + offset) for offset, item in enumerate(chunk, 1)]

        size = max(1, min(CHUNK, len(items) // (workers * 4)))
        pool = ThreadPoolExecutor(workers, thread_name_prefix="loop")
        futures = [pool.submit(run, start) for start in range(0, len(items), size)]
        try:
            return [result for future in futures for result in future.result()]
        except BaseException as error:
            pool.shutdown(wait=False, cancel_futures=True)
            if isinstance(error, Stopped):
                wait(futures, timeout=2)
            self.job.unclean = True
            raise
        finally:
            pool.shutdown(wait=False)

    def run_step(self, step: StepSpec) -> Any:
        if self._refusal(step) is not None:
            return NOTHING
        self.job.next_number()
        if step.options.acts:
            self.job.host.sync()
        try:
            value = self._value(step)
        except (StepFailed, templating.ExpressionError) as error:
            text = getattr(error, "text", str(error))
            pattern = next((p.pattern for p in step.ignore_errors if p.search(text)), None)
            if pattern is not None:
                self.data["__errors__"].append({**_entry(step, str(error)), "ignored": pattern})
                return NOTHING
            if step.on_error_goto is not None:
                self.data["__errors__"].append(_entry(step, str(error)))
                return Goto(step.on_error_goto)
            raise
        if value is not NOTHING and step.result_key != step.name and not isinstance(value, Goto | Exit):
            self.data[step.result_key] = value
        return value

    def sleep(self, seconds: float) -> None:
        (Flag() if self.protected else self.job.host.stopped).wait(seconds)
        self._stop_if_asked()

    def _stop_if_asked(self) -> None:
        if self.job.host.stopped.is_set() and not self.protected:
            raise Stopped

    def remaining_seconds(self) -> float:
        return float("inf") if self.job.deadline is None else self.job.deadline - monotonic()

    def log(self, level: str, message: str) -> None:
        self.job.log(level, message, self._step.name if self._step else None)


def _can_wait(job: JobRun, revision: str, path: str) -> bool:
    flow = job.flow_at(revision, path)
    if any(step.options.acts or step.type == "sleep" for step in flow.steps):
        return True
    parts: dict[str, str] = job.documents[revision]["parts"]
    return any(
        _can_wait(job, part, name.removeprefix("flow:")) for name, part in parts.items() if name.startswith("flow:")
    )


def _entry(step: StepSpec, error: str) -> dict[str, Any]:
    return {"step": step.name, "type": step.type, "error": error}


def _sentence(error: Exception) -> str:
    """An error as a user should read it; one that nobody foresaw names its type, for it is a fault of ours."""
    if isinstance(error, StepFailed | OctoflowError | templating.ExpressionError):
        return str(error)
    if isinstance(error, RecursionError):
        return "the data is nested too deeply"
    return f"unexpected {type(error).__name__}: {error}"


def _follow(value: Json, path: list[str]) -> tuple[bool, Json]:
    for key in path:
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return False, None
    return True, value


def _encode(value: Json) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
