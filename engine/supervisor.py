"""One job from its claim to its finished row: lease, deadline, stop, kill, result.

The supervisor lives in the service, not in the job's process: a jq program holds its process's only interpreter lock, and
whoever shares that lock can neither renew a lease nor keep a deadline. It gets workers to talk to and knows no process.
"""

from __future__ import annotations

import json
import logging
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import Event as Flag
from typing import Any, Protocol

from engine.clock import Clock
from engine.errors import OctoflowError, Unavailable
from engine.frames import Channel, ChannelClosed, Frame, decode_event, readable
from engine.models.flow import Document
from engine.models.job import Claim, Event, Json, LogLine, Outcome, Reason, State, Status, StepEnded, StepStarted

log = logging.getLogger("octoflow.supervisor")

LEASE = timedelta(seconds=30)
RENEW_SECONDS = 10.0
RETRY_SECONDS = 1.0
FLUSH_SECONDS = 0.02
WORD_SECONDS = 2.0
"""How long a job's process may take to say that it heard a stop; in C code, as jq is, it never will."""

Observer = Callable[[Event], None]


class Worker(Protocol):
    """A process that runs jobs, as its supervisor sees it."""

    channel: Channel

    def exit_status(self, seconds: float) -> int | None: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...
    def discard(self) -> None: ...


class Workers(Protocol):
    """Where workers come from."""

    def take(self) -> Worker: ...
    def give(self, worker: Any) -> None: ...


class Jobs(Protocol):
    """What a supervisor asks of the store; every verb is refused (None, False) when the lease was lost."""

    def renew(self, id: str, owner_id: str, epoch: int, lease_until: datetime) -> State | None: ...
    def stop(self, id: str, owner_id: str, epoch: int, reason: str) -> bool: ...
    def record(
        self, id: str, owner_id: str, epoch: int, events: Sequence[Event], *, first_line: int | None = None
    ) -> bool: ...
    def finish(
        self,
        id: str,
        owner_id: str,
        epoch: int,
        outcome: Outcome,
        events: Sequence[Event],
        now: datetime,
        *,
        first_line: int | None = None,
    ) -> bool: ...
    def last_numbers(self, id: str) -> tuple[int, int]: ...
    def step_outputs(self, id: str) -> list[tuple[str, Json]]: ...
    def steps(self, id: str) -> list[Any]: ...


class Documents(Protocol):
    """The texts a job was launched with."""

    def bundle(self, revision: str) -> Mapping[str, Document]: ...


class Masker(Protocol):
    """Takes secrets out of what is kept."""

    def text(self, text: str) -> str: ...
    def json_text(self, text: str) -> str: ...
    def json(self, value: Json) -> Json: ...


class Secrets(Protocol):
    """The keeper of secrets."""

    def get(self, name: str) -> dict[str, str]: ...
    def mask(self) -> Masker: ...


@dataclass(frozen=True)
class Tools:
    """What every supervisor of a service shares."""

    jobs: Jobs
    documents: Documents
    secrets: Secrets
    workers: Workers
    clock: Clock
    limits: dict[str, Any]
    """`engine.runner.RunLimits` as a mapping."""
    memory_bytes: int
    max_result_bytes: int
    grace_seconds: float
    format_time: Callable[[datetime], str]
    """`__timestamp__` of a moment, in TIMEZONE."""


class LeaseLost(Exception):
    """The row is somebody else's by now: nothing more may be written about this job from here."""


@dataclass(slots=True)
class Ending:
    """How a conversation with a worker ended: with its `result`, or with its death (`exit_status`)."""

    result: dict[str, Any] | None = None
    payload: bytes = b""
    exit_status: int | None = None
    killed: bool = False


