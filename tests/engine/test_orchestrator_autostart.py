"""Schedules that come out of files: config.yml is followed, and flows may carry their own times."""

from __future__ import annotations

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from clocks import NOON, TestClock
from engines import engines, folder_with
from flows import QUICK

from engine.errors import DatabaseDown, DocumentInvalid, FlowNotFound, RequestInvalid, ScheduleExists, TooLarge
from engine.models.schedule import Overlap, ScheduleFilter, ScheduleSource
from engine.store.schedules import ScheduleStore

HOURLY = "cron: 0 * * * *\n" + QUICK
EVERY = ScheduleFilter(limit=100)


@pytest.fixture
def data(tmp_path):
    return folder_with({"quick.yml": QUICK, "hourly.yml": HOURLY, "other.yml": QUICK}, tmp_path / "data")


@pytest.fixture
def make(data):
    with engines(data, TestClock(), flow_max_workers=0) as make:
        yield make


@pytest.fixture
def engine(make):
    return make()


@pytest.fixture
def config(data):
    """Writes config.yml, always with another time of change."""
    written = Counter()

    def write(text, path=data / "config.yml"):
        written[path] += 1
        path.write_text(text)
        os.utime(path, ns=(0, written[path] * 10**9))

    return write


def shown(engine):
    """Each schedule's path and times, in order of its path."""
    found = engine.schedules(EVERY)
    return sorted((each.path, each.timing.cron or each.timing.every_seconds) for each in found)


# config.yml


def test_without_a_config_file_there_is_nothing_to_do(engine):
    assert engine.reconcile() == []
    assert shown(engine) == []


def test_what_config_lists_is_scheduled(engine, config):
    config(
        "autostart:\n"
        "  - hourly.yml\n"
        "  - {path: quick.yml, every_seconds: 90, timeout_seconds: 5, overlap: queue, data: {n: 1}}\n"
    )

    assert engine.reconcile() == []

    assert shown(engine) == [("hourly.yml", "0 * * * *"), ("quick.yml", 90)]
    quick = next(each for each in engine.schedules(EVERY) if each.path == "quick.yml")
    assert (quick.source, quick.timeout_seconds, quick.overlap) == (ScheduleSource.CONFIG, 5, Overlap.QUEUE)
    assert quick.data == {"n": 1}
    assert quick.next_due == NOON + timedelta(seconds=90)


def test_a_second_look_changes_nothing(engine, make, config):
    config("autostart: [hourly.yml, {path: ./quick.yml, every_seconds: 90}]")
    engine.reconcile()
    before = engine.schedules(EVERY)

    assert engine.reconcile() == []
    assert make().reconcile() == []

    assert engine.schedules(EVERY) == before


def test_nothing_but_files_times_is_looked_at_when_nothing_has_changed(engine, config, monkeypatch):
    config("autostart: [hourly.yml]")
    engine.reconcile()

    def unexpected(*_):
        raise AssertionError("asked without need")

    monkeypatch.setattr(ScheduleStore, "by_source", unexpected)

    assert engine.reconcile() == []


def test_a_changed_file_is_followed(engine, config):
    config("autostart: [hourly.yml, {path: quick.yml, every_seconds: 90}, {path: other.yml, cron: '@daily'}]")
    engine.reconcile()
    kept = next(each for each in engine.schedules(EVERY) if each.path == "other.yml")

    config("autostart: [{path: quick.yml, every_seconds: 60}, {path: other.yml, cron: '@daily'}]")
    assert engine.reconcile() == []

    assert shown(engine) == [("other.yml", "@daily"), ("quick.yml", 60)]
    assert kept in engine.schedules(EVERY)


def test_a_list_that_has_become_empty_takes_all_away(engine, config):
    config("autostart: [hourly.yml]")
    engine.reconcile()

    config("{}")
    assert engine.reconcile() == []

    assert shown(engine) == []


def test_what_changes_but_its_times_stays_the_same_schedule_and_stays_paused(engine, config):
    config("autostart: [{path: quick.yml, every_seconds: 90}]")
    engine.reconcile()
    [before] = engine.schedules(EVERY)
    engine.pause_schedule(before.id)

    config("autostart: [{path: quick.yml, every_seconds: 90, timeout_seconds: 7, data: [1], misfire: skip}]")
    assert engine.reconcile() == []

    [after] = engine.schedules(EVERY)
    assert (after.id, after.is_paused) == (before.id, True)
    assert (after.timeout_seconds, after.data, after.misfire) == (7, [1], "skip")


def test_the_times_of_a_bare_path_follow_the_flows_file(engine, config, data):
    config("autostart: [hourly.yml]")
    engine.reconcile()

    config("every_seconds: 30\n" + QUICK, data / "flows" / "hourly.yml")
    assert engine.reconcile() == []

    assert shown(engine) == [("hourly.yml", 30)]


