"""What SQLite is told while something happens, whichever way it is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from engine.store.database import Database


@contextmanager
def traced(database: Database) -> Iterator[list[str]]:
    """Every statement, its values in it, in the order they were run."""
    seen: list[str] = []

    def follow(driver: Any, *_record: object) -> None:
        driver.set_trace_callback(seen.append)

    def leave(driver: Any, *_record: object) -> None:
        driver.set_trace_callback(None)

    event.listen(database.engine, "checkout", follow)
    event.listen(database.engine, "checkin", leave)
    try:
        yield seen
    finally:
        event.remove(database.engine, "checkout", follow)
        event.remove(database.engine, "checkin", leave)
