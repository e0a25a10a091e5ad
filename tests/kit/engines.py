"""Engines over a data folder of a test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stores import upgraded_sqlite

from engine.clock import Clock
from engine.orchestrator import Orchestrator
from engine.settings import Settings


def folder_with(flows: Mapping[str, str], folder: Path) -> Path:
    """The folder, with a fresh database and these flows by their paths."""
    (folder / "flows").mkdir(parents=True)
    (folder / "jobs.sqlite").write_bytes(upgraded_sqlite())
    for path, text in flows.items():
        (folder / "flows" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "flows" / path).write_text(text)
    return folder


@contextmanager
def engines(data: Path, clock: Clock | None = None, **settings: Any) -> Iterator[Callable[..., Orchestrator]]:
    """Makes engines over the data folder, with further settings or a clock of its own each; closed in the end.

    Without workers (`flow_max_workers=0`) nothing that is launched is run.
    """
    made: list[Orchestrator] = []

    def make(own_clock: Clock | None = None, **more: Any) -> Orchestrator:
        made.append(Orchestrator(Settings(data_path=data, **{**settings, **more}), own_clock or clock))
        return made[-1]

    yield make
    for engine in made:
        engine.close()
