"""The engine over this machine's data folder, and flows by the names people give them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import RequestInvalid, StorageDown
from engine.models.times import parse_time
from engine.settings import Settings

if TYPE_CHECKING:
    from engine.orchestrator import Orchestrator


def open_engine() -> Orchestrator:
    """The engine that the environment describes; its caller closes it."""
    from engine.orchestrator import Orchestrator

    return Orchestrator.from_environment()


def visit_engine() -> Orchestrator:
    """The same over a data folder that is there, without workers; StorageDown where it is not.

    Who looks at a folder that is mistyped is told so, and leaves no new one behind.
    """
    from engine.orchestrator import Orchestrator

    settings = Settings.from_environment()
    has_jobs = settings.sqlalchemy_database_uri is not None or settings.jobs_db_path.exists()
    if not has_jobs and not settings.data_path.is_dir():
        raise StorageDown(f"There is no data folder at {settings.data_path} (DATA_PATH).")
    if "FLOWS_PATH" in settings.missing:
        raise StorageDown(f"There is no folder of flows at {settings.flows_path} (FLOWS_PATH).")
    return Orchestrator(replace(settings, flow_max_workers=0))


@contextmanager
def logged(engine: Orchestrator) -> Iterator[None]:
    """Meanwhile what is logged goes into the service log's file; a terminal is not for that."""
    from engine import service_log

    log = service_log.begin(engine.settings, stderr=False)
    log.mask = engine.mask
    try:
        yield
    finally:
        log.close()


def below(flows_path: Path, given: str) -> str:
    """A path as flows are named: one that exists from here and lies below FLOWS_PATH is meant as that file."""
    is_named_below = not os.path.isabs(given) and os.path.exists(flows_path / given)
    if is_named_below or not os.path.exists(given):
        return given
    here, folder = Path(given).resolve(), flows_path.resolve()
    if here.is_relative_to(folder):
        return str(here.relative_to(folder))
    raise RequestInvalid(f"{given} is not below FLOWS_PATH ({flows_path}); set FLOWS_PATH to the folder that holds it.")


def moment(engine: Orchestrator, option: str, text: str | None) -> datetime | None:
    """The time that an option gives, None without one; RequestInvalid says what can be read."""
    try:
        return None if text is None else parse_time(text, engine.settings.timezone, engine.clock.now())
    except ValueError as error:
        raise RequestInvalid(f"{option} {error}.") from error
