"""Deleting documents that nothing refers to any more and that were not used for a while.

Whoever inserts a job has renewed the `stored_time` of its documents within the hour before (`documents.py`). So for a
document that was not renewed for much longer no new job can appear, whatever other processes do: what refers to it may
be looked up first, outside of the transaction that deletes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, or_, select

from engine.models.job import State
from engine.store.tables import documents, jobs

BATCH = 500

IS_OLD = or_(documents.c.stored_time.is_(None), documents.c.stored_time < bindparam("before"))
ANY_OLD = select(documents.c.revision).where(IS_OLD).limit(1)
ALL = select(documents.c.revision, documents.c.path, documents.c.parts, documents.c.stored_time)
OF_ACTIVE = select(jobs.c.revision).where(jobs.c.state.in_([each for each in State if each is not State.FINISHED]))
OF_PATHS = select(jobs.c.revision).where(jobs.c.path.in_(bindparam("paths", expanding=True))).distinct()
DELETE = delete(documents).where(documents.c.revision.in_(bindparam("revisions", expanding=True)), IS_OLD)


def list_unused(connection: Connection, stored_before: datetime) -> list[str]:
    """The revisions of old documents that no job was launched with and that are no part of a document that is kept."""
    if connection.scalar(ANY_OLD, {"before": stored_before}) is None:
        return []
    rows = {row.revision: row for row in connection.execute(ALL)}
    old = {id: row for id, row in rows.items() if row.stored_time is None or row.stored_time < stored_before}
    kept = (rows.keys() - old.keys()) | _revisions_of_jobs(connection, {row.path for row in old.values()})
    in_use = _with_parts(kept, {revision: row.parts.values() for revision, row in rows.items()})
    return sorted(old.keys() - in_use)


def delete_batch(connection: Connection, revisions: Sequence[str], stored_before: datetime) -> int:
    """Delete those of them that were not used meanwhile; how many."""
    return connection.execute(DELETE, {"revisions": list(revisions), "before": stored_before}).rowcount


def _revisions_of_jobs(connection: Connection, paths: Collection[str]) -> set[str]:
    """What the jobs of these documents were launched with, and all jobs that are still to run."""
    found = set(connection.scalars(OF_ACTIVE))
    names = sorted(paths)
    for start in range(0, len(names), BATCH):
        found.update(connection.scalars(OF_PATHS, {"paths": names[start : start + BATCH]}))
    return found


def _with_parts(revisions: Iterable[str], parts: dict[str, Iterable[str]]) -> set[str]:
    found: set[str] = set()
    left = list(revisions)
    while left:
        revision = left.pop()
        if revision not in found:
            found.add(revision)
            left += parts.get(revision, ())
    return found
