"""What a step may ask of its run that needs no other step: names, expressions, files, secrets."""

from __future__ import annotations

import json
from math import inf
from threading import Lock, current_thread, main_thread
from typing import TYPE_CHECKING

from engine import templating
from engine.errors import StepFailed
from engine.models.flow import StepSpec
from engine.models.job import Json
from engine.runner.endings import Stopped
from engine.runner.job import JobRun
from engine.runner.secrets import secret_fields

if TYPE_CHECKING:
    import requests


LATEST_STOP_SECONDS = 30.0
"""How late a stop may come, as long as a lease: a supervisor may be waiting for its database."""


class Asked:
    """The half of `engine.models.flow.Run` that looks at the flow's data and the job's means."""

    def __init__(
        self, job: JobRun, path: str, revision: str, input: Json, *, index: int | None, protected: bool
    ) -> None:
        self.job = job
        self.revision = revision
        self.max_response_bytes = job.limits.max_response_bytes
        self.protected = protected
        """Whether this is part of a `finally_step`: then a stop that was heard before does not end it."""
        self.data: dict[str, Json] = {
            "__input__": input,
            "__job_id__": job.job_id,
            "__flow_path__": path,
            "__timestamp__": job.timestamp,
            "__loop_index__": index,
            "__errors__": [],
        }
        self.names = templating.Names(self.data, input) if isinstance(input, dict) else templating.Names(self.data)
        self.step: StepSpec | None = None
        """The step that runs."""

    def lookup(self, data_key: str) -> Json:
        """The value at `.`, at an exact key, or at a dotted path: in `_data`, else in an object `__input__`."""
        if data_key == ".":
            return self.data
        for names in self.names.maps:
            if data_key in names:
                return names[data_key]
        keys = data_key.split(".")
        source = next((names for names in self.names.maps if keys[0] in names), None)
        if source is None:
            raise StepFailed(f"data_key {data_key!r} is not there (there are: {', '.join(map(str, self.names))})")
        return _follow(source, data_key, keys)

    def render(self, template: str) -> str:
        return templating.render(template, self.names, limit=self.job.limits.max_rendered_bytes)

    def render_value(self, value: Json) -> Json:
        return templating.render_value(value, self.names, limit=self.job.limits.max_rendered_bytes)

    def render_with(self, template: str, data: Json) -> str:
        own: dict[str, Json] = {**data, "data": data} if isinstance(data, dict) else {"data": data}
        names = templating.Names(own, *self.names.maps)
        return templating.render(template, names, limit=self.job.limits.max_rendered_bytes)

    def jq(self, expression: str, value: Json) -> list[Json]:
        return templating.jq_all(expression, value)

    def secret(self, name: str, *, fresh: bool = False) -> dict[str, str]:
        return secret_fields(self.job.host, name, fresh=fresh)

    def http(self) -> requests.Session:
        return self.job.session(protected=self.protected)

    def template(self, path: str) -> str:
        return self.job.text(self.part("template", path))

    def read_file(self, path: str) -> bytes:
        return self.job.files.read(path)

    def write_file(self, path: str, content: bytes) -> None:
        self.job.files.write(path, content)

    def append_file(self, path: str, content: bytes) -> None:
        self.job.files.append(path, content)

    def sleep(self, seconds: float) -> None:
        if self.protected or current_thread() is main_thread():
            _wait(seconds)
        else:
            self.job.host.stopped.wait(seconds)
        self.stop_if_asked()

    def stop_if_asked(self) -> None:
        """Raise `Stopped` where no signal does: in the threads of a loop."""
        if self.job.host.stopped.is_set() and not self.protected:
            raise Stopped

    def stop_if_over(self) -> None:
        """Raise `Stopped` when the job is to stop or its time is over, which was then what ended the step.

        Whoever keeps the time began to count before us and stops the job at this moment, but may be kept waiting.
        """
        self.stop_if_asked()
        if self.remaining_seconds() <= 0:
            self.sleep(LATEST_STOP_SECONDS)

    def remaining_seconds(self) -> float:
        return inf if self.protected else self.job.remaining_seconds()

    def log(self, level: str, message: str) -> None:
        self.job.log(level, message, self.step.name if self.step else None)

    def part(self, kind: str, path: str) -> str:
        """The revision of a sub-flow or template, as it was when the job was launched."""
        revision = self.job.parts(self.revision).get(f"{kind}:{path}")
        if revision is None:
            raise StepFailed(f"{kind} {path!r} is not part of this flow's revision")
        return revision


def _wait(seconds: float) -> None:
    """Wait; only what a signal raises ends it sooner.

    The signal's handler sets `stopped`: who waits for that in the same thread can lock up, or end in an error when
    the handler raises between two lines of `Event.wait`. This is one call into C.
    """
    never = Lock()
    never.acquire()
    never.acquire(timeout=seconds)


def _follow(value: Json, data_key: str, keys: list[str]) -> Json:
    for depth, key in enumerate(keys):
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            place = repr(".".join(keys[:depth]))
            raise StepFailed(f"data_key {data_key!r} is not there: {place} is {_contents(value)}")
    return value


def _contents(value: Json) -> str:
    match value:
        case dict():
            return f"an object with {', '.join(map(str, value)) or 'no keys'}"
        case list():
            return f"a list of {len(value)}"
        case str():
            return "a text"
    return json.dumps(value)
