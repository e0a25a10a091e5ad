"""A run for one step, without a runner: expressions, files and lookups are real, sub-flows and the clock are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from engine import templating
from engine.egress import Egress
from engine.egress.adapter import GuardedSession
from engine.errors import StepFailed
from engine.models.flow import StepSpec, SubflowResult
from engine.steps import step_reader


class FakeRun:
    """`_data` and what a step did to the world around it."""

    def __init__(self, data: dict[str, Any], folder: Path, **names: Any) -> None:
        self.data: dict[str, Any] = {"__input__": {}, **data}
        self.folder = folder
        self.secrets: dict[str, dict[str, str]] = names.get("secrets", {})
        self.renewed: dict[str, dict[str, str]] = names.get("renewed", {})
        """What a secret is when it is read anew."""
        self.templates: dict[str, str] = names.get("templates", {})
        self.flows: Callable[[str, Any], SubflowResult] = names.get(
            "flows", lambda path, input: SubflowResult({}, False, [])
        )
        self.remaining: float = names.get("remaining", float("inf"))
        self.max_response_bytes: int = names.get("max_response_bytes", 10_000_000)
        self.session = GuardedSession(Egress())
        self.slept: list[float] = []
        self.logged: list[tuple[str, str]] = []

    @property
    def names(self) -> templating.Names:
        given = self.data["__input__"]
        return templating.Names(self.data, given if isinstance(given, dict) else {})

    def lookup(self, data_key: str) -> Any:
        if data_key == ".":
            return self.data
        if data_key not in self.names:
            raise StepFailed(f"data_key {data_key!r} is not there")
        return self.names[data_key]

    def render(self, template: str) -> str:
        return templating.render(template, self.names)

    def render_value(self, value: Any) -> Any:
        return templating.render_value(value, self.names)

    def render_with(self, template: str, data: Any) -> str:
        own = data if isinstance(data, dict) else {}
        return templating.render(template, templating.Names({"data": data}, own, *self.names.maps))

    def jq(self, expression: str, value: Any) -> list[Any]:
        return templating.jq_all(expression, value)

    def secret(self, name: str, *, fresh: bool = False) -> dict[str, str]:
        secrets = self.secrets | self.renewed if fresh else self.secrets
        if name not in secrets:
            raise StepFailed(f"secret {name!r} is not in secrets.yml")
        return secrets[name]

    def http(self) -> requests.Session:
        return self.session

    def template(self, path: str) -> str:
        return self.templates[path]

    def read_file(self, path: str) -> bytes:
        return (self.folder / path).read_bytes()

    def write_file(self, path: str, content: bytes) -> None:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_bytes(content)

    def append_file(self, path: str, content: bytes) -> None:
        with open(self.folder / path, "ab") as file:
            file.write(content)

    def subflow(self, path: str, input: Any, *, index: int | None = None, lenient: bool = False) -> SubflowResult:
        return self.flows(path, input)

    def loop(self, path: str, items: list[Any], *, max_workers: int) -> list[SubflowResult]:
        return [self.flows(path, item) for item in items]

    def run_step(self, step: StepSpec) -> Any:
        return step.options.run(self)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def remaining_seconds(self) -> float:
        return self.remaining

    def log(self, level: str, message: str) -> None:
        self.logged.append((level, message))


@pytest.fixture
def fake_run(tmp_path: Path) -> Any:
    """Makes a run over some data: `fake_run({"tickets": []}, secrets=...)`."""
    made: list[FakeRun] = []

    def make(data: dict[str, Any] | None = None, **names: Any) -> FakeRun:
        made.append(FakeRun(data or {}, tmp_path, **names))
        return made[-1]

    yield make
    for run in made:
        run.session.close()


@pytest.fixture
def read_step() -> Callable[..., StepSpec]:
    """Reads a step as a document has it: `read_step("sleep", seconds=1)`."""

    def read(kind: str, **options: Any) -> StepSpec:
        return step_reader().validate_python({"name": "the step", "type": kind, kind: options}).spec()

    return read
