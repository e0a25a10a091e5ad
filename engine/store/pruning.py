"""Deleting ended jobs that are older, or more, than are kept: found by index, a short transaction at a time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, select

from engine.models.job import Status
from engine.store.deleting import BATCH, MANY, beyond
from engine.store.tables import jobs

MOST = 2_000
"""Jobs of flows that have too many, for each call."""
FAILED = (Status.FAILED,)
OTHERS = tuple(status for status in Status if status is not Status.FAILED)

# An id begins with the time its job was queued, and a job ends after that: the index on status and id names a few
# rows more than are old enough, and their end is looked at.
OLD: Select[Any] = (
    select(jobs.c.id)
    .where(jobs.c.status == bindparam("status"), jobs.c.id < bindparam("beyond"), jobs.c.end_time < bindparam("before"))
    .order_by(jobs.c.id)
    .limit(bindparam("limit"))
)
NEXT_PATH = select(func.min(jobs.c.path)).where(jobs.c.path > bindparam("after"))
OF_PATH = select(jobs.c.id).where(jobs.c.path == bindparam("path")).order_by(jobs.c.id.desc())
ANY_MORE = OF_PATH.offset(bindparam("keep")).limit(1)
# Not the plain column: by its index the database would walk through the jobs of all other documents.
IS_ONE_OF = func.coalesce(jobs.c.status, "").in_(bindparam("statuses", expanding=True))
NEWEST_BEYOND = OF_PATH.where(IS_ONE_OF).offset(bindparam("keep")).limit(1)
UP_TO = (
    select(jobs.c.id)
    .where(jobs.c.path == bindparam("path"), jobs.c.id <= bindparam("newest"), IS_ONE_OF)
    .order_by(jobs.c.id)
    .limit(bindparam("limit"))
)


def list_old(connection: Connection, before: dict[Status, datetime], limit: int) -> list[str]:
    """At most so many jobs that ended with one of these statuses before its time."""
    found: list[str] = []
    for status, cut in before.items():
        if len(found) < limit:
            values = {"status": status, "before": cut, "beyond": beyond(cut), "limit": limit - len(found)}
            found += connection.scalars(OLD, values)
    return found


def list_paths(connection: Connection, after: str, limit: int) -> list[str]:
    """The next so many documents that have jobs, in the order of their paths."""
    found: list[str] = []
    while len(found) < limit and (path := connection.scalar(NEXT_PATH, {"after": found[-1] if found else after})):
        found.append(path)
    return found


def list_surplus(connection: Connection, path: str, keep: int, limit: int) -> list[str]:
    """At most so many of the document's oldest ended jobs beyond the newest `keep`; failed ones are counted apart."""
    if connection.scalar(ANY_MORE, {"path": path, "keep": keep}) is None:
        return []
    found: list[str] = []
    for statuses in (OTHERS, FAILED):
        values = {"path": path, "statuses": statuses}
        newest = connection.scalar(NEWEST_BEYOND, {**values, "keep": keep})
        if newest is not None and len(found) < limit:
            found += connection.scalars(UP_TO, {**values, "newest": newest, "limit": limit - len(found)})
    return found


def delete_batch(connection: Connection, ids: Sequence[str]) -> int:
    """Delete those that are still there, with their steps and logs; how many."""
    return connection.execute(MANY, {"ids": list(ids)}).rowcount


def batches(ids: Sequence[str]) -> list[list[str]]:
    """The ids in parts, each for one transaction; in order, so that two who delete the same do not lock crosswise."""
    ordered = iter(sorted(ids))
    return [part for _ in range(0, len(ids), BATCH) if (part := list(islice(ordered, BATCH)))]
