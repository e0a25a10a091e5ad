"""What is in a database of any kind, as a test compares it, and what must hold of its rows whatever has happened."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, delete, select

from engine.models.job import Source, State
from engine.store.database import Database
from engine.store.tables import audit, documents, jobs, logs, metadata, schedules, slots, steps

ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
COLUMNS = {
    jobs: "path state status reason lock owner epoch message errors result wanted",
    steps: "number name status output",
    logs: "sequence message",
    schedules: "path is_paused last_due next_due failures last_error",
    slots: "due_time verdict times reason",
    audit: "actor action target",
}


def shape(database: Database) -> dict[str, list[str]]:
    """All that is there but for ids and most moments, which differ from run to run."""
    with database.read() as connection:
        return {table.name: _texts(connection, table, columns.split()) for table, columns in COLUMNS.items()}


def broken_row_rules(database: Database) -> list[str]:
    """Every rule about rows that does not hold, each in a sentence."""
    with database.read() as connection:
        known = connection.execute(select(jobs)).all()
        revisions = set(connection.scalars(select(documents.c.revision)))
        fired = set(connection.scalars(select(slots.c.job_id).where(slots.c.job_id.is_not(None))))
        audited = set(connection.scalars(select(audit.c.result_id)))
    rules = [f"job {row.id} ({row.path}) {rule}" for row in known for rule in _broken_by(row, revisions, audited)]
    active = Counter(row.path for row in known if _is_active(row))
    rules += [f"{number} jobs of {path} are active at once" for path, number in active.items() if number > 1]
    scheduled = {row.id for row in known if row.schedule_id is not None}
    return rules + [f"job {id} has no slot, or a slot no job" for id in sorted(fired ^ scheduled)]


def empty(database: Database) -> None:
    with database.write() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(delete(table))


def _broken_by(row: Any, revisions: set[str], audited: set[str]) -> Iterator[str]:
    if _is_active(row) != (row.lock is not None):
        yield f"is {row.state} and its lock is {row.lock!r}"
    if row.state == State.RUNNING and (row.owner is None or row.lease_until is None):
        yield "runs for nobody, or without a lease"
    if (row.state == State.FINISHED) != (row.end_time is not None and row.status is not None):
        yield f"is {row.state} and ended at {row.end_time} with {row.status}"
    if row.revision not in revisions:
        yield "has lost its document"
    if row.source == Source.API and row.id not in audited:
        yield "was launched by nobody"


def _is_active(row: Any) -> bool:
    return row.state not in (State.FINISHED, State.BLOCKED)


def _texts(connection: Connection, table: Any, columns: list[str]) -> list[str]:
    rows = connection.execute(select(*(table.c[name] for name in columns)))
    return sorted(ID.sub("ID", str(tuple(row))) for row in rows)
