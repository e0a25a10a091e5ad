"""One service for all the faults of a file, and what must hold after each of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from invariants import Watch, broken_rules
from peers import Peer, peer, send
from services import Service, answers, children_of, flow, is_alive, start_service, until
from vault_server import STATUS_BODY, VaultServer
from vault_server import TOKEN as VAULT_TOKEN

USER, PASSWORD = "canary-user", "canary/pass word+1&"
TOKEN, KEY = "canary-bearer-2", 'canary"key\\3'
SECRETS: list[dict[str, Any]] = [
    {"name": "basic", "type": "credential", "username": USER, "password": PASSWORD},
    {"name": "bearer", "type": "token", "token": TOKEN},
    {"name": "key", "type": "api-key", "key": "X-Api-Key", "value": KEY},
]
CANARIES = [PASSWORD, TOKEN, KEY, f"{USER}:{PASSWORD}", VAULT_TOKEN, STATUS_BODY]


@pytest.fixture(scope="module")
def vault() -> Iterator[VaultServer]:
    server = VaultServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def settings(vault: VaultServer) -> dict[str, str]:
    """What the service is started with beside its data folder; a file may have its own."""
    return {"LOG_LEVEL": "DEBUG", "HASHICORP_VAULT_TOKEN": VAULT_TOKEN, "JOB_MEMORY_MB": "256"}


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, settings: dict[str, str], vault: VaultServer
) -> Iterator[Service]:
    """A service with secrets in its file and in Vault; no process of it is left when it was stopped."""
    data = tmp_path_factory.mktemp("faults") / "data"
    for folder in ("flows", "templates", "input"):
        (data / folder).mkdir(parents=True)
    (data / "secrets.yml").write_text(json.dumps(SECRETS))
    started = start_service(data, **settings)
    try:
        until(lambda: answers(started, "/healthz"), 30, started.text)
        yield started
        processes = _below(started.process.pid)
        started.session.close()  # A connection that is kept would be waited for.
        code = started.stop()
        until(lambda: not [pid for pid in processes if is_alive(pid)], 5)
        assert code == 0, started.text()
    finally:
        started.session.close()
        started.kill()


@pytest.fixture(scope="module")
def watch(service: Service) -> Watch:
    return Watch(service)


@pytest.fixture(autouse=True)
def what_holds_after_any_fault(request: pytest.FixtureRequest) -> Iterator[None]:
    """Checked after each test that has the service."""
    if "service" not in request.fixturenames:
        yield
        return
    watch = request.getfixturevalue("watch")
    yield
    assert broken_rules(watch, CANARIES, given={"secrets.yml"}) == []


@pytest.fixture
def start(start: Callable[..., Service]) -> Iterator[Callable[..., Service]]:
    """Starts services of the test's own; the same must hold of each of them in the end, dead or alive."""
    watches: list[Watch] = []

    def begin(*values: Any, **settings: Any) -> Service:
        service = start(*values, **settings)
        watches.append(Watch(service))
        return service

    yield begin
    assert [rule for watch in watches for rule in broken_rules(watch, [])] == []


@pytest.fixture(scope="module")
def made() -> Iterator[Peer]:
    with peer() as each:
        yield each


@pytest.fixture
def other(made: Peer) -> Peer:
    """The peer, as it is in the beginning."""
    made.asked.clear()
    made.answer = lambda handler: send(handler, 200, {})
    return made


_numbers = count(1)


@pytest.fixture
def run(service: Service) -> Callable[..., dict[str, Any]]:
    """Runs a flow of these steps to its end; the job."""

    def run(*steps: dict[str, Any], data: Any = None, timeout_seconds: float = 20, **keys: Any) -> dict[str, Any]:
        path = flow(service.data, f"fault-{next(_numbers)}.yml", _text({"name": "fault", "steps": steps, **keys}))
        return service.run(path, data, timeout_seconds=timeout_seconds)

    return run


@pytest.fixture
def call(run: Any) -> Callable[..., dict[str, Any]]:
    """Runs one `rest` step; the job."""

    def call(uri: str, **options: Any) -> dict[str, Any]:
        return run({"name": "call", "type": "rest", "rest": {"uri": uri, **options}})

    return call


@pytest.fixture
def fails(call: Any) -> Callable[..., str]:
    """The same for a step that must fail; its sentence."""

    def fails(uri: str, **options: Any) -> str:
        job = call(uri, **options)
        assert (job["status"], job["reason"]) == ("failed", "step_error"), job
        (error,) = job["errors"]
        return str(error["error"])

    return fails


@pytest.fixture
def refuse(service: Service) -> Callable[..., dict[str, Any]]:
    """Launches a document of this text, which must be refused; the answer."""

    def refuse(text: str, status: int = 400) -> dict[str, Any]:
        path = flow(service.data, f"fault-{next(_numbers)}.yml", text)
        answer = service.post("/api/jobs", {"path": path})
        assert answer.status_code == status, answer.text
        refused: dict[str, Any] = answer.json()
        return refused

    return refuse


@pytest.fixture
def data(request: pytest.FixtureRequest, data: Path) -> Path:
    """The data folder of the service for all the faults of a file; for a test without it, one of its own."""
    if "service" not in request.fixturenames:
        return data
    folder: Path = request.getfixturevalue("service").data
    return folder


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False)


def _below(pid: int) -> list[int]:
    children = children_of(pid)
    return [*children, *(found for child in children for found in _below(child))]
