"""Lists of jobs, newest first: each walks the indexes that lead to its jobs, and stops when the page is full.

Ids are in the order of time, and a job starts and ends after it was queued: most of those that start in some hour were
queued in it. A list with a window of time therefore has two ways to its jobs: the ids of that window, and the few jobs
that started or ended long after they were queued, which have an index of their own. Each glob that means a few
documents is as many lists. The ways of a list share no job; their pages are merged.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, func, literal_column, select, union_all

from engine.clock import id_floor
from engine.models.job import Job, JobFilter, State
from engine.store import prepared
from engine.store.globs import is_like, pattern
from engine.store.job_paths import few_paths
from engine.store.job_rows import IN_LISTS, to_job
from engine.store.tables import IS_LATE, jobs

EQUAL = ("state", "status", "path", "schedule_id")
WINDOWS = ("start_time", "end_time")
LATE_INDEX = {"start_time": "jobs_started_late", "end_time": "jobs_ended_late"}
BY_ID = "sqlite_autoindex_jobs_1"
PROMPT = timedelta(minutes=5)
"""Longer than what makes a job late, by more than there ever is between a job's id and its row."""
SKEW = timedelta(seconds=10)
"""How far the clock of the host that ran a job may be behind that of the host that queued it."""
BEGINNING, END = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)

FIELDS = (*EQUAL, *(f"{name}_{side}" for name in WINDOWS for side in ("from", "to")), "before")
CONDITIONS: dict[str, ColumnElement[bool]] = {
    **{name: jobs.c[name] == bindparam(name) for name in EQUAL},
    **{f"{name}_from": jobs.c[name] >= bindparam(f"{name}_from") for name in WINDOWS},
    **{f"{name}_to": jobs.c[name] < bindparam(f"{name}_to") for name in WINDOWS},
    "newest": jobs.c.id < bindparam("newest"),
    "before": jobs.c.id < bindparam("before"),
}


@dataclass(frozen=True, slots=True)
class Shape:
    """What lists have in common that differ in nothing but values: their statement is made once."""

    given: frozenset[str]
    """The fields of the filter that are set; `newest` with a window, `flows` with a glob."""
    paths: int
    """How many documents a glob means, 0 where that is not known."""
    late: str | None
    """The window that begins last: jobs that were queued before it, and are in it, are late."""
    is_over: bool
    """Whether only ended jobs can be in the list."""
    dialect: str


@dataclass(frozen=True, slots=True)
class Way:
    """Some of a list's jobs, and the index that leads to them."""

    conditions: tuple[ColumnElement[bool], ...]
    index: str

    def select(self, *columns: Any) -> Select[Any]:
        """These columns of its jobs."""
        # SQLite chooses by rules of thumb. Servers know how many rows a value has.
        return select(*columns).where(*self.conditions).with_hint(jobs, f"INDEXED BY {self.index}", "sqlite")


def list_jobs(connection: Connection, filter: JobFilter, flows: str | None) -> list[Job]:
    """The page that the filter names, newest first, of the documents that the glob `flows` means."""
    found = _read(connection, filter, flows)
    if found is None:
        return []
    shape, values = found
    page = {"limit": filter.limit, "offset": filter.offset, "reach": filter.limit + filter.offset}
    return [to_job(row) for row in prepared.all_rows(connection, _page(shape), values | page)]


def newest_of_each(connection: Connection, paths: Iterable[str]) -> dict[str, Job]:
    """The newest job of each document that has one. One statement for each: a list of all would read all its jobs."""
    found = (list_jobs(connection, JobFilter(path=path, limit=1), None) for path in paths)
    return {job.path: job for page in found for job in page}


def count_jobs(connection: Connection, filter: JobFilter, flows: str | None) -> int:
    """How many jobs the filter lets through, on all its pages."""
    found = _read(connection, replace(filter, before=None), flows)
    return 0 if found is None else int(connection.scalar(_number(found[0]), found[1]) or 0)