@dataclass(slots=True)
class Supervision:
    """One job's supervisor."""

    claim: Claim
    tools: Tools
    observer: Observer | None = None
    _reason: str | None = None
    _events: list[Event] = field(default_factory=list)
    _oldest_event: float = 0.0
    _outputs: dict[str, str] = field(default_factory=dict)
    _current: StepStarted | None = None
    _numbers: int = 0
    _lines: int = 0
    _finally_began: bool = False
    _lease_until: datetime | None = None
    _next_renewal: float = 0.0
    _wake: tuple[int, int] = (-1, -1)
    _done: Flag = field(default_factory=Flag)

    def stop(self, reason: str) -> None:
        """Ask the job to stop; any thread may. The first reason counts."""
        if self._reason is None:
            self._reason = reason
        with suppress(OSError):
            os.write(self._wake[1], b"!")

    def supervise(self) -> Outcome | None:
        """Run the job to its finished row; None when the lease was lost on the way."""
        self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._lease_until = self.tools.clock.now() + LEASE
        self._next_renewal = self.tools.clock.monotonic() + RENEW_SECONDS
        try:
            outcome = self._recover() if self.claim.reason else self._run()
            return self._finish(outcome)
        except LeaseLost:
            log.warning("job %s: the lease was lost; another process has taken the job over", self.claim.id)
            return None
        finally:
            wake, self._wake = self._wake, (-1, -1)
            for fd in wake:
                os.close(fd)

    # The course of a job

    def _run(self) -> Outcome:
        claim = self.claim
        payload = json.dumps(claim.data).encode()
        try:
            ending = self._converse(finally_only=False, payload=payload, seconds=claim.timeout_seconds)
        except OctoflowError as error:
            return Outcome(Status.FAILED, Reason.PROCESS_DIED, str(error), [self._error(str(error))])
        if ending.result is None:
            return self._died(ending)
        return self._outcome(ending.result, ending.payload)

    def _recover(self) -> Outcome:
        """A job whose worker was lost: its `finally_step`, over what its finished steps had stored."""
        claim, jobs = self.claim, self.tools.jobs
        self._reason = claim.reason
        rows = jobs.steps(claim.id)
        self._numbers, self._lines = jobs.last_numbers(claim.id)
        self._outputs = {key: json.dumps(value) for key, value in jobs.step_outputs(claim.id)}
        last = rows[-1] if rows else None
        text = _stop_sentence(claim.reason or Reason.WORKER_LOST, claim.timeout_seconds)
        entry = {"step": last.name if last else None, "type": last.type if last else None, "error": text}
        return self._with_finally(self._stopped_outcome([entry]))

    def _died(self, ending: Ending) -> Outcome:
        """The worker is gone without a result: say why, and run the `finally_step` in a fresh one."""
        if self._reason is not None:
            text = _stop_sentence(self._reason, self.claim.timeout_seconds)
            return self._with_finally(self._stopped_outcome([self._error(text)]))
        how, reason = _cause_of_death(ending.exit_status)
        place = f"step {self._current.name!r}: " if self._current else ""
        errors = [self._error(f"{place}the job's process {how}")]
        return self._with_finally(Outcome(Status.FAILED, reason, errors[0]["error"], errors))

    def _with_finally(self, outcome: Outcome) -> Outcome:
        data = self._rebuilt_data(outcome.errors)
        result = json.dumps(data)
        if not self.claim.has_finally or self._finally_began:
            return replace(outcome, result=result)
        message = {"errors": outcome.errors}
        try:
            ending = self._converse(
                finally_only=True, payload=result.encode(), seconds=self.tools.grace_seconds, extra=message
            )
        except OctoflowError as error:
            return replace(outcome, errors=[*outcome.errors, self._error(str(error))], result=result)
        if ending.result is None:
            text = f"the finally_step did not end within {self.tools.grace_seconds:g} seconds and was stopped"
            if not ending.killed:
                text = f"the finally_step's process {_cause_of_death(ending.exit_status)[0]}"
            return replace(outcome, errors=[*outcome.errors, self._error(text)], result=result)
        return replace(outcome, errors=ending.result["errors"], result=self._result_text(ending.payload)[0])

    def _outcome(self, result: dict[str, Any], payload: bytes) -> Outcome:
        text, over = self._result_text(payload)
        if result["reason"] == "stopped":
            error = self._error(_stop_sentence(self._reason or Reason.CANCELLED, self.claim.timeout_seconds))
            return replace(self._stopped_outcome([error, *result["errors"]]), result=text)
        outcome = Outcome(Status(result["status"]), result["reason"], result["message"], result["errors"], text)
        if outcome.status is Status.FAILED and outcome.message is None and outcome.errors:
            outcome = replace(outcome, message=outcome.errors[0]["error"])
        if over:
            limit = self.tools.max_result_bytes
            text = f"The result has {len(payload)} bytes, over the limit of {limit} (MAX_RESULT_BYTES); it was not kept."
            outcome = replace(outcome, reason=Reason.LIMIT, message=outcome.message or text)
        return outcome

    def _stopped_outcome(self, errors: list[dict[str, Any]]) -> Outcome:
        reason = self._reason or Reason.CANCELLED
        status = Status.CANCELLED if reason == Reason.CANCELLED else Status.FAILED
        return Outcome(status, reason, errors[0]["error"] if errors else None, errors)

    def _result_text(self, payload: bytes) -> tuple[str | None, bool]:
        if len(payload) > self.tools.max_result_bytes:
            return None, True
        return payload.decode(), False

    def _rebuilt_data(self, errors: list[dict[str, Any]]) -> dict[str, Json]:
        """`_data` as the steps that ended had left it."""
        claim = self.claim
        data: dict[str, Json] = {
            "__input__": claim.data,
            "__job_id__": claim.id,
            "__flow_path__": claim.path,
            "__timestamp__": self.tools.format_time(claim.start_time),
            "__loop_index__": None,
        }
        data.update((key, json.loads(text)) for key, text in self._outputs.items())
        data["__errors__"] = errors
        return data

    def _error(self, text: str) -> dict[str, Any]:
        current = self._current
        return {"step": current.name if current else None, "type": current.type if current else None, "error": text}

    # The conversation with a worker

    def _converse(
        self, *, finally_only: bool, payload: bytes, seconds: float | None, extra: Mapping[str, Any] | None = None
    ) -> Ending:
        """Hand the job to a worker and see it through; the worker is back or gone when this returns."""
        head = self._message(finally_only, seconds) | dict(extra or {})
        for attempt in (1, 2, 3):
            worker = self.tools.workers.take()
            heard = self._numbers, len(self._events)
            clean = False
            try:
                worker.channel.send((head, payload))
                talk = Talk(self, worker, seconds, finally_only)
                ending = talk.to_the_end()
                clean = ending.result is not None and bool(ending.result["reusable"]) and not talk.was_stopped
            except ChannelClosed:
                ending = Ending(exit_status=worker.exit_status(1.0))
            finally:
                if clean:
                    self.tools.workers.give(worker)
                else:
                    worker.discard()
            unheard = ending.result is None and not ending.killed and heard == (self._numbers, len(self._events))
            if not unheard or attempt == 3 or self._reason is not None:
                break
        return ending

    def _message(self, finally_only: bool, seconds: float | None) -> dict[str, Any]:
        claim, tools = self.claim, self.tools
        documents = tools.documents.bundle(claim.revision).values()
        return {
            "kind": "job",
            "job_id": claim.id,
            "path": claim.path,
            "revision": claim.revision,
            "documents": {doc.revision: {"text": doc.text, "parts": doc.parts} for doc in documents},
            "timestamp": tools.format_time(claim.start_time),
            "timeout_seconds": seconds,
            "finally_only": finally_only,
            "first_number": self._numbers + 1,
            "limits": tools.limits,
            "memory_bytes": tools.memory_bytes,
            "errors": [],
        }

    def answer(self, frame: Frame, worker: Worker) -> dict[str, Any] | None:
        """Deal with one message of the worker; its result when this was the last one."""
        kind = frame.head["kind"]
        if kind == "result":
            return frame.head
        if kind == "sync":
            self.flush()
            worker.channel.send(({}, b""))
        elif kind == "secret":
            worker.channel.send((self._secret(frame.head["name"]), b""))
        elif (event := decode_event(frame)) is not None:
            self._note(event)
        return None

    def _secret(self, name: str) -> dict[str, Any]:
        try:
            return {"secret": self.tools.secrets.get(name)}
        except OctoflowError as error:
            return {"error": str(error)}

    def _note(self, event: Event) -> None:
        if isinstance(event, StepStarted):
            self._numbers = max(self._numbers, event.number)
            if event.parent is None:
                self._current = event
            self._finally_began = self._finally_began or (event.is_finally and event.parent is None)
        elif isinstance(event, StepEnded) and event.output is not None and event.result_key is not None:
            self._outputs[event.result_key] = event.output
        if not self._events:
            self._oldest_event = self.tools.clock.monotonic()
        masked = self._masked(event)
        self._events.append(masked)
        if self.observer is not None:
            self.observer(masked)

    def _masked(self, event: Event) -> Event:
        mask = self.tools.secrets.mask()
        if isinstance(event, LogLine):
            return replace(event, message=mask.text(event.message))
        if isinstance(event, StepEnded) and (event.error is not None or event.output is not None):
            error = None if event.error is None else mask.text(event.error)
            output = None if event.output is None else mask.json_text(event.output)
            return replace(event, error=error, output=output)
        return event

    # The row

    def due_seconds(self) -> float:
        """Seconds until a renewal or a flush is due."""
        due = self._next_renewal
        if self._events:
            due = min(due, self._oldest_event + FLUSH_SECONDS)
        return max(0.0, due - self.tools.clock.monotonic())

    def keep_up(self) -> None:
        """Renew the lease and write events when that is due; LeaseLost when the row is no longer ours."""
        now = self.tools.clock.monotonic()
        if self._events and now >= self._oldest_event + FLUSH_SECONDS:
            self.flush()
        if now >= self._next_renewal:
            self._renew()

    def flush(self) -> None:
        """Put on disk what is known so far; a database that is busy is tried again later."""
        if not self._events:
            return
        claim = self.claim
        try:
            if not self.tools.jobs.record(
                claim.id, claim.owner, claim.epoch, self._events, first_line=self._lines + 1
            ):
                raise LeaseLost
        except Unavailable as error:
            self._oldest_event = self.tools.clock.monotonic() + RETRY_SECONDS
            log.warning("job %s: %s Its events are kept and tried again.", claim.id, error)
            return
        self._lines += sum(isinstance(event, LogLine) for event in self._events)
        self._events = []

    def note_stop(self, reason: str) -> None:
        """Let the row say that the job is stopping, and why: should this process die now, the sweep knows."""
        claim = self.claim
        with suppress(Unavailable):
            self.tools.jobs.stop(claim.id, claim.owner, claim.epoch, reason)

    def _renew(self) -> None:
        claim, clock = self.claim, self.tools.clock
        until = clock.now() + LEASE
        try:
            state = self.tools.jobs.renew(claim.id, claim.owner, claim.epoch, until)
        except Unavailable as error:
            log.warning("job %s: the lease could not be renewed: %s", claim.id, error)
            if self._lease_until is not None and clock.now() > self._lease_until:
                raise LeaseLost from error
            self._next_renewal = clock.monotonic() + RETRY_SECONDS
            return
        if state is None:
            raise LeaseLost
        self._lease_until = until
        self._next_renewal = clock.monotonic() + RENEW_SECONDS
        if state is State.STOPPING and self._reason is None:
            self.stop(Reason.CANCELLED)

    def _finish(self, outcome: Outcome) -> Outcome | None:
        """Close the row; a database that refuses is asked again until the lease ends."""
        mask = self.tools.secrets.mask()
        outcome = replace(
            outcome,
            message=None if outcome.message is None else mask.text(outcome.message),
            errors=mask.json(outcome.errors),
            result=None if outcome.result is None else mask.json_text(outcome.result),
        )
        claim, clock = self.claim, self.tools.clock
        while True:
            try:
                held = self.tools.jobs.finish(
                    claim.id,
                    claim.owner,
                    claim.epoch,
                    outcome,
                    self._events,
                    clock.now(),
                    first_line=self._lines + 1,
                )
                if not held:
                    raise LeaseLost
                return outcome
            except Unavailable as error:
                if self._lease_until is None or clock.now() > self._lease_until:
                    raise LeaseLost from error
                log.warning("job %s: its end could not be written: %s Trying again.", claim.id, error)
                clock.wait(self._done, RETRY_SECONDS)


