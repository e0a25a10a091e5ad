"""A glob as a condition means on every database what it means in Python."""

from __future__ import annotations

from datetime import timedelta

import pytest
from clocks import NOON
from fake_schedules import a_schedule

from engine.clock import new_id
from engine.models.access import matches
from engine.models.job import JobFilter, State
from engine.models.schedule import ScheduleFilter, Timing
from engine.store.schedules import ScheduleStore

PATHS = (
    "reports/daily.yml", "reports/eu/daily.yml", "Reports/daily.yml", "reports2/daily.yml", "reports", "day1.yml",
    "day10.yml", "dayü.yml", "day.yml", "[ab].yml", "a.yml", "100%_!\\.yml", "1005_!\\.yml", "a/b", "ab", "a!b", "a%b",
    "日本/語.yml", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
)  # fmt: skip
GLOBS = (
    "*", "reports/*", "REPORTS/*", "r*/daily.yml", "day?.yml", "day??.yml", "[ab].yml", "[a-z].yml", "100%_!\\.yml",
    "a?b", "a!b", "a%b", "a_b", "a\\b", "??/*", "日?/*", "*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*c", "*.yml*", "", "nothing",
)  # fmt: skip


@pytest.fixture
def full(bench):
    for path in PATHS:
        bench.queue(path)
    return bench.jobs


@pytest.mark.parametrize("flows", GLOBS)
def test_a_list_of_jobs_has_those_of_the_documents_that_are_meant(full, flows):
    expected = {path for path in PATHS if matches(flows, path)}

    found = full.list(JobFilter(limit=100), flows)

    assert {job.path for job in found} == expected
    assert full.count(JobFilter(), flows) == len(expected)


def test_a_glob_and_a_filter_hold_both(full):
    assert full.count(JobFilter(path="reports/daily.yml"), "reports/*") == 1
    assert full.count(JobFilter(path="day1.yml"), "reports/*") == 0
    assert full.count(JobFilter(state=State.FINISHED), "reports/*") == 0


def test_a_page_is_full_although_others_stand_between(full):
    newest = full.list(JobFilter(limit=2), "day*")
    rest = full.list(JobFilter(limit=9, offset=2), "day*")

    assert [job.path for job in (*newest, *rest)] == ["day.yml", "dayü.yml", "day10.yml", "day1.yml"]


@pytest.mark.parametrize("flows", GLOBS)
def test_a_list_of_schedules_has_those_of_the_documents_that_are_meant(database, flows):
    schedules = ScheduleStore(database)
    for number, path in enumerate(PATHS):
        moment = NOON + timedelta(seconds=number)
        schedules.insert(a_schedule(new_id(moment), path=path, timing=Timing(moment, every_seconds=60)))
    expected = {path for path in PATHS if matches(flows, path)}

    found = schedules.list(ScheduleFilter(limit=100), flows)

    assert {schedule.path for schedule in found} == expected
    assert schedules.count(ScheduleFilter(), flows) == len(expected)
