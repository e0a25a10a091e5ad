"""What is done to services that are there: a fault at an exact point, a lease that ends at once, a frozen process."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

INJECTED = Path(__file__).parent / "injected"


def fault(place: str, kind: str, number: int = 1) -> dict[str, str]:
    """The settings of a service in which something happens at the n-th call of a function of it.

    `before` or `after` it the whole service is killed; `stubborn` makes its process hear no SIGTERM and have a child.
    Any other word is what the function gives from then on.
    """
    return {"PYTHONPATH": str(INJECTED), "OCTOFLOW_TEST_FAULT": f"{place} {kind} {number}"}


def row(data: Path, query: str, *values: Any) -> Any:
    """The first column of the first row, read from the file while nobody answers."""
    with closing(sqlite3.connect(data / "jobs.sqlite", timeout=10)) as database:
        found = database.execute(query, values).fetchone()
    return found and found[0]


def end_lease(data: Path, job_id: str) -> None:
    """What is so after half a minute in which nobody renewed it."""
    with closing(sqlite3.connect(data / "jobs.sqlite", timeout=10)) as database, database:
        database.execute("UPDATE jobs SET lease_until = 1 WHERE id = ? AND lease_until IS NOT NULL", (job_id,))
        assert database.total_changes == 1


@contextmanager
def frozen(pids: Iterable[int]) -> Iterator[None]:
    """These processes stand still meanwhile, as those of a host do that was suspended."""
    pids = list(pids)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