class Talk:
    """One conversation: waits, watches the clocks, stops and kills."""

    def __init__(self, supervision: Supervision, worker: Worker, seconds: float | None, finally_only: bool) -> None:
        self._supervision = supervision
        self._worker = worker
        self._clock = supervision.tools.clock
        start = self._clock.monotonic()
        self._deadline = None if seconds is None else start + seconds
        self._kill_at: float | None = self._deadline if finally_only else None
        self._finally_only = finally_only
        self._heard_word = False
        self.was_stopped = False

    def to_the_end(self) -> Ending:
        """The worker's result, or its death."""
        job, worker = self._supervision, self._worker
        channel, wake = worker.channel, job._wake[0]
        while True:
            job.keep_up()
            self._watch()
            if self._kill_at is not None and self._clock.monotonic() >= self._kill_at:
                return self._kill()
            ready = readable([channel.fileno(), wake], self._patience())
            if wake in ready:
                os.read(wake, 64)
            if channel.fileno() not in ready:
                continue
            try:
                ending = self._hear(channel.receive_ready())
            except ChannelClosed:
                return Ending(exit_status=worker.exit_status(1.0))
            if ending is not None:
                return ending

    def _hear(self, frames: list[Frame]) -> Ending | None:
        for frame in frames:
            if frame.head["kind"] == "stopping":
                self._heard_word = True
                self._kill_at = self._clock.monotonic() + self._supervision.tools.grace_seconds
            result = self._supervision.answer(frame, self._worker)
            if result is not None:
                return Ending(result=result, payload=frame.payload)
        return None

    def _watch(self) -> None:
        """Send the stop that was asked for, or that the deadline asks for, once."""
        if self._finally_only or self.was_stopped:
            return
        job, now = self._supervision, self._clock.monotonic()
        if job._reason is None and self._deadline is not None and now >= self._deadline:
            job._reason = Reason.TIMEOUT
        if job._reason is not None:
            self.was_stopped = True
            self._kill_at = now + WORD_SECONDS
            self._worker.stop()
            job.note_stop(job._reason)

    def _kill(self) -> Ending:
        self._worker.kill()
        self.was_stopped = True
        with suppress(ChannelClosed):
            self._hear(self._worker.channel.drain())
        return Ending(killed=True, exit_status=-signal.SIGKILL)

    def _patience(self) -> float:
        wait = self._supervision.due_seconds()
        due = [at for at in (self._kill_at, None if self.was_stopped else self._deadline) if at is not None]
        if due:
            wait = min(wait, max(0.0, min(due) - self._clock.monotonic()))
        return wait


def _stop_sentence(reason: str, timeout_seconds: float | None) -> str:
    match reason:
        case Reason.TIMEOUT:
            return f"The job timed out after {timeout_seconds or 0:g} seconds."
        case Reason.CANCELLED:
            return "The job was cancelled."
        case Reason.SHUTDOWN:
            return "The job was stopped because its service was shut down."
        case Reason.WORKER_LOST:
            return "The process that ran the job was lost; its steps are not run again."
    return f"The job was stopped: {reason}."


def _cause_of_death(status: int | None) -> tuple[str, str]:
    """How a worker died, in words, and the job's reason."""
    if status is None:
        return "was lost", Reason.PROCESS_DIED
    if status >= 0:
        return f"ended with code {status}; the service log has its last words", Reason.PROCESS_DIED
    name = signal.Signals(-status).name
    match -status:
        case signal.SIGABRT:
            return f"was killed by {name}; jq does this when memory runs out", Reason.LIMIT
        case signal.SIGXCPU:
            return f"was killed by {name}: it used more processor time than its timeout allows", Reason.LIMIT
    return f"was killed by {name}", Reason.PROCESS_DIED

