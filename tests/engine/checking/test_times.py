"""The times that a document carries itself: told by whoever looks at it, and no reason against a launch."""

from __future__ import annotations

import pytest

from engine.catalog import Catalog
from engine.checking import Checker
from engine.scheduler.autostart import own_timing, wish_of
from engine.settings import Settings

STEPS = "steps: [{name: a, type: debug}]\n"


@pytest.fixture
def checker(tmp_path):
    (tmp_path / "flows").mkdir()
    return Checker(Catalog.from_settings(Settings(data_path=tmp_path)))


@pytest.mark.parametrize(
    ("times", "path", "message"),
    [
        ('cron: "99 * * * *"', "cron", "cron cannot be read: minute: 99 is not from 0 to 59"),
        ('cron: ""', "cron", "cron cannot be read: five fields are read"),
        ("cron: [5]", "cron", "cron must be text, not a list"),
        ('cron: "0 0 30 2 *"', "cron", "cron is never due: there is no day like that in '0 0 30 2 *'"),
        ("every_seconds: 0", "every_seconds", "every_seconds must be a whole number from 1 to 31 536 000, not 0"),
        ("every_seconds: 1.5", "every_seconds", "not 1.5"),
        ("every_seconds: true", "every_seconds", "31 536 000, not true"),
        ("every_seconds: 31536001", "every_seconds", "not 31536001"),
        ('every_seconds: 5\ncron: "@daily"', "every_seconds", "every_seconds cannot be given together with `cron`"),
    ],
)
def test_wrong_times_are_warned_of_with_their_place(checker, times, path, message):
    [problem] = checker.look("f.yml", STEPS + times).problems

    assert (problem.code, problem.severity, problem.path, problem.column) == ("wrong_schedule", "warning", path, 1)
    assert problem.line == 2
    assert message in problem.message
    assert "a launch does not read it" in (problem.hint or "")


def test_they_are_told_among_all_other_problems(checker):
    look = checker.look("f.yml", 'cron: "99 * * * *"\nevery_seconds: 5\nsteps: [{name: a, type: nope}]\n')

    assert [(each.line, each.code) for each in look.problems] == [
        (1, "wrong_schedule"),
        (2, "wrong_schedule"),
        (3, "unknown_type"),
    ]


@pytest.mark.parametrize("times", ['cron: "0 6 * * mon-fri"', "cron: '@daily'", "every_seconds: 60.0", "cron:", ""])
def test_times_that_can_be_used_are_not_told(checker, times):
    assert checker.look("f.yml", STEPS + times).problems == ()
    wish_of({"path": "f.yml", **own_timing(STEPS + times)})


def test_a_launch_does_not_read_them(checker, tmp_path):
    (tmp_path / "flows" / "f.yml").write_text(STEPS + 'cron: "99 * * * *"')

    assert checker.document("f.yml").warnings == ()
