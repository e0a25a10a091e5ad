"""Whatever a list is asked for, it has the jobs that match, and reads hardly any others."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from itertools import combinations

import pytest
from plans import plans

from engine.clock import new_id
from engine.models.access import matches
from engine.models.job import JobFilter, Source, State, Status
from engine.store.job_paths import few_paths
from engine.store.jobs import JobStore
from engine.store.tables import jobs as job_table

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
WAITS = (0, 1, 59, 239, 240, 241, 299, 300, 301, 900, -5)
"""Seconds from a job's id to its start; a host's clock may be behind."""
LASTS = (1, 30, 240, 700)
STATUSES = tuple(Status)


def a_row(at, number, **other):
    """A job that has ended, one of a lively mixture."""
    id_time = at + number * 20 * SECOND
    queued = id_time + (number % 4) * SECOND
    start = id_time + WAITS[number % len(WAITS)] * SECOND
    return {
        "id": new_id(id_time),
        "path": ("a.yml", "b.yml", "team/c.yml", "team/d.yml")[number % 4],
        "revision": "r1",
        "state": State.FINISHED,
        "status": STATUSES[number % 5],
        "priority": 0,
        "source": Source.API,
        "schedule_id": f"s{number % 2}" if number % 3 else None,
        "epoch": 1,
        "queued_time": queued,
        "start_time": start,
        "end_time": start + LASTS[number % len(LASTS)] * SECOND,
        "has_finally": False,
        "name": "x",
    } | other


def fill(database, at):
    """Sixty that have ended, one that runs, two that wait; as rows, newest first."""
    active = {"status": None, "end_time": None}
    rows = [
        *(a_row(at, number) for number in range(60)),
        a_row(at, 60, state=State.RUNNING, **active),
        *(a_row(at, number, state=State.PENDING, start_time=None, **active) for number in (61, 62)),
    ]
    with database.write() as connection:
        connection.execute(job_table.insert(), rows)
    return sorted(rows, key=lambda row: row["id"], reverse=True)


def filters(at):
    """Each filter once."""
    windows = []
    for name in ("start_time", "end_time"):
        for begin, end in ((None, 8), (8, None), (8, 12), (15, 16), (500, None), (None, -9)):
            window = {f"{name}_from": begin, f"{name}_to": end}
            windows.append({side: at + n * MINUTE for side, n in window.items() if n is not None})
    return [
        {},
        {"state": State.FINISHED},
        {"state": State.RUNNING},
        {"state": State.PENDING},
        *({"status": status} for status in (Status.SUCCESS, Status.SKIPPED)),
        *({"path": path} for path in ("a.yml", "team/c.yml", "none.yml")),
        *({"schedule_id": schedule} for schedule in ("s1", "none")),
        *windows,
    ]


def is_in(row, filter):
    """What each filter means, in so many words."""
    for name, wanted in filter.items():
        if name.endswith("_from"):
            passes = row[name[:-5]] is not None and row[name[:-5]] >= wanted
        elif name.endswith("_to"):
            passes = row[name[:-3]] is not None and row[name[:-3]] < wanted
        else:
            passes = row[name] == wanted
        if not passes:
            return False
    return True


def differences(jobs, rows, filter, flows=None, **page):
    """What the list and the count say otherwise than a look at every row does."""
    expected = [row["id"] for row in rows if is_in(row, filter) and (flows is None or matches(flows, row["path"]))]
    beyond = [id for id in expected if id < page.get("before", "~")]
    offset, limit = page.get("offset", 0), page.get("limit", 100)
    found = [job.id for job in jobs.list(JobFilter(**filter, **{"limit": 100} | page), flows)]
    if found != beyond[offset : offset + limit]:
        return [(filter, flows, page, len(found), len(beyond))]
    number = jobs.count(JobFilter(**filter, **page), flows)
    return [] if number == len(expected) else [(filter, flows, "count", number, len(expected))]


def test_each_filter_and_each_pair_lets_through_what_a_look_at_every_row_does(database, jobs, bench):
    rows = fill(database, bench.now)
    each = filters(bench.now)
    pairs = [a | b for a, b in combinations(each, 2) if not a.keys() & b.keys()]

    assert [wrong for filter in (*each, *pairs) for wrong in differences(jobs, rows, filter)] == []


@pytest.mark.parametrize("flows", ["*", "team/*", "?.yml", "team/c.yml", "none/*", "*c*"])
def test_a_glob_goes_with_every_filter(database, jobs, bench, flows):
    rows = fill(database, bench.now)

    assert [wrong for filter in filters(bench.now) for wrong in differences(jobs, rows, filter, flows)] == []


def test_a_glob_of_many_documents_goes_with_every_filter(database, jobs, bench, monkeypatch):
    monkeypatch.setattr("engine.store.job_paths.FEW", 1)
    rows = fill(database, bench.now)

    assert database.ask(lambda connection: few_paths(connection, "team/*")) is None
    assert [wrong for filter in filters(bench.now) for wrong in differences(jobs, rows, filter, "team/*")] == []


def test_a_glob_behind_which_too_many_documents_stand_is_not_leapt_to(database, bench, monkeypatch):
    monkeypatch.setattr("engine.store.job_paths.LEAPS", 2)
    fill(database, bench.now)

    assert database.ask(lambda connection: few_paths(connection, "*/c.yml")) is None
    assert database.ask(lambda connection: few_paths(connection, "team/c*")) == ["team/c.yml"]


@pytest.mark.parametrize("flows", [None, "team/*"])
def test_pages_join_up_by_offset_and_by_the_last_job(database, jobs, bench, flows):
    rows = fill(database, bench.now)
    wrong = []
    for filter in filters(bench.now):
        for offset in (0, 1, 7):
            wrong += differences(jobs, rows, filter, flows, limit=4, offset=offset)
        wrong += differences(jobs, rows, filter, flows, limit=4, offset=1, before=rows[10]["id"])

    assert wrong == []


def test_a_list_can_be_asked_for_any_time(database, jobs, bench):
    rows = fill(database, bench.now)
    first, last = bench.now.replace(year=1), bench.now.replace(year=9999, month=12, day=31)

    for filter in (
        {"end_time_from": first},
        {"start_time_to": last},
        {"start_time_from": last},
        {"end_time_to": first},
    ):
        assert differences(jobs, rows, filter) == []


def test_every_field_of_the_filter_is_tried_here(bench):
    tried = {name for filter in filters(bench.now) for name in filter}

    assert {field.name for field in fields(JobFilter)} - tried == {"limit", "offset", "before"}


ONE_HOUR = {"from": timedelta(hours=1), "to": timedelta(hours=2)}


@pytest.mark.parametrize(
    ("filter", "search"),
    [
        ({}, "SCAN jobs USING INDEX sqlite_autoindex_jobs_1"),
        ({"before": "01"}, "sqlite_autoindex_jobs_1 (id<?)"),
        ({"state": State.FINISHED}, "jobs_by_state (state=?)"),
        ({"state": State.RUNNING, "path": "a.yml"}, "jobs_by_state (state=?)"),
        ({"state": State.FINISHED, "path": "a.yml"}, "jobs_by_path (path=?)"),
        ({"status": Status.FAILED}, "jobs_by_status (status=?)"),
        ({"path": "a.yml"}, "jobs_by_path (path=?)"),
        ({"path": "a.yml", "status": Status.FAILED}, "jobs_by_path_and_status (path=? AND status=?)"),
        ({"schedule_id": "s"}, "jobs_by_schedule (schedule_id=?)"),
        ({"schedule_id": "s", "status": Status.EXIT}, "jobs_by_schedule_and_status (schedule_id=? AND status=?)"),
        ({"schedule_id": "s", "path": "a.yml"}, "jobs_by_schedule (schedule_id=?)"),
    ],
)
def test_a_list_walks_one_index_and_sorts_nothing(sqlite, filter, search):
    (plan,) = plans(sqlite, lambda: JobStore(sqlite).list(JobFilter(**filter)))

    assert search in plan
    assert "TEMP B-TREE" not in plan


@pytest.mark.parametrize(
    ("filter", "walk"),
    [
        ({}, "sqlite_autoindex_jobs_1 (id>? AND id<?)"),
        ({"path": "a.yml"}, "jobs_by_path (path=? AND id>? AND id<?)"),
        ({"path": "a.yml", "status": Status.FAILED}, "jobs_by_path_and_status (path=? AND status=? AND id>? AND id<?)"),
        ({"status": Status.FAILED}, "jobs_by_status (status=? AND id>? AND id<?)"),
    ],
)
@pytest.mark.parametrize(("name", "late"), [("start_time", "jobs_started_late"), ("end_time", "jobs_ended_late")])
def test_a_window_of_time_is_a_range_of_ids_and_those_that_were_late(sqlite, bench_of, filter, walk, name, late):
    begin = bench_of(sqlite).now
    window = {f"{name}_from": begin, f"{name}_to": begin + MINUTE}

    (plan,) = plans(sqlite, lambda: JobStore(sqlite).list(JobFilter(**filter, **window)))

    assert walk in plan
    assert f"{late} ({name}>? AND {name}<?)" in plan
    assert "SCAN jobs" not in plan


def test_a_glob_of_few_documents_walks_each_ones_index(sqlite, bench_of):
    fill(sqlite, bench_of(sqlite).now)

    leaps, plan = plans(sqlite, lambda: JobStore(sqlite).list(JobFilter(), "team/*"))

    assert "SCAN jobs" not in leaps
    assert plan.count("jobs_by_path (path=?)") == 2
    assert "SCAN jobs" not in plan


def test_jobs_that_have_started_and_ended_soon_are_in_no_index_of_late_ones(sqlite, bench_of):
    bench = bench_of(sqlite)
    bench.finish(bench.start())

    with sqlite.read() as connection:
        late = "SELECT count(*) FROM jobs INDEXED BY {} WHERE {} > queued_time + 240000000"
        numbers = [
            connection.exec_driver_sql(late.format(f"jobs_{index}_late", column)).scalar()
            for index, column in (("started", "start_time"), ("ended", "end_time"))
        ]

    assert numbers == [0, 0]


def test_a_list_of_what_cannot_be_asks_nothing(sqlite):
    assert plans(sqlite, lambda: JobStore(sqlite).list(JobFilter(state=State.RUNNING, status=Status.FAILED))) == []
    assert JobStore(sqlite).count(JobFilter(state=State.RUNNING, status=Status.FAILED)) == 0
