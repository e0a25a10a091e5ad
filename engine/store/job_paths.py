"""The documents that a glob means, of all that have jobs: looked up by leaps along the index, not by reading it."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, literal, select

from engine.models.access import matches
from engine.store import prepared
from engine.store.columns import storable
from engine.store.globs import is_like, pattern
from engine.store.tables import jobs

LEAPS = 300
FEW = 50


def few_paths(connection: Connection, flows: str) -> list[str] | None:
    """Them, in order; None when they are many, or when too many others stand between to look at each."""
    begin = re.split(r"[*?]", storable(flows), maxsplit=1)[0]
    if begin == flows:
        return [flows]
    dialect = connection.dialect.name
    values = {"begin": begin, "like": pattern(f"{begin}*", dialect)}
    seen = [path for (path,) in prepared.all_rows(connection, _leaping(dialect), values)]
    found = [path for path in seen if path is not None and matches(flows, path)]
    return None if len(seen) > LEAPS or len(found) > FEW else found


@cache
def _leaping(dialect: str) -> Select[Any]:
    # min() of what is greater is one look into the index, DISTINCT would be a walk through it.
    first = select(func.min(jobs.c.path).label("path"), literal(0).label("leap")).where(
        jobs.c.path >= bindparam("begin")
    )
    seen = first.cte("seen", recursive=True)
    following = select(func.min(jobs.c.path)).where(jobs.c.path > seen.c.path).scalar_subquery()
    is_there = is_like(seen.c.path, bindparam("like"), dialect)
    leaps = seen.union_all(select(following, seen.c.leap + 1).where(is_there, seen.c.leap < LEAPS))
    return select(leaps.c.path)
