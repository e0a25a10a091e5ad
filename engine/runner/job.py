"""One job: what its flows share, and what it may use up."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import count
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any

from engine.checking import parse_flow
from engine.files import Root
from engine.models.flow import Flow
from engine.models.input_values import read_inputs
from engine.models.job import Json, LogLine
from engine.models.limits import RunLimits
from engine.runner.endings import Host, LimitReached

if TYPE_CHECKING:
    import requests

    from engine.egress.adapter import GuardedSession


class JobRun:
    """Documents, files, limits, numbering and HTTP sessions of one job."""

    def __init__(self, host: Host, limits: RunLimits, message: Mapping[str, Any]) -> None:
        """`message` is what a supervisor sends: `engine/supervisor/supervision.py` lists its members."""
        self.host = host
        self.limits = limits
        self.job_id: str = message["job_id"]
        self.path: str = message["path"]
        self.revision: str = message["revision"]
        self.timestamp: str = message["timestamp"]
        self.files = Root(limits.data_path, reserved=limits.reserved, max_bytes=limits.max_file_bytes)
        self.unclean = False
        self._documents: Mapping[str, dict[str, Any]] = message["documents"]
        seconds: float | None = message["timeout_seconds"]
        self._deadline = None if seconds is None else monotonic() + seconds
        self.has_begun = False
        """Whether the disk says so. Until then another process may run the job from its start."""
        self._numbers = count(message["first_number"])
        self._recorded = count(1)
        self._lines = count(1)
        self._sessions: dict[bool, GuardedSession] = {}
        self._opening = Lock()
        self._hidden: set[str] = set()

    def flow(self, revision: str, path: str) -> Flow:
        """The flow at this revision, parsed once in the life of the process."""
        return _parsed(revision, path, self._documents[revision]["text"])

    def input_of(self, revision: str, path: str, input: Json, *, lenient: bool) -> Json:
        """What a sub-flow gets for this input: with its defaults, its secrets hidden from now on; InputsInvalid.

        `lenient` drops names that it does not declare.
        """
        inputs = self.flow(revision, path).inputs
        if inputs and lenient and isinstance(input, dict):
            input = {each.name: input[each.name] for each in inputs if each.name in input}
        values = read_inputs(path, inputs, input)
        fresh = {*(values.secrets or {}).values()} - self._hidden
        if fresh:
            self.host.hide_inputs(sorted(fresh))
            self._hidden |= fresh
        return values.whole

    def text(self, revision: str) -> str:
        """A document's or template's text."""
        text: str = self._documents[revision]["text"]
        return text

    def parts(self, revision: str) -> dict[str, str]:
        """The revisions of what a document runs and reads, under `flow:<path>` and `template:<path>`."""
        parts: dict[str, str] = self._documents[revision]["parts"]
        return parts

    def session(self, *, protected: bool = False) -> requests.Session:
        """One HTTP session for the job: connections are kept for its steps, and closed at its end.

        What is `protected`, a `finally_step`, has one of its own, whose calls a stop does not end.
        """
        with self._opening:  # The threads of a loop ask at the same moment.
            if protected not in self._sessions:
                self._sessions[protected] = _new_session(self.limits)
            return self._sessions[protected]

    def end_calls(self) -> None:
        """End the calls that steps wait for: the job is to stop."""
        session = self._sessions.get(False)
        if session is not None:
            session.end_calls()

    def close(self) -> None:
        """Close the connections."""
        for session in self._sessions.values():
            session.close()

    def sync(self) -> None:
        """Return when everything said so far is on disk, the beginning of a step at least."""
        self.host.sync()
        self.has_begun = True

    def next_number(self, *, beyond_limit: bool = False) -> int:
        """The next step run's number, from 1; LimitReached when there were too many."""
        number: int = next(self._numbers)
        limit = self.limits.max_step_runs
        if number > limit and not beyond_limit:
            raise LimitReached(f"The job ran {limit} steps, which is the limit (MAX_STEP_RUNS).")
        return number

    def may_record(self) -> bool:
        """Whether one more step run inside a sub-flow gets a row of its own."""
        return next(self._recorded) <= self.limits.max_recorded_steps

    def remaining_seconds(self) -> float:
        """Seconds until the deadline, `inf` without one."""
        return float("inf") if self._deadline is None else self._deadline - monotonic()

    def log(self, level: str, message: str, step: str | None) -> None:
        """Add a line to the job's log, as long as there is room."""
        line, limit = next(self._lines), self.limits.max_log_lines
        if line < limit:
            self.host.emit(LogLine(self.host.now(), level, message, step), urgent=level in ("warning", "error"))
        elif line == limit:
            message = f"{limit} lines were logged, which is the limit (MAX_LOG_LINES); no more are kept."
            self.host.emit(LogLine(self.host.now(), "warning", message, step))


def _new_session(limits: RunLimits) -> GuardedSession:
    from engine.egress import Egress
    from engine.egress.adapter import GuardedSession

    return GuardedSession(Egress.of(limits.egress_deny, limits.egress_allow), limits.egress_cacert)


@lru_cache(maxsize=256)
def _parsed(revision: str, path: str, text: str) -> Flow:
    return parse_flow(path, text)
