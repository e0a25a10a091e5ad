"""The figures of lists: the newest 50 of a million jobs by every filter, beside the same SQL through sqlite3."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

from ended_jobs import FIRST, fill, flow
from sqlalchemy import event
from timing import Row, beside, median_cpu_ms

from engine.models.job import JobFilter, State, Status
from engine.store.database import Database
from engine.store.jobs import JobStore

Filters = dict[str, Any]

DAY = timedelta(days=1)
LIMIT_MS = 10
MOST_TIMES_SQL = 5
ROUNDS = 5
PAGE = 50


def figures(folder: Path, quick: bool) -> Iterator[Row]:
    """The slowest of all filters alone, of all pairs, of the others."""
    count = 50_000 if quick else 1_000_000
    file = folder / "lists" / "jobs.sqlite"
    fill(file, count)
    database = Database(f"sqlite:///{file}")
    jobs = JobStore(database)
    alone = filters(count)
    pairs = {
        f"{a} + {b}": alone[a] | alone[b] for a, b in combinations(alone, 2) if not alone[a].keys() & alone[b].keys()
    }
    try:
        yield from _slowest(jobs, database, f"newest 50 of {count}, one filter", alone)
        yield from _slowest(jobs, database, f"newest 50 of {count}, two filters", pairs)
        yield from _slowest(jobs, database, f"newest 50 of {count}, limited key", globs())
    finally:
        database.dispose()


def filters(count: int) -> dict[str, Filters]:
    """Each filter once, the windows old, new and open."""
    span = timedelta(seconds=count)
    old, new = FIRST + span / 10, FIRST + span * 0.9
    windows = {}
    for name in ("start_time", "end_time"):
        windows |= {
            f"{name} in an old hour": {f"{name}_from": old, f"{name}_to": old + DAY / 24},
            f"{name} in an old tenth": {f"{name}_from": old, f"{name}_to": old + span / 10},
            f"{name} of late": {f"{name}_from": new},
            f"{name} long ago": {f"{name}_to": old},
        }
    return {
        "nothing": {},
        "state=finished": {"state": State.FINISHED},
        "state=running": {"state": State.RUNNING},
        "status=success": {"status": Status.SUCCESS},
        "status=cancelled": {"status": Status.CANCELLED},
        "path": {"path": flow(3, 4)},
        "path of none": {"path": "none.yml"},
        "schedule_id": {"schedule_id": "schedule-7"},
        **windows,
        "offset=1000": {"offset": 1000},
    }


def globs() -> dict[str, Filters]:
    """What keys are limited to, some with a filter."""
    plain = ("*", "team_03/*", "team_0?/flow_07.yml", "*/flow_07.yml", flow(3, 4), "none/*")
    found: dict[str, Filters] = {glob: {"flows": glob} for glob in plain}
    for name, each in filters(1_000_000).items():
        found[f"team_03/* + {name}"] = {"flows": "team_03/*", **each}
    return found


def _slowest(jobs: JobStore, database: Database, figure: str, cases: dict[str, Filters]) -> Iterator[Row]:
    """The slowest of them in milliseconds; the dearest of those with a full page, beside its SQL."""
    measured = {name: _measure(jobs, database, dict(case)) for name, case in cases.items()}
    name, (ours, _, _) = max(measured.items(), key=lambda each: each[1][0])
    yield beside(f"{figure}, slowest: {name}", ours, LIMIT_MS, "<= 1.0")
    pages = {name: (ours, sql) for name, (ours, sql, found) in measured.items() if found == PAGE}
    name, (ours, sql) = max(pages.items(), key=lambda each: each[1][0] / each[1][1])
    yield beside(f"{figure}, dearest: {name}", ours, sql, f"<= {MOST_TIMES_SQL}")


def _measure(jobs: JobStore, database: Database, case: Filters) -> tuple[float, float, int]:
    """Milliseconds of the store's list, and of its statements alone; how many jobs it has."""
    flows = case.pop("flows", None)
    filter = JobFilter(**case, limit=PAGE)
    statements = _statements(database, lambda: jobs.list(filter, flows))
    connection = sqlite3.connect(database.file or "")
    sql = median_cpu_ms(lambda: [connection.execute(each).fetchall() for each in statements], ROUNDS)
    connection.close()
    return median_cpu_ms(lambda: jobs.list(filter, flows), ROUNDS), sql, len(jobs.list(filter, flows))


def _statements(database: Database, call: Callable[[], object]) -> list[str]:
    """What SQLite itself was asked, with its values."""
    seen: list[str] = []

    def follow(driver: Any, *_record: object) -> None:
        driver.set_trace_callback(seen.append)

    database.dispose()
    event.listen(database.engine, "checkout", follow)
    call()
    event.remove(database.engine, "checkout", follow)
    database.dispose()  # Its connections would go on telling.
    return [each for each in seen if each.startswith(("SELECT", "WITH"))]
