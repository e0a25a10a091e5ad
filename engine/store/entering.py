"""Many jobs at once, each of which takes a lock, waits for one, or is left out because its flow still runs."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, bindparam, select

from engine.models.job import NewJob, State
from engine.models.schedule import Firing, Overlap, Verdict
from engine.store import prepared
from engine.store.launching import pending_row
from engine.store.tables import insert_absent, jobs

T = TypeVar("T")

ATTEMPTS = 5
"""A lock can become free between the refused insert and the look at its holder; then the insert is tried again."""
MOST_NAMES = 500
"""Names in one IN list: databases have a limit on them."""

WHO_IS_IN = select(jobs.c.id).where(jobs.c.id.in_(bindparam("ids", expanding=True)))
HOLDERS = select(jobs.c.lock, jobs.c.id).where(jobs.c.lock.in_(bindparam("locks", expanding=True))).order_by(jobs.c.id)
HOLDERS_HELD = HOLDERS.with_for_update()
WAITING = select(jobs.c.schedule_id, jobs.c.id).where(jobs.c.wanted.in_(bindparam("paths", expanding=True)))


@dataclass(frozen=True, slots=True)
class Entry:
    """What became of a launch: `job_id` is the new job, None when there is none."""

    verdict: Verdict
    job_id: str | None = None
    reason: str | None = None


def enter(connection: Connection, launches: Sequence[Firing], now: datetime) -> dict[str, Entry]:
    """Insert the jobs that may start or wait; what became of each launch, by the schedule's id."""
    entries: dict[str, Entry] = {}
    left = {firing.schedule_id: firing for firing in launches}
    holders: dict[str, str] = {}
    for attempt in range(ATTEMPTS):
        for id in _start(connection, left.values(), holders, now):
            entries[id] = Entry(Verdict.FIRED, _job(left.pop(id)).id)
        if not left:
            break
        holders = _hold_holders(connection, left.values())
        is_last = attempt == ATTEMPTS - 1
        full = [each for each in left.values() if is_last or _free_lock(_job(each), holders) is None]
        entries.update(_turn_away(connection, full, holders, now))
        left = {id: firing for id, firing in left.items() if id not in entries}
    return entries


def _start(connection: Connection, launches: Iterable[Firing], holders: Mapping[str, str], now: datetime) -> list[str]:
    """Insert those for which there seems to be a lock; the schedules whose jobs got in."""
    taken = set(holders)
    rows: dict[str, dict[str, Any]] = {}
    for firing in launches:
        job = _job(firing)
        lock = _free_lock(job, taken)
        if lock is not None or not job.lock_slots:
            taken.add(lock or "")
            rows[firing.schedule_id] = row = pending_row(job, now)
            row["lock"] = lock
    if not rows:
        return []
    # In the order of the locks, so that two ticks cannot wait for each other.
    ordered = sorted(rows.values(), key=lambda row: (row["lock"] or "", row["id"]))
    if prepared.change_each(connection, insert_absent(jobs, connection.dialect.name), ordered) == len(rows):
        return list(rows)
    inside = set(connection.scalars(WHO_IS_IN, {"ids": [row["id"] for row in ordered]}))
    return [id for id, row in rows.items() if row["id"] in inside]


def _hold_holders(connection: Connection, launches: Iterable[Firing]) -> dict[str, str]:
    """Who holds the locks that these want. Those that others are to wait for stay as they are until we commit."""
    queued = {lock for firing in launches if firing.overlap is Overlap.QUEUE for lock in _job(firing).lock_slots}
    other = {lock for firing in launches for lock in _job(firing).lock_slots} - queued
    return {
        row.lock: row.id
        for query, locks in ((HOLDERS_HELD, queued), (HOLDERS, other))
        for some in _parts(sorted(locks))
        for row in connection.execute(query, {"locks": some})
    }


def _turn_away(
    connection: Connection, launches: Sequence[Firing], holders: Mapping[str, str], now: datetime
) -> dict[str, Entry]:
    """Let them wait or leave them out, as their schedules say."""
    queued = [firing for firing in launches if firing.overlap is Overlap.QUEUE]
    waiting = _waiting(connection, queued)
    entries: dict[str, Entry] = {}
    blocked: list[dict[str, Any]] = []
    for firing in launches:
        job = _job(firing)
        holder = next((holders[lock] for lock in job.lock_slots if lock in holders), None)
        if firing.overlap is Overlap.SKIP:
            name = f": job {holder}" if holder else ""
            entries[firing.schedule_id] = Entry(Verdict.SKIPPED_RUNNING, None, f"the flow was still running{name}")
        elif firing.schedule_id in waiting:
            reason = f"a run is waiting already: job {waiting[firing.schedule_id]}"
            entries[firing.schedule_id] = Entry(Verdict.COALESCED, None, reason)
        else:
            reason = f"waits for job {holder}" if holder else "waits for its flow"
            entries[firing.schedule_id] = Entry(Verdict.FIRED, job.id, reason)
            blocked.append({**pending_row(job, now), "state": State.BLOCKED, "wanted": job.path})
    if blocked:
        connection.execute(jobs.insert(), blocked)
    return entries


def _waiting(connection: Connection, launches: Sequence[Firing]) -> dict[str, str]:
    """The jobs of these schedules that wait already, by the schedule's id."""
    paths = sorted({_job(firing).path for firing in launches})
    return {
        row.schedule_id: row.id
        for some in _parts(paths)
        for row in connection.execute(WAITING, {"paths": some})
        if row.schedule_id is not None
    }


def _free_lock(job: NewJob, taken: Container[str]) -> str | None:
    return next((lock for lock in job.lock_slots if lock not in taken), None)


def _job(firing: Firing) -> NewJob:
    assert firing.job is not None, "only launches enter"
    return firing.job


def _parts(items: list[T]) -> Iterator[list[T]]:
    return (items[start : start + MOST_NAMES] for start in range(0, len(items), MOST_NAMES))