def test_a_schedule_of_the_api_is_left_alone_and_told_where_it_differs(engine, config):
    mine = engine.create_schedule("quick.yml", every_seconds=90)
    other = engine.create_schedule("other.yml", every_seconds=90)

    config(
        "autostart: [{path: quick.yml, every_seconds: 90, timeout_seconds: 7}, {path: other.yml, every_seconds: 90}]"
    )
    [problem] = engine.reconcile()
    assert problem.startswith(f"config.yml, line 1: the schedule {mine.id} has quick.yml at the same times")
    assert {each.id for each in engine.schedules(EVERY)} == {mine.id, other.id}

    engine.delete_schedule(mine.id)
    engine.reconcile()
    [made] = [each for each in engine.schedules(EVERY) if each.path == "quick.yml"]
    assert (made.source, made.timeout_seconds) == (ScheduleSource.CONFIG, 7)


# What is wrong with it


def test_a_broken_entry_is_told_keeps_its_schedule_and_stops_no_other(engine, config):
    config("autostart: [hourly.yml, {path: quick.yml, every_seconds: 90}]")
    engine.reconcile()

    config(
        "autostart:\n"
        "  - {path: ./quick.yml, every_seconds: 0}\n"
        "  - {path: other.yml, cron: '61 * * * *'}\n"
        "  - {path: other.yml, every_seconds: 5}\n"
        "  - gone.yml\n"
        "  - other.yml\n"
    )
    problems = engine.reconcile()

    assert [problem.split(": ")[0] for problem in problems] == [
        "config.yml, line 2",
        "config.yml, line 5",
        "config.yml, line 6",
        "config.yml, line 3",
    ]
    assert "`every_seconds` must be a whole number from 1 to 31 536 000, not 0" in problems[0]
    assert "'gone.yml' is not in FLOWS_PATH" in problems[1]
    assert "other.yml has no schedule: give cron or every_seconds" in problems[2]
    assert "61" in problems[3]
    assert shown(engine) == [("other.yml", 5), ("quick.yml", 90)]


def test_a_problem_is_told_until_it_is_mended_even_when_the_file_stays(engine, config, data):
    config("autostart: [later.yml]")

    assert engine.reconcile() == engine.reconcile() != []

    (data / "flows" / "later.yml").write_text(HOURLY)
    assert engine.reconcile() == []
    assert shown(engine) == [("later.yml", "0 * * * *")]


def test_a_document_that_is_invalid_is_not_scheduled(engine, config, data):
    (data / "flows" / "bad.yml").write_text("cron: '@daily'\nname: bad\n")
    config("autostart: [bad.yml, {path: bad.yml, every_seconds: 5}]")

    problems = engine.reconcile()

    assert [("steps is missing" in problem, "line 1: " in problem) for problem in problems] == [(True, True)] * 2
    assert shown(engine) == []


def test_a_flow_whose_own_times_are_wrong_is_told(engine, config, data):
    (data / "flows" / "both.yml").write_text("every_seconds: 5\n" + HOURLY)
    (data / "flows" / "word.yml").write_text("every_seconds: often\n" + QUICK)
    config("autostart: [both.yml, word.yml]")

    both, word = engine.reconcile()

    assert "both.yml: `every_seconds` cannot be given together with `cron`" in both
    assert "word.yml: `every_seconds` must be a whole number from 1" in word


def test_an_entry_twice_is_told_and_made_once(engine, config):
    config("autostart:\n  - hourly.yml\n  - {path: ./hourly.yml, cron: 0 * * * *}\n")

    assert engine.reconcile() == ["config.yml, line 3: line 2 has ./hourly.yml at the same times already"]
    assert shown(engine) == [("hourly.yml", "0 * * * *")]


@pytest.mark.parametrize("text", ["autostart: [", "autostart: quick.yml", "autostrat: []", "\0", "[]"])
def test_a_file_that_cannot_be_read_as_a_whole_changes_nothing(engine, config, text):
    config("autostart: [hourly.yml]")
    engine.reconcile()
    before = engine.schedules(EVERY)

    config(text)

    assert engine.reconcile() != []
    assert engine.schedules(EVERY) == before


def test_a_file_that_is_gone_changes_nothing_and_is_missed(engine, config, data):
    config("autostart: [hourly.yml]")
    engine.reconcile()

    (data / "config.yml").unlink()

    [problem] = engine.reconcile()
    assert problem.startswith("config.yml: the file is not there; the schedules that it made stay")
    assert shown(engine) == [("hourly.yml", "0 * * * *")]


def test_a_file_of_other_bytes_or_a_folder_or_too_long_a_one_is_told(engine, config, data):
    file = data / "config.yml"
    file.write_bytes(b"autostart: [\xff]")
    assert "not UTF-8" in engine.reconcile()[0]
    file.write_bytes(b"#" * (engine.settings.max_document_bytes + 1))
    assert "has more than 1000000 bytes" in engine.reconcile()[0]
    file.unlink()
    file.mkdir()
    assert engine.reconcile() == ["config.yml: the file cannot be read: Is a directory"]


