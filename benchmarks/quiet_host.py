"""Runs a flow in this very process as a job process would, with a host that hears everything and keeps nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from threading import Event as Flag
from typing import Any

from engine.catalog import Catalog
from engine.checking import Checker
from engine.clock import Clock
from engine.models.limits import RunLimits
from engine.runner import FlowEnd, run_job
from engine.settings import Settings


class QuietHost:
    """What a job process is to the runner, without a pipe."""

    def __init__(self) -> None:
        self.stopped = Flag()
        self._clock = Clock()

    def now(self) -> datetime:
        return self._clock.now()

    def emit(self, event: object, *, urgent: bool = False) -> None:
        """Nobody asks."""

    def sync(self) -> None:
        """There is no disk."""

    def secret(self, name: str, *, fresh: bool = False) -> dict[str, Any]:
        raise AssertionError("no figure needs a secret")

    def hide(self, values: list[str], pairs: list[tuple[str, str]]) -> None:
        """There is nothing to hide."""

    def stopping(self) -> None:
        """Nobody stops it."""

    @contextmanager
    def stoppable(self) -> Iterator[None]:
        yield

    protected = stoppable


def prepared(data: Path, flows: Mapping[str, str]) -> dict[str, Any]:
    """What a supervisor would send for `main.yml`, one of these flows."""
    for path, text in flows.items():
        file = data / "flows" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    checked = Checker(Catalog.from_settings(Settings(data_path=data))).document("main.yml")
    texts = {each.revision: {"text": each.text, "parts": each.parts} for each in (checked.document, *checked.parts)}
    return {
        "job_id": "job",
        "path": "main.yml",
        "revision": checked.document.revision,
        "documents": texts,
        "timestamp": "20240101000000",
        "timeout_seconds": None,
        "first_number": 1,
        "finally_only": False,
        "errors": [],
    }


def run(message: Mapping[str, Any], input: object, data: Path, **limits: Any) -> FlowEnd:
    """Run it to its end, which must be a good one."""
    end = run_job(message, json.dumps(input).encode(), QuietHost(), RunLimits(data_path=str(data), **limits))
    if end.status != "success":
        raise RuntimeError(f"the flow ended {end.status}: {end.errors}")
    return end
