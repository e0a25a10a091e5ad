"""Services for a test: each over the test's own data folder, ended with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from services import Service, answers, start_service, until


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with an empty flows folder."""
    folder = tmp_path / "data"
    (folder / "flows").mkdir(parents=True)
    (folder / "templates").mkdir()
    return folder


@pytest.fixture
def start(data: Path) -> Iterator[Callable[..., Service]]:
    """Starts services over the data folder: `start()`, or `start("functions-framework", target="launch_job")`."""
    started: list[Service] = []

    def begin(
        kind: str = "serve", *, target: str = "api", wait: str = "/healthz", cwd: Path | None = None, **settings: str
    ) -> Service:
        service = start_service(data, kind, target=target, cwd=cwd, **settings)
        started.append(service)
        until(lambda: answers(service, wait), 30, service.text)
        return service

    yield begin
    for service in started:
        service.session.close()
        service.kill()
