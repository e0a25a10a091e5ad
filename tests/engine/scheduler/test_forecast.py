"""The forecast: every coming run in order, and what may surprise."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from engine.models.forecast import ComingRun, Forecast, WarningCode
from engine.models.schedule import Misfire, Overlap, Schedule, ScheduleSource, Timing
from engine.scheduler.forecast import COUNTED_AT_MOST, CROWD, CROWDS_SHOWN, forecast

BRUSSELS = ZoneInfo("Europe/Brussels")
NOON = datetime(2026, 3, 15, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def schedule(id: str, cron: str | None = None, seconds: int | None = None, zone: str | None = None, **changes):
    return Schedule(
        id=id,
        path=f"{id}.yml",
        timing=Timing(NOON, cron, seconds, zone),
        overlap=Overlap.SKIP,
        misfire=Misfire.LATEST,
        misfire_grace_seconds=None,
        timeout_seconds=None,
        data=None,
        source=ScheduleSource.API,
        is_paused=changes.get("is_paused", False),
        created_time=NOON,
        last_due=NOON,
        next_due=None,
    )


def foresee(*schedules: Schedule, after: datetime = NOON, hours: float = 24, limit: int = 500) -> Forecast:
    return forecast(schedules, BRUSSELS, after, after + hours * HOUR, limit)


def messages(*schedules: Schedule, **window) -> list[str]:
    return [warning.message for warning in foresee(*schedules, **window).warnings]


def test_the_runs_of_all_schedules_are_in_order_of_time():
    seen = foresee(schedule("hourly", "0 * * * *"), schedule("often", seconds=2400), hours=2)

    assert [(run.schedule_id, run.due_time - NOON) for run in seen.runs] == [
        ("often", timedelta(minutes=40)),
        ("hourly", timedelta(minutes=60)),
        ("often", timedelta(minutes=80)),
        ("hourly", timedelta(minutes=120)),
        ("often", timedelta(minutes=120)),
    ]
    assert (seen.warnings, seen.truncated) == ((), False)


def test_a_run_has_the_local_time_of_its_schedule():
    seen = foresee(schedule("here", "0 18 * * *"), schedule("there", "0 18 * * *", zone="Asia/Kolkata"))

    assert [run.timezone for run in seen.runs] == ["Asia/Kolkata", "Europe/Brussels"]
    assert seen.runs[0] == ComingRun(
        schedule_id="there",
        path="there.yml",
        due_time=NOON + timedelta(minutes=30),
        local_time=datetime(2026, 3, 15, 18, tzinfo=ZoneInfo("Asia/Kolkata")),
        timezone="Asia/Kolkata",
    )
    assert [run.local_time.isoformat() for run in seen.runs] == [
        "2026-03-15T18:00:00+05:30",
        "2026-03-15T18:00:00+01:00",
    ]


@pytest.mark.parametrize(("limit", "is_truncated"), [(1, True), (23, True), (24, False), (500, False)])
def test_more_runs_than_the_limit_are_cut_and_it_is_said(limit, is_truncated):
    seen = foresee(schedule("hourly", "0 * * * *"), limit=limit)

    assert len(seen.runs) == min(limit, 24)
    assert seen.truncated is is_truncated


def test_paused_schedules_are_left_out():
    assert foresee(schedule("a", "0 0 30 2 *", is_paused=True), schedule("b", "* * * * *", is_paused=True)) == Forecast(
        (), (), False
    )


def test_a_time_that_does_not_exist_is_told():
    seen = foresee(schedule("a", "30 2 * * *"), after=datetime(2027, 3, 27, 12, tzinfo=UTC))

    assert [run.local_time.isoformat() for run in seen.runs] == ["2027-03-28T03:00:00+02:00"]
    (warning,) = seen.warnings
    assert warning.code is WarningCode.SKIPPED_TIME
    assert warning.message == "02:30 does not exist on 28 March 2027 in Europe/Brussels; runs at 03:00 instead"
    assert (warning.schedule_id, warning.path, warning.time) == ("a", "a.yml", seen.runs[0].due_time)


def test_a_time_that_exists_twice_is_told():
    seen = foresee(schedule("a", "30 2 * * *"), after=datetime(2027, 10, 30, 12, tzinfo=UTC))

    assert [run.local_time.isoformat() for run in seen.runs] == ["2027-10-31T02:30:00+02:00"]
    (warning,) = seen.warnings
    assert warning.code is WarningCode.REPEATED_TIME
    assert warning.message == "02:30 exists twice on 31 October 2027 in Europe/Brussels; runs once, the first time"
    assert warning.time == seen.runs[0].due_time


@pytest.mark.parametrize(
    ("after", "text"),
    [
        (
            datetime(2027, 3, 27, 12, tzinfo=UTC),
            "02:00 to 02:45 (4 times) do not exist on 28 March 2027 in Europe/Brussels; runs once at 03:00 instead",
        ),
        (
            datetime(2027, 10, 30, 12, tzinfo=UTC),
            (
                "02:00 to 02:45 (4 times) exist twice on 31 October 2027 in Europe/Brussels; "
                "each runs once, the first time"
            ),
        ),
    ],
)
def test_several_times_of_a_change_are_one_warning(after, text):
    assert messages(schedule("a", "*/15 1-2 * * *"), after=after) == [text]


def test_a_day_that_does_not_exist_is_told():
    after = datetime(2011, 12, 29, 12, tzinfo=UTC)

    assert messages(schedule("a", "0 9 * * *", zone="Pacific/Apia"), after=after) == [
        "09:00 does not exist on 30 December 2011 in Pacific/Apia; runs at 00:00 on 31 December 2011 instead"
    ]


@pytest.mark.parametrize(
    "quiet",
    [
        schedule("all hours", "30 * * * *"),
        schedule("an interval", seconds=86_400),
        schedule("beside it", "59 1 * * *"),
        schedule("at its end", "0 3 * * *"),
        schedule("another day", "30 2 27 * *"),
        schedule("no changes there", "30 2 * * *", zone="Asia/Kolkata"),
    ],
    ids=lambda schedule: schedule.id,
)
@pytest.mark.parametrize("after", [datetime(2027, 3, 27, 23, tzinfo=UTC), datetime(2027, 10, 30, 22, tzinfo=UTC)])
def test_a_schedule_that_no_change_touches_is_not_warned_of(quiet, after):
    assert messages(quiet, after=after, hours=23) == []


@pytest.mark.parametrize(
    ("after", "hours", "is_told"),
    [
        (datetime(2027, 3, 28, 20, tzinfo=UTC), 1, True),
        (datetime(2027, 3, 27, 22, 0, tzinfo=UTC), 1.01, True),
        (datetime(2027, 3, 27, 21, 0, tzinfo=UTC), 1.99, False),
        (datetime(2027, 3, 28, 22, 0, tzinfo=UTC), 1, False),
    ],
)
def test_a_window_that_touches_the_day_of_a_change_tells_it(after, hours, is_told):
    assert bool(messages(schedule("a", "30 2 * * *"), after=after, hours=hours)) is is_told


def test_a_midnight_that_does_not_exist_belongs_to_the_day_that_it_begins():
    daily = schedule("a", "0 0 * * *", zone="America/Sao_Paulo")

    assert messages(daily, after=datetime(2018, 11, 3, 12, tzinfo=UTC), hours=12) == []
    assert messages(daily, after=datetime(2018, 11, 3, 12, tzinfo=UTC), hours=15) == [
        "00:00 does not exist on 4 November 2018 in America/Sao_Paulo; runs at 01:00 instead"
    ]


def test_a_schedule_that_is_never_due_is_told():
    (warning,) = foresee(schedule("a", "0 0 30 2 *")).warnings

    assert (warning.code, warning.message) == (WarningCode.NEVER_DUE, "0 0 30 2 * is never due")
    assert (warning.schedule_id, warning.time) == ("a", None)


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (schedule("a", "61 * * * *"), "the schedule cannot be read: minute: 61 is not from 0 to 59"),
        (schedule("a"), "the schedule cannot be read: every_seconds is None"),
        (schedule("a", "* * * * *", zone="Mars/Base"), "the schedule cannot be read: 'No time zone found with key"),
        (schedule("a", "* * * * *", zone="../etc"), "the schedule cannot be read: "),
    ],
)
def test_a_schedule_that_cannot_be_read_is_told_and_hides_no_other(broken, says):
    seen = foresee(broken, schedule("b", "0 13 * * *"), hours=48)

    assert [run.schedule_id for run in seen.runs] == ["b"] * 2
    assert [warning.code for warning in seen.warnings] == [WarningCode.UNREADABLE]
    assert seen.warnings[0].message.startswith(says)


def test_many_schedules_in_one_minute_are_told():
    crowd = [schedule(f"s{n}", "0 0 * * *") for n in range(CROWD + 1)]

    (warning,) = foresee(*crowd).warnings

    assert (warning.code, warning.schedule_id) == (WarningCode.CROWDED, None)
    assert warning.message == "21 schedules are due at 2026-03-16 00:00 (Europe/Brussels)"
    assert warning.time == datetime(2026, 3, 15, 23, tzinfo=UTC)
    assert messages(*crowd[1:]) == []


def test_a_crowd_beyond_the_limit_of_runs_is_told():
    crowd = [schedule(f"s{n}", "0 0 * * *") for n in range(CROWD + 1)]

    assert messages(*crowd, limit=1) == ["21 schedules are due at 2026-03-16 00:00 (Europe/Brussels)"]


def test_one_schedule_that_runs_often_is_no_crowd():
    assert messages(schedule("a", seconds=1), hours=0.1) == []


def test_the_fullest_minutes_are_told():
    every_hour = [schedule(f"s{n}", "0 * * * *") for n in range(CROWD + 1)]
    fuller = [schedule(f"t{n}", "0 20-23 * * *") for n in range(3)]

    seen = messages(*every_hour, *fuller)

    assert len(seen) == CROWDS_SHOWN
    assert [message.split(" ", 1)[0] for message in seen] == ["21"] * 6 + ["24"] * 4, (
        "in order of time, as all warnings"
    )
    assert seen[0].endswith("2026-03-15 14:00 (Europe/Brussels)")


def test_very_many_runs_are_not_all_counted_and_it_is_said():
    seen = foresee(schedule("a", seconds=1), hours=24, limit=3)

    assert (len(seen.runs), seen.truncated) == (3, True)
    (warning,) = seen.warnings
    assert warning.code is WarningCode.NOT_ALL_COUNTED
    assert warning.message == (
        f"only the first {COUNTED_AT_MOST} due times, up to 2026-03-16 02:53 (Europe/Brussels), "
        "were looked at for crowds"
    )


def test_warnings_are_in_order_of_time():
    after = datetime(2027, 1, 1, tzinfo=UTC)

    seen = foresee(schedule("a", "30 2 * * *"), schedule("b", "0 0 30 2 *"), after=after, hours=366 * 24)

    assert [warning.code for warning in seen.warnings] == [
        WarningCode.NEVER_DUE,
        WarningCode.SKIPPED_TIME,
        WarningCode.REPEATED_TIME,
    ]
