"""Schedules that are due each second or two, some for a flow that takes longer, and what became of each due time."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Iterator
from typing import Any

from fleet import Fleet, session

SECOND = 1_000_000
"""A second as the rows have it."""


def make(fleet: Fleet, choose: random.Random) -> list[str]:
    """Their ids."""
    return [
        _asked(fleet, choose, "/api/schedules", {"path": path, "every_seconds": seconds, "overlap": overlap})[
            "schedule_id"
        ]
        for path, seconds, overlap in (
            ("each-second.yml", 1, "skip"),
            ("often-late.yml", 1, "skip"),
            ("often-late.yml", 2, "queue"),
        )
    ]


def pause(fleet: Fleet, choose: random.Random, ids: list[str]) -> None:
    """Nothing more is due."""
    for id in ids:
        _asked(fleet, choose, f"/api/schedules/{id}/pause")


def broken(connection: sqlite3.Connection) -> Iterator[str]:
    """Each due time has one verdict, and each that fired has its job."""
    for id, seconds in connection.execute("SELECT id, every_seconds FROM schedules").fetchall():
        step = seconds * SECOND
        slots = connection.execute(
            "SELECT due_time, coalesce(first_due_time, due_time), times, verdict FROM slots"
            " WHERE schedule_id = ? ORDER BY due_time",
            (id,),
        ).fetchall()
        if len(slots) < 10:
            yield f"schedule {id} has {len(slots)} slots only"
        after = None
        for due, first, times, verdict in slots:
            if after is not None and first != after + step:
                yield f"schedule {id}: {verdict} slot {first}..{due} does not go on from {after}"
            if due - first != (times - 1) * step:
                yield f"schedule {id}: {verdict} slot {first}..{due} is said to be {times} times"
            after = due
    yield from (
        f"slot {due} of schedule {id} fired job {job}, which is not there"
        for id, due, job in connection.execute(
            "SELECT schedule_id, due_time, job_id FROM slots WHERE verdict = 'fired'"
            " AND (job_id IS NULL OR job_id NOT IN (SELECT id FROM jobs))"
        )
    )
    yield from (
        f"job {job} of schedule {id} is that of {number} slots"
        for job, id, number in connection.execute(
            "SELECT jobs.id, jobs.schedule_id, count(slots.due_time) FROM jobs LEFT JOIN slots ON job_id = jobs.id"
            " AND verdict = 'fired' WHERE source = 'schedule' GROUP BY jobs.id HAVING count(slots.due_time) <> 1"
        )
    )


def verdicts(connection: sqlite3.Connection) -> list[tuple[str, int]]:
    return connection.execute("SELECT verdict, sum(times) FROM slots GROUP BY verdict").fetchall()


def _asked(fleet: Fleet, choose: random.Random, path: str, body: Any = None) -> dict[str, Any]:
    own = session()
    for _ in range(50):
        answer = own.post(fleet.any(choose).url + path, json=body, timeout=20)
        if answer.status_code < 300:
            return answer.json()
        assert answer.status_code >= 500, answer.text
        time.sleep(0.2)
    raise AssertionError(answer.text)
