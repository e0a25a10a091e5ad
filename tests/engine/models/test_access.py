"""Which role may do what, and what a key can be."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from clocks import NOON

from engine.models.access import ApiKey, Role, lifetime, matches, problems_of_key

LADDER = [Role.VIEWER, Role.OPERATOR, Role.EDITOR, Role.ADMIN]


@pytest.mark.parametrize("held", LADDER)
@pytest.mark.parametrize("needed", LADDER)
def test_a_role_reaches_itself_and_those_below(held, needed):
    assert held.reaches(needed) is (LADDER.index(held) >= LADDER.index(needed))


def test_a_clock_may_tick_and_nothing_else():
    assert [needed for needed in Role if Role.TICK.reaches(needed)] == [Role.TICK]


def test_who_may_launch_may_tick():
    assert [held for held in Role if held.reaches(Role.TICK)] == [Role.OPERATOR, Role.EDITOR, Role.ADMIN, Role.TICK]


@pytest.mark.parametrize(
    ("flows", "path", "expected"),
    [
        ("*", "any/where.yml", True),
        ("reports/*", "reports/daily.yml", True),
        ("reports/*", "reports/eu/daily.yml", True),
        ("reports/*", "reports2/daily.yml", False),
        ("reports/*", "reports", False),
        ("reports/*", "my/reports/daily.yml", False),
        ("reports/*", "Reports/daily.yml", False),
        ("day?.yml", "day1.yml", True),
        ("day?.yml", "day.yml", False),
        ("day?.yml", "day10.yml", False),
        ("day?.yml", "dayü.yml", True),
        ("a?b", "a/b", True),
        ("hello.yml", "hello.yml", True),
        ("hello.yml", "helloxyml", False),
        ("hello", "hello.yml", False),
        ("[ab].yml", "[ab].yml", True),
        ("[ab].yml", "a.yml", False),
        ("100%_!\\.yml", "100%_!\\.yml", True),
        ("100%_!\\.yml", "1005_!\\.yml", False),
        ("a*c*e", "abcde", True),
        ("a*c*e", "abcd", False),
        ("*a", "b\na", True),
        ("*a", "a\n", False),
    ],
)
def test_what_a_glob_means(flows, path, expected):
    assert matches(flows, path) is expected


@pytest.mark.parametrize(
    ("text", "life"),
    [
        ("90d", timedelta(days=90)),
        ("12h", timedelta(hours=12)),
        ("4w", timedelta(weeks=4)),
        ("36500d", timedelta(36500)),
    ],
)
def test_a_lifetime_is_hours_days_or_weeks(text, life):
    assert lifetime(text) == life


@pytest.mark.parametrize("text", ["", "d", "0d", "-1d", "1.5d", "90", "90 d", "90D", "1y", "36501d", "999999w", "٣d"])
def test_what_is_no_lifetime_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match="such as 12h, 90d or 4w"):
        lifetime(text)


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({}, []),
        ({"name": "CI-2@build.example_x"}, []),
        ({"flows": "reports/*", "expires": "90d"}, []),
        ({"name": ""}, ["name"]),
        ({"name": "a b"}, ["name"]),
        ({"name": "a/b"}, ["name"]),
        ({"name": "-a"}, ["name"]),
        ({"name": "x" * 65}, ["name"]),
        ({"name": "ü"}, ["name"]),
        ({"name": "API_TOKEN"}, ["name"]),
        ({"name": "cli:root"}, ["name"]),
        ({"name": "0192AbCd-0000-7000-8000-000000000000"}, ["name"]),
        ({"flows": ""}, ["flows"]),
        ({"flows": "x" * 513}, ["flows"]),
        ({"flows": "a\0b"}, ["flows"]),
        ({"flows": "\udcff"}, ["flows"]),
        ({"flows": "*", "role": Role.ADMIN}, ["flows"]),
        ({"flows": "*", "role": Role.TICK}, ["flows"]),
        ({"name": "", "expires": "soon"}, ["name", "expires"]),
    ],
)
def test_what_keeps_a_key_from_being_made(fields, wrong):
    values = {"name": "ci", "role": Role.OPERATOR, "flows": None, "expires": None} | fields

    assert [field for field, _ in problems_of_key(**values)] == wrong


def test_a_key_is_active_until_it_expires_or_is_revoked():
    key = ApiKey("1", "ci", Role.VIEWER, "octo_x", None, NOON, expires_time=NOON + timedelta(days=1))

    assert key.state(NOON) == "active"
    assert key.state(NOON + timedelta(hours=23, minutes=59)) == "active"
    assert key.state(NOON + timedelta(days=1)) == "expired"
    assert replace(key, revoked_time=NOON).state(NOON) == "revoked"
