"""One job's course: run it, see it end or die, run its `finally_step` if it could not, close its row."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from engine.errors import OctoflowError
from engine.frames import ChannelClosed, Frame, decode_event
from engine.models.job import (
    Claim,
    Event,
    Json,
    LogLine,
    Outcome,
    Owner,
    Reason,
    Status,
    StepEnded,
    StepStarted,
    StepStatus,
)
from engine.supervisor.asking import Question
from engine.supervisor.causes import cause_of_death, stop_sentence
from engine.supervisor.hiding import JobMask
from engine.supervisor.row import HeldRow, LeaseLost
from engine.supervisor.talk import Ending, StopOrder, Talk
from engine.supervisor.tools import Observer, Tools, Worker

log = logging.getLogger("octoflow.supervisor")

ATTEMPTS = 3
"""A worker that dies before its first word has run nothing: another one may try."""


class Supervision:
    """One job's supervisor; `observer` hears of its events."""

    def __init__(
        self,
        claim: Claim,
        tools: Tools,
        observer: Observer | None = None,
        next_owner: Callable[[], Owner | None] = lambda: None,
    ) -> None:
        """`next_owner` is asked at the job's end: whom it names gets the next pending job as `next`."""
        self._claim = claim
        self._log = logging.LoggerAdapter(log, {"job": claim.id})
        self._tools = tools
        self._observer = observer
        self._row = HeldRow(claim, tools, next_owner)
        self._mask = JobMask(tools.secrets, claim.secrets)
        self._order = StopOrder()
        self._outputs: dict[str, str] = {}
        self._current: StepStarted | None = None
        self._last_number = 0
        self._failure: str | None = None
        """The error of the flow's step that began last, if it failed: what a `finally_step` must not hide."""
        self._question: Question | None = None
        """The last question for a secret; a worker has one at a time."""
        self._heard = 0
        self._output_bytes = 0
        self._finally: StepStarted | None = None
        """The `finally_step`, once it has begun: it is not begun again."""

    @property
    def next(self) -> Claim | None:
        """The job that was claimed when this one was closed."""
        return self._row.next

    def stop(self, reason: str) -> None:
        """Ask the job to stop; any thread may. The first reason counts."""
        self._order.give(reason)

    def supervise(self) -> Outcome | None:
        """Run the job to its finished row; None when the lease was lost on the way."""
        try:
            try:
                self._row.insist(self._order.open)
                outcome = self._masked_outcome(self._recover() if self._claim.reason else self._run())
                self._row.finish(outcome)
            except LeaseLost:
                raise
            except Exception:
                log.exception("job %s: its supervisor failed", self._claim.id, extra={"job": self._claim.id})
                outcome = self._give_up()
            self._log_end(outcome)
            return outcome
        except LeaseLost:
            self._log.warning("job %s: the lease was lost; another process has taken the job over", self._claim.id)
            return None
        finally:
            self._order.close()

    # The course of a job

    def _run(self) -> Outcome:
        claim = self._claim
        if self._order.reason is not None:  # It was stopped before it began.
            return self._with_finally(self._stopped([self._error(stop_sentence(self._order.reason, None))]))
        try:
            ending = self._converse(json.dumps(claim.data).encode(), claim.timeout_seconds)
        except OctoflowError as error:
            return Outcome(Status.FAILED, Reason.PROCESS_DIED, str(error), [self._error(str(error))])
        if ending.result is None:
            return self._died(ending)
        return self._outcome(ending.result, ending.payload)

    def _recover(self) -> Outcome:
        """A job whose worker was lost: its `finally_step`, over what its finished steps had stored."""
        claim, jobs = self._claim, self._tools.jobs
        reason = claim.reason or Reason.WORKER_LOST
        self._order.give(reason)
        self._last_number, self._row.lines = self._row.insist(lambda: jobs.last_numbers(claim.id))
        outputs = self._row.insist(lambda: jobs.step_outputs(claim.id))
        self._outputs = {key: json.dumps(value) for key, value in outputs}
        known = self._row.insist(lambda: jobs.get(claim.id)).errors
        errors = known or [self._error(stop_sentence(reason, claim.timeout_seconds))]
        return self._with_finally(self._stopped(errors))

    def _died(self, ending: Ending) -> Outcome:
        """The worker is gone without a result: say why, and run the `finally_step` in a fresh one."""
        cut_short = [self._error(self._finally_sentence(ending), self._finally)] if self._finally else []
        if self._order.reason is not None:
            text = stop_sentence(self._order.reason, self._claim.timeout_seconds)
            return self._with_finally(self._stopped([self._error(text), *cut_short]))
        how, reason = cause_of_death(ending.exit_status, self._tools.memory_bytes)
        place = f"step {self._current.name!r}: " if self._current else ""
        errors = cut_short or [self._error(f"{place}the job's process {how}")]
        if self._failure is not None:
            errors, reason = [self._error(self._failure), *errors], Reason.STEP_ERROR
        return self._with_finally(Outcome(Status.FAILED, reason, errors[0]["error"], errors))

    def _with_finally(self, outcome: Outcome) -> Outcome:
        """The outcome after the `finally_step`, run in a fresh worker if there is one and it has not begun."""
        data = json.dumps(self._rebuilt_data(outcome.errors)).encode()
        if not self._claim.has_finally or self._finally is not None:
            return self._within_limit(outcome, data)
        grace = self._tools.grace_seconds
        try:
            ending = self._converse(data, grace, finally_errors=outcome.errors)
        except OctoflowError as error:
            return self._within_limit(replace(outcome, errors=[*outcome.errors, self._error(str(error))]), data)
        if ending.result is not None:
            return self._within_limit(replace(outcome, errors=ending.result["errors"]), ending.payload)
        errors = [*outcome.errors, self._error(self._finally_sentence(ending), self._finally)]
        return self._within_limit(replace(outcome, errors=errors), data)

    def _finally_sentence(self, ending: Ending) -> str:
        """What is said of a `finally_step` that did not end by itself."""
        if ending.killed:
            return f"the finally_step was stopped: it may take {self._tools.grace_seconds:g} seconds (GRACE_SECONDS)"
        return f"the finally_step's process {cause_of_death(ending.exit_status, self._tools.memory_bytes)[0]}"

    def _outcome(self, result: Mapping[str, Any], payload: bytes) -> Outcome:
        """What the worker's result comes to."""
        errors: list[dict[str, Any]] = result["errors"]
        if result["reason"] == "stopped":
            reason = self._order.reason or Reason.CANCELLED
            outcome = self._stopped([self._error(stop_sentence(reason, self._claim.timeout_seconds)), *errors])
        else:
            message = result["message"] or (errors[0]["error"] if errors else None)
            outcome = Outcome(Status(result["status"]), result["reason"], message, errors)
        return self._within_limit(outcome, payload)

    def _stopped(self, errors: list[dict[str, Any]]) -> Outcome:
        reason = self._order.reason or Reason.CANCELLED
        status = Status.CANCELLED if reason == Reason.CANCELLED else Status.FAILED
        return Outcome(status, reason, errors[0]["error"], errors)

    def _within_limit(self, outcome: Outcome, payload: bytes) -> Outcome:
        """The outcome with its result, or without it and saying so: the status is never lost with it."""
        limit = self._tools.max_result_bytes
        if len(payload) <= limit:
            return replace(outcome, result=payload.decode())
        text = f"The result has {len(payload)} bytes, over the limit of {limit} (MAX_RESULT_BYTES); it was not kept."
        errors = [*outcome.errors, {"step": None, "type": None, "error": text}]
        return replace(outcome, reason=Reason.LIMIT, message=outcome.message or text, errors=errors, result=None)

    def _rebuilt_data(self, errors: list[dict[str, Any]]) -> dict[str, Json]:
        """`_data` as the steps that ended had left it."""
        claim = self._claim
        data: dict[str, Json] = {
            "__input__": claim.data,
            "__job_id__": claim.id,
            "__flow_path__": claim.path,
            "__timestamp__": self._tools.format_time(claim.start_time),
            "__loop_index__": None,
        }
        data.update((key, json.loads(text)) for key, text in self._outputs.items())
        data["__errors__"] = errors
        return data

    def _error(self, text: str, step: StepStarted | None = None) -> dict[str, Any]:
        """An entry of the job's errors, about the flow's step that began last unless another is given."""
        step = step or self._current
        return {"step": step.name if step else None, "type": step.type if step else None, "error": text}

    def _give_up(self) -> Outcome:
        """Close a job that a fault of ours kept from ending, so that its flow is free again."""
        text = "The job could not be seen through; the service's log says why."
        outcome = Outcome(Status.FAILED, Reason.PROCESS_DIED, text, [self._error(text)])
        self._row.forget_events()
        self._row.finish(outcome)
        return outcome

    def _log_end(self, outcome: Outcome) -> None:
        claim = self._claim
        reason = f" ({outcome.reason})" if outcome.reason else ""
        seconds = (self._tools.clock.now() - claim.start_time).total_seconds()
        end = (claim.id, claim.path, outcome.status, reason, seconds)
        self._log.info("job %s of %s has ended: %s%s after %.3f s", *end)

    # The conversation with a worker

    def _converse(
        self, payload: bytes, seconds: float | None, *, finally_errors: list[dict[str, Any]] | None = None
    ) -> Ending:
        """Hand the job to a worker and see it through; with `finally_errors`, only its `finally_step`."""
        message = self._message(seconds, finally_errors)
        for attempt in range(1, ATTEMPTS + 1):
            heard = self._heard
            ending = self._converse_once(message, payload, seconds)
            spoke = ending.result is not None or ending.killed or self._heard > heard
            if spoke or attempt == ATTEMPTS:
                break
        return ending

    def _converse_once(self, message: dict[str, Any], payload: bytes, seconds: float | None) -> Ending:
        tools = self._tools
        worker = tools.workers.take()
        talk = Talk(
            worker,
            self._row,
            self._order,
            tools.clock,
            hear=self._hear,
            seconds=seconds,
            grace_seconds=tools.grace_seconds,
            may_stop=not message["finally_only"],
            on_stop=self._give_up_question,
        )
        clean = False
        try:
            worker.channel.send((message, payload))
            ending = talk.to_the_end()
            clean = ending.result is not None and bool(ending.result["reusable"])
            clean = clean and not talk.was_stopped and not self._is_asking()
        except ChannelClosed:
            ending = Ending(exit_status=worker.exit_status(1.0))
        finally:
            if clean:
                tools.workers.give(worker)
            else:
                worker.discard()
        return ending

    def _message(self, seconds: float | None, finally_errors: list[dict[str, Any]] | None) -> dict[str, Any]:
        claim, tools = self._claim, self._tools
        documents = self._row.insist(lambda: tools.documents.bundle(claim.revision)).values()
        return {
            "kind": "job",
            "job_id": claim.id,
            "path": claim.path,
            "revision": claim.revision,
            "documents": {doc.revision: {"text": doc.text, "parts": doc.parts} for doc in documents},
            "timestamp": tools.format_time(claim.start_time),
            "timeout_seconds": seconds,
            "first_number": self._last_number + 1,
            "finally_only": finally_errors is not None,
            "errors": finally_errors or [],
            "limits": tools.limits,
            "memory_bytes": tools.memory_bytes,
        }

    def _hear(self, frame: Frame, worker: Worker) -> None:
        """Answer a question, see to it that it is answered, or note an event."""
        match frame.head["kind"]:
            case "sync":
                self._row.flush_now()
                worker.channel.send(({}, b""))
            case "secret":
                name, fresh = frame.head["name"], frame.head.get("fresh", False)
                self._question = Question(self._tools.secrets, name, worker, fresh=fresh)
                self._question.ask()
            case "hide":
                self._tools.secrets.hide(frame.head["values"], [(user, word) for user, word in frame.head["pairs"]])
                worker.channel.send(({}, b""))
            case "hide_inputs":
                self._mask.hide(frame.head["values"])
                worker.channel.send(({}, b""))
            case _:
                event = decode_event(frame)
                if event is not None:
                    self._note(event)

    def _is_asking(self) -> bool:
        """Whether an answer may still be under way, which nobody else may get."""
        return self._question is not None and self._question.is_open

    def _give_up_question(self) -> None:
        if self._question is not None:
            self._question.give_up()

    def _note(self, event: Event) -> None:
        self._heard += 1
        match event:
            case StepStarted(parent=None):
                self._last_number = max(self._last_number, event.number)
                if event.is_finally:
                    self._finally = event
                else:
                    self._current, self._failure = event, None
            case StepStarted():
                self._last_number = max(self._last_number, event.number)
            case StepEnded():
                self._note_end(event)
        event = self._masked(event)
        self._row.add(self._within_budget(event))
        if self._observer is not None:
            self._observer(event)

    def _note_end(self, event: StepEnded) -> None:
        if event.result_key is not None and event.output is not None:
            self._outputs[event.result_key] = event.output
        if event.status is StepStatus.FAILED and self._current is not None and event.number == self._current.number:
            self._failure = event.error

    def _within_budget(self, event: Event) -> Event:
        """The event, without its output once all outputs together are over what a result may be."""
        if not isinstance(event, StepEnded) or event.output is None:
            return event
        limit, before = self._tools.max_result_bytes, self._output_bytes
        self._output_bytes += len(event.output)
        if self._output_bytes <= limit:
            return event
        if before <= limit:
            text = f"The outputs of the steps are over {limit} bytes (MAX_RESULT_BYTES); further ones are not kept."
            self._row.add(LogLine(event.time, "warning", text))
        return replace(event, output=None, result_key=None)

    # Masking

    def _masked(self, event: Event) -> Event:
        match event:
            case LogLine():
                return replace(event, message=self._mask.now().text(event.message))
            case StepEnded() if event.error is not None or event.output is not None:
                mask = self._mask.now()
                error = None if event.error is None else mask.text(event.error)
                output = None if event.output is None else mask.json_text(event.output)
                return replace(event, error=error, output=output)
        return event

    def _masked_outcome(self, outcome: Outcome) -> Outcome:
        mask = self._mask.now()
        return replace(
            outcome,
            message=None if outcome.message is None else mask.text(outcome.message),
            errors=mask.json(outcome.errors),
            result=None if outcome.result is None else mask.json_text(outcome.result),
        )