@pytest.mark.parametrize(
    ("given", "fits"), [("x" * 98, True), ("x" * 99, False), ("é" * 49, True), ("é" * 50, False), (["x" * 97], False)]
)
def test_the_data_of_a_schedule_is_bounded_in_bytes(make, given, fits):
    engine = make(max_schedule_data_bytes=100)
    if fits:
        assert engine.create_schedule("quick.yml", every_seconds=60, data=given).data == given
    else:
        with pytest.raises(TooLarge, match=r"data has 10\d bytes of JSON, more than the 100 .*MAX_SCHEDULE_DATA_BYTES"):
            engine.create_schedule("quick.yml", every_seconds=60, data=given)
        assert engine.schedules(EVERY) == []


@pytest.mark.parametrize("half", ["", "autostart:\n  - hourly.yml\n  - path: quick.yml\n    every_seconds: 6"])
def test_a_file_that_is_just_being_written_takes_nothing_away(engine, config, data, monkeypatch, half):
    whole = "autostart:\n  - hourly.yml\n  - path: quick.yml\n    every_seconds: 60\n"
    config(whole)
    engine.reconcile()
    before = engine.schedules(EVERY)

    (data / "config.yml").write_text(half)
    monkeypatch.setattr(engine.clock, "wait", lambda *_: config(whole))

    assert engine.reconcile() == []
    assert engine.schedules(EVERY) == before
    assert engine.reconcile() == []
    assert engine.schedules(EVERY) == before


def test_a_pipe_in_place_of_the_file_is_told_and_not_waited_for(engine, config, data):
    config("autostart: [hourly.yml]")
    engine.reconcile()
    (data / "config.yml").unlink()
    os.mkfifo(data / "config.yml")

    with ThreadPoolExecutor(1) as pool:
        look = pool.submit(engine.reconcile)
        try:
            problems = look.result(10)
        finally:
            os.close(os.open(data / "config.yml", os.O_RDWR | os.O_NONBLOCK))  # Lets go of whoever waits for it.

    assert problems == ["config.yml: the file cannot be read: it is a pipe or a device, not a file"]
    assert shown(engine) == [("hourly.yml", "0 * * * *")]


def test_a_database_that_is_away_is_no_problem_of_the_file(engine, config, monkeypatch):
    config("autostart: [hourly.yml]")

    def away(*_):
        raise DatabaseDown("The database cannot be reached.")

    with monkeypatch.context() as patch:
        patch.setattr(ScheduleStore, "insert", away)
        with pytest.raises(DatabaseDown):
            engine.reconcile()

    assert engine.reconcile() == []
    assert shown(engine) == [("hourly.yml", "0 * * * *")]


# Several at once


def test_processes_that_look_at_once_make_each_schedule_once(make, config):
    engines = [make() for _ in range(4)]
    config("autostart: [hourly.yml, {path: quick.yml, every_seconds: 90}, {path: other.yml, cron: '@daily'}]")
    barrier = Barrier(4)

    def look(engine):
        barrier.wait(10)
        return engine.reconcile()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(look, engines)) == [[]] * 4

    assert shown(engines[0]) == [("hourly.yml", "0 * * * *"), ("other.yml", "@daily"), ("quick.yml", 90)]

    config("autostart: [{path: quick.yml, every_seconds: 30}]")
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(look, engines)) == [[]] * 4

    assert shown(engines[0]) == [("quick.yml", 30)]


# A flow that is added


def test_a_flow_is_added_at_its_own_times(engine):
    made = engine.add_flow("./hourly.yml", cron=None, every_seconds=None, timeout_seconds=5)

    assert shown(engine) == [("hourly.yml", "0 * * * *")]
    assert (made.source, made.timeout_seconds) == (ScheduleSource.API, 5)
    with pytest.raises(ScheduleExists) as caught:
        engine.add_flow("hourly.yml")
    assert caught.value.fields["schedule_id"] == made.id


def test_times_that_are_given_win_over_the_flows_own(engine):
    engine.add_flow("hourly.yml", every_seconds=60)

    assert shown(engine) == [("hourly.yml", 60)]


def test_a_flow_that_cannot_be_added_says_why(engine, data):
    (data / "flows" / "bad.yml").write_text("cron: '@daily'\nname: bad\n")

    with pytest.raises(RequestInvalid, match=r"^quick\.yml has no schedule: give cron or every_seconds\.$"):
        engine.add_flow("quick.yml")
    with pytest.raises(FlowNotFound):
        engine.add_flow("gone.yml")
    with pytest.raises(DocumentInvalid):
        engine.add_flow("bad.yml")
