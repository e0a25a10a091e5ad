"""What config.yml wants, and what becomes of schedules that it does not want."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fake_schedules import NOON, a_schedule
from hypothesis import given
from hypothesis import strategies as st

from engine.models.schedule import Misfire, Overlap, Timing
from engine.reading import ReadingError
from engine.scheduler.autostart import has_shape, key_of, own_timing, read_wanted, unwanted, wish_of


def wanted_of(text):
    return read_wanted("config.yml", text)


@pytest.mark.parametrize("text", ["", "{}", "# nothing\n", "autostart:\n", "autostart: []\n", "autostart_flows: []\n"])
def test_a_file_that_wants_nothing_is_complete(text):
    wanted = wanted_of(text)

    assert (wanted.entries, wanted.problems, wanted.is_complete) == ([], [], True)


@pytest.mark.parametrize("name", ["autostart", "autostart_flows"])
def test_an_entry_is_a_path_or_an_object(name):
    wanted = wanted_of(
        f"{name}:\n"
        "  - flow1.yml\n"
        "  - {path: flow2.yml, cron: 0 * * * *, timeout_seconds: 60}\n"
        "  - path: flow3.yml\n"
        "    every_seconds: 90\n"
        "    overlap: queue\n"
        "    misfire: skip\n"
        "    misfire_grace_seconds: 5\n"
        "    data: {since: 2026-03-01, n: [1]}\n"
        "  - {path: flow4.yml, cron: '@daily', timezone: Europe/Berlin}\n"
    )

    assert wanted.problems == []
    assert [(entry.line, entry.wish.path) for entry in wanted.entries] == [
        (2, "flow1.yml"),
        (3, "flow2.yml"),
        (4, "flow3.yml"),
        (10, "flow4.yml"),
    ]
    first, second, third, fourth = (entry.wish for entry in wanted.entries)
    assert (first.cron, first.every_seconds) == (None, None)
    assert (second.cron, second.timeout_seconds) == ("0 * * * *", 60)
    assert (third.overlap, third.misfire, third.misfire_grace_seconds) == (Overlap.QUEUE, Misfire.SKIP, 5)
    assert third.data == {"since": "2026-03-01", "n": [1]}
    assert fourth.timezone == "Europe/Berlin"


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("{path: a.yml, cron: '@daily', every_seconds: 5}", "a.yml: `every_seconds` cannot be given together"),
        ("{path: a.yml, every_seconds: 0}", "`every_seconds` must be a whole number from 1 to 31 536 000, not 0"),
        ("{path: a.yml, every_seconds: true}", "`every_seconds` must be a whole number from 1 to 31 536 000, not true"),
        ("{path: a.yml, cron: '@daily', timezone: Mars}", "such as UTC or Europe/Berlin, not 'Mars'"),
        ("{path: a.yml, cron: '@daily', corn: 1}", "`corn` is not known here (known: path, cron"),
        ("{path: a.yml, cron: '@daily', overlap: both}", "`overlap` must be 'skip' or 'queue'"),
    ],
)
def test_an_entry_that_cannot_be_used_is_told_with_its_line_and_stops_no_other(entry, words):
    wanted = wanted_of(f"autostart:\n  - first.yml\n  - {entry}\n  - last.yml\n")

    assert [each.wish.path for each in wanted.entries] == ["first.yml", "last.yml"]
    assert len(wanted.problems) == 1
    assert wanted.problems[0].startswith("config.yml, line 3: ")
    assert words in wanted.problems[0]
    assert (wanted.is_complete, wanted.unclear_paths) == (True, {"a.yml"})


@pytest.mark.parametrize("entry", ["5", "null", "[a.yml]", "{}", "{pth: a.yml, cron: '@daily'}", "{path: 5}", "''"])
def test_an_entry_without_a_path_leaves_open_what_is_not_wanted(entry):
    wanted = wanted_of(f"autostart:\n  - first.yml\n  - {entry}\n")

    assert [each.wish.path for each in wanted.entries] == ["first.yml"]
    assert wanted.problems == [
        "config.yml, line 3: an entry is a path, or an object with `path` and `cron` or `every_seconds`"
    ]
    assert not wanted.is_complete


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("autostart: [a.yml\n", "config.yml, line 1: this is not valid YAML"),
        ("autostart:\n\t- a.yml\n", "(indent with spaces, not with tabs)"),
        ("autostart: [a.yml]\nautostart: [b.yml]\n", "config.yml, line 2: "),
        ("- a.yml\n", "config.yml, line 1: an object is expected, such as `autostart: [hello.yml]`"),
        ("a.yml", "an object is expected"),
        ("autostart: a.yml", "config.yml, line 1: `autostart` must be a list"),
        ("\nautostart: {path: a.yml}", "config.yml, line 2: `autostart` must be a list"),
        ("autostart: [a.yml]\nautostart_flows: [b.yml]", "line 2: give one of `autostart` and `autostart_flows`"),
        ("auto_start: [a.yml]\n", "config.yml, line 1: `auto_start` is not known here (known: autostart)"),
    ],
)
def test_a_file_that_cannot_be_read_as_a_whole_wants_nothing_for_certain(text, words):
    wanted = wanted_of(text)

    assert wanted.entries == []
    assert words in wanted.problems[0]
    assert not wanted.is_complete


def test_a_key_that_is_not_known_stops_nothing_beside_the_list():
    wanted = wanted_of("colour: blue\nautostart: [a.yml]\n")

    assert [entry.wish.path for entry in wanted.entries] == ["a.yml"]
    assert wanted.problems == ["config.yml, line 1: `colour` is not known here (known: autostart)"]
    assert wanted.is_complete


@given(st.text())
def test_any_text_is_read_without_an_error(text):
    wanted = wanted_of(text)

    assert wanted.is_complete or wanted.problems


# A flow's own times


@pytest.mark.parametrize(
    ("text", "timing"),
    [
        ("name: f\ncron: '*/5 * * * *'\nsteps: []\n", {"cron": "*/5 * * * *"}),
        ("name: f\nevery_seconds: 30\nsteps: []\n", {"every_seconds": 30}),
        ("name: f\ncron:\nsteps: []\n", {}),
        ("name: f\nsteps: []\n", {}),
        ("[]", {}),
    ],
)
def test_a_flow_may_carry_its_own_times(text, timing):
    assert own_timing(text) == timing


def test_the_times_of_a_text_that_cannot_be_read():
    with pytest.raises(ReadingError):
        own_timing("a: [")


# Comparing


def fields_of(**given):
    return dict(wish_of({"path": "hello.yml", "cron": "0 * * * *", **given}))


def test_a_wish_has_the_key_of_the_schedule_that_it_made():
    schedule = a_schedule()

    assert key_of(fields_of()) == (schedule.path, schedule.timing.identity)
    assert key_of(fields_of(timezone="Europe/Berlin")) != key_of(fields_of())
    assert key_of(fields_of(cron=None, every_seconds=3600)) != key_of(fields_of())


@pytest.mark.parametrize(
    "changes",
    [
        {"timeout_seconds": 60},
        {"overlap": "queue"},
        {"misfire": "skip"},
        {"misfire_grace_seconds": 60},
        {"data": {"n": 1}},
    ],
)
def test_a_wish_that_differs_in_shape_is_seen(changes):
    assert has_shape(a_schedule(), fields_of())
    assert not has_shape(a_schedule(), fields_of(**changes))


def test_the_order_of_keys_is_no_difference_and_true_is_not_one():
    schedule = a_schedule(data={"a": 1, "b": 2})

    assert has_shape(schedule, fields_of(data={"b": 2, "a": 1}))
    assert not has_shape(schedule, fields_of(data={"a": True, "b": 2}))


def test_what_no_entry_stands_for_is_unwanted():
    kept, gone = a_schedule("kept"), a_schedule("gone", timing=Timing(NOON, every_seconds=60))
    keys = {key_of(fields_of())}

    assert unwanted([kept, gone], wanted_of("autostart: []"), keys) == [gone]


def test_what_an_entry_that_cannot_be_used_may_stand_for_is_kept():
    mine, other = a_schedule("mine"), a_schedule("other", path="other.yml")
    wanted = wanted_of("autostart:\n  - {path: hello.yml, cron: '@daily', timezone: Mars}\n")

    assert unwanted([mine, other], wanted, set()) == [other]


def test_nothing_is_unwanted_by_a_file_that_cannot_be_read():
    assert unwanted([a_schedule()], wanted_of("autostart: ["), set()) == []
    assert unwanted([replace(a_schedule(), path="x.yml")], wanted_of("autostart:\n  - {pth: x.yml}"), set()) == []