def _read(connection: Connection, filter: JobFilter, flows: str | None) -> tuple[Shape, dict[str, Any]] | None:
    """The list's shape and values; None when no job can be in it."""
    if filter.status is not None and filter.state not in (None, State.FINISHED):
        return None  # Only a job that has ended has a status.
    values = {name: value for name in FIELDS if (value := getattr(filter, name)) is not None}
    late = _bound(values)
    given = set(values)
    paths = None if flows is None or given & {"path", "schedule_id"} else few_paths(connection, flows)
    if paths is not None:
        values |= {f"path{number}": path for number, path in enumerate(paths)}
    elif flows is not None:
        given.add("flows")
        values["flows"] = pattern(flows, connection.dialect.name)
    if paths == []:
        return None
    is_over = filter.state in (None, State.FINISHED)
    return Shape(frozenset(given), len(paths or ()), late, is_over, connection.dialect.name), values


def _bound(values: dict[str, Any]) -> str | None:
    """Add the ids between which the windows' jobs are, but for the late ones; the window that those are of."""
    ends = [values[f"{name}_to"] for name in WINDOWS if f"{name}_to" in values]
    if ends:
        values["newest"] = id_floor(min(*ends, END) + SKEW)
    begins = {name: values[f"{name}_from"] for name in WINDOWS if f"{name}_from" in values}
    if not begins:
        return None
    late = max(begins, key=lambda name: begins[name])
    values["oldest"] = id_floor(max(begins[late], BEGINNING + PROMPT) - PROMPT)
    return late


@lru_cache(500)
def _page(shape: Shape) -> Select[Any]:
    ways = _ways(shape)
    if len(ways) == 1:
        page = ways[0].select(*IN_LISTS).order_by(jobs.c.id.desc())
        return page.limit(bindparam("limit")).offset(bindparam("offset"))
    pages = [way.select(jobs.c.id).order_by(jobs.c.id.desc()).limit(bindparam("reach")).subquery() for way in ways]
    ids = union_all(*(select(page.c.id) for page in pages)).subquery()
    first = select(ids.c.id).order_by(ids.c.id.desc()).limit(bindparam("limit")).offset(bindparam("offset")).subquery()
    return select(*IN_LISTS).join_from(first, jobs, jobs.c.id == first.c.id).order_by(first.c.id.desc())


@lru_cache(500)
def _number(shape: Shape) -> Select[Any]:
    numbers = [way.select(func.count().label("number")).select_from(jobs) for way in _ways(shape)]
    return numbers[0] if len(numbers) == 1 else select(func.sum(union_all(*numbers).subquery().c.number))


def _ways(shape: Shape) -> list[Way]:
    conditions = [CONDITIONS[name] for name in CONDITIONS if name in shape.given]
    if "flows" in shape.given:
        conditions.append(is_like(jobs.c.path, bindparam("flows"), shape.dialect))
    if not shape.paths:
        return _ways_in_time(shape, conditions)
    paths = [jobs.c.path == bindparam(f"path{number}") for number in range(shape.paths)]
    return [way for path in paths for way in _ways_in_time(shape, [path, *conditions])]


def _ways_in_time(shape: Shape, conditions: list[ColumnElement[bool]]) -> list[Way]:
    if shape.late is None:
        return [Way(tuple(conditions), _index(shape))]
    is_late: ColumnElement[bool] = literal_column(IS_LATE.format(shape.late))
    oldest: Any = bindparam("oldest")
    return [
        Way((*conditions, jobs.c.id >= oldest), _index(shape)),
        Way((*conditions, jobs.c.id < oldest, is_late), LATE_INDEX[shape.late]),
    ]


def _index(shape: Shape) -> str:
    given = shape.given
    if "state" in given and not shape.is_over:
        return "jobs_by_state"
    for name, index in (("schedule_id", "jobs_by_schedule"), ("path", "jobs_by_path")):
        if name in given or (name == "path" and shape.paths):
            return f"{index}_and_status" if "status" in given else index
    if "status" in given:
        return "jobs_by_status"
    return "jobs_by_state" if "state" in given else BY_ID
