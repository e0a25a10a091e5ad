"""When something is due: the rules of docs/adr/0012, one by one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from time import perf_counter
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.models.schedule import Timing
from engine.scheduler.due import Due, due, next_due, upcoming

BRUSSELS = ZoneInfo("Europe/Brussels")
NOON = datetime(2026, 3, 15, 12, tzinfo=UTC)
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
TICK = timedelta.resolution


def cron(text: str) -> Timing:
    return Timing(NOON, cron=text)


def every(seconds: int, anchor: datetime = NOON) -> Timing:
    return Timing(anchor, every_seconds=seconds)


def runs(text: str, zone: str, first: str, last: str) -> list[str]:
    """The local times of all runs from the beginning of a local day to the end of another, with their offsets."""
    there = ZoneInfo(zone)
    after = datetime.fromisoformat(first).replace(tzinfo=there).astimezone(UTC) - TICK
    until = (datetime.fromisoformat(last) + DAY).replace(tzinfo=there).astimezone(UTC) - TICK
    return [f"{moment.astimezone(there):%d %H:%M %z}" for moment in upcoming(cron(text), there, after, until)]


@pytest.mark.parametrize(
    ("name", "text", "zone", "day", "expected"),
    [
        ("a fixed time", "30 2 * * *", "Europe/Brussels", "2026-03-29", ["29 03:00 +0200"]),
        ("many fixed times are caught up once", "*/10 2 * * *", "Europe/Brussels", "2026-03-29", ["29 03:00 +0200"]),
        ("the same minute is due anyway", "0,30 2,3 * * *", "Europe/Brussels", "2026-03-29",
         ["29 03:00 +0200", "29 03:30 +0200"]),
        ("times beside it", "30 1-4 * * *", "Europe/Brussels", "2026-03-29",
         ["29 01:30 +0100", "29 03:00 +0200", "29 03:30 +0200", "29 04:30 +0200"]),
        ("another day's time", "30 2 28 * *", "Europe/Brussels", "2026-03-29", []),
        ("all hours", "30 * 29 3 *", "America/New_York", "2026-03-08", []),
        ("half an hour", "15 2 * * *", "Australia/Lord_Howe", "2026-10-04", ["04 02:30 +1100"]),
        ("after half an hour", "45 2 * * *", "Australia/Lord_Howe", "2026-10-04", ["04 02:45 +1100"]),
        ("midnight", "0 0 * * *", "America/Sao_Paulo", "2018-11-04", ["04 01:00 -0200"]),
        ("midnight", "0 0 * * *", "Asia/Beirut", "2026-03-29", ["29 01:00 +0300"]),
        ("midnight", "@daily", "Africa/Cairo", "2026-04-24", ["24 01:00 +0300"]),
    ],
)  # fmt: skip
def test_a_time_that_does_not_exist_runs_at_the_first_minute_after_the_gap(name, text, zone, day, expected):
    """Fault 40."""
    assert runs(text, zone, day, day) == expected, name


@pytest.mark.parametrize(
    ("name", "text", "zone", "day", "expected"),
    [
        ("a fixed time", "30 2 * * *", "Europe/Brussels", "2026-10-25", ["25 02:30 +0200"]),
        ("the hour's beginning", "0 2 * * *", "Europe/Brussels", "2026-10-25", ["25 02:00 +0200"]),
        ("the end of the repeated hour", "0 3 * * *", "Europe/Brussels", "2026-10-25", ["25 03:00 +0100"]),
        ("some hours", "0 1-3 * * *", "Europe/Brussels", "2026-10-25",
         ["25 01:00 +0200", "25 02:00 +0200", "25 03:00 +0100"]),
        ("half an hour", "45 1 * * *", "Australia/Lord_Howe", "2026-04-05", ["05 01:45 +1100"]),
        ("before midnight", "30 23 * * *", "America/Sao_Paulo", "2018-02-17", ["17 23:30 -0200"]),
        ("before midnight", "30 23 * * *", "Africa/Cairo", "2026-10-29", ["29 23:30 +0300"]),
        ("midnight that comes twice", "0 0 * * *", "America/Havana", "2026-11-01", ["01 00:00 -0400"]),
        ("across midnight", "0,30 0,23 * * *", "America/St_Johns", "2010-11-06", ["06 00:00 -0230", "06 00:30 -0230",
         "06 23:00 -0230", "06 23:30 -0230"]),
    ],
)  # fmt: skip
def test_a_fixed_time_that_exists_twice_runs_the_first_time(name, text, zone, day, expected):
    """Fault 41."""
    assert runs(text, zone, day, day) == expected, name


def test_each_real_half_hour_is_run_when_the_clocks_go_back():
    """Fault 41."""
    assert runs("*/30 * * * *", "Europe/Brussels", "2026-10-25", "2026-10-25")[3:8] == [
        "25 01:30 +0200",
        "25 02:00 +0200",
        "25 02:30 +0200",
        "25 02:00 +0100",
        "25 02:30 +0100",
    ]


def test_each_real_half_hour_is_run_when_the_clocks_go_forward():
    """Fault 40: the labels that do not exist are no real half hours."""
    assert runs("*/30 * * * *", "Europe/Brussels", "2026-03-29", "2026-03-29")[2:6] == [
        "29 01:00 +0100",
        "29 01:30 +0100",
        "29 03:00 +0200",
        "29 03:30 +0200",
    ]


def test_an_hour_that_is_not_whole_shifts_the_minutes_and_skips_none():
    assert runs("20 * * * *", "Australia/Lord_Howe", "2026-10-04", "2026-10-04")[:3] == [
        "04 00:20 +1030",
        "04 01:20 +1030",
        "04 03:20 +1100",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 9 * * *", ["29 09:00 -1000", "31 00:00 +1400", "31 09:00 +1400"]),
        ("0 0 * * *", ["29 00:00 -1000", "31 00:00 +1400"]),
        ("0 9 30 * *", ["31 00:00 +1400"]),
        ("0 9,15 * * fri", ["31 00:00 +1400"]),
        ("0 9 * * thu", ["29 09:00 -1000"]),
    ],
)
def test_a_day_that_does_not_exist_is_caught_up_once(text, expected):
    """Samoa had no 30 December 2011, a Friday."""
    assert runs(text, "Pacific/Apia", "2011-12-29", "2011-12-31") == expected


def test_a_window_that_begins_in_a_repeated_hour_does_not_run_it_again():
    second_two = datetime(2026, 10, 25, 1, 0, tzinfo=UTC)

    assert due(cron("30 2 * * *"), BRUSSELS, second_two, second_two + timedelta(hours=2)) == Due()
    assert next_due(cron("30 2 * * *"), BRUSSELS, second_two) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


class BackAtNewYear(tzinfo):
    """An hour ahead of UTC until half an hour before UTC's new year: 23:30 to 00:30 are shown twice."""

    change = datetime(2030, 12, 31, 23, 30, tzinfo=UTC)

    def fromutc(self, moment: datetime) -> datetime:
        offset = timedelta(0) if moment.replace(tzinfo=UTC) >= self.change else timedelta(hours=1)
        is_second = timedelta(0) <= moment.replace(tzinfo=UTC) - self.change < timedelta(hours=1)
        return (moment + offset).replace(fold=int(is_second))

    def utcoffset(self, moment: datetime | None) -> timedelta:
        assert moment is not None
        wall = moment.replace(tzinfo=UTC)
        is_back = wall >= self.change + timedelta(hours=1) or (wall >= self.change and moment.fold == 1)
        return timedelta(0) if is_back else timedelta(hours=1)

    def dst(self, moment: datetime | None) -> timedelta:
        return timedelta(0)


def test_an_hour_that_is_repeated_over_new_year_runs_once():
    zone = BackAtNewYear()

    found = list(upcoming(cron("15,45 0,23 31,1 * *"), zone, zone.change - DAY / 2, zone.change + DAY / 2))

    assert [moment.strftime("%d %H:%M") for moment in found] == ["31 22:15", "31 22:45", "31 23:15", "01 00:45"]


def test_a_window_that_begins_with_the_change_catches_up():
    change = datetime(2026, 3, 29, 1, 0, tzinfo=UTC)

    assert due(cron("30 2 * * *"), BRUSSELS, change - TICK, change).newest == change
    assert due(cron("30 2 * * *"), BRUSSELS, change - DAY, change - TICK).newest != change
    assert due(cron("30 2 * * *"), BRUSSELS, change, change + timedelta(hours=9)) == Due()


def test_a_minute_before_the_offset_had_whole_minutes_is_the_local_one():
    monrovia = ZoneInfo("Africa/Monrovia")

    found = next_due(cron("0 12 * * *"), monrovia, datetime(1971, 5, 1, tzinfo=UTC))

    assert found == datetime(1971, 5, 1, 12, 44, 30, tzinfo=UTC)


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=-5, minutes=-30)), ZoneInfo("Asia/Kathmandu")])
def test_a_zone_without_changes_is_read_as_well(zone):
    found = next_due(cron("15 7 * * *"), zone, NOON)

    assert found is not None
    assert (found.tzinfo, found.astimezone(zone).strftime("%H:%M")) == (UTC, "07:15")


@pytest.mark.parametrize("seconds", [0.0, 0.1, 29.9, 59.0, 59.999999])
def test_a_tick_at_any_second_of_the_minute_sees_its_due_time(seconds):
    """Fault 38."""
    tick = NOON + timedelta(seconds=seconds)

    assert due(cron("* * * * *"), UTC, NOON - MINUTE, tick) == Due(1, NOON, NOON)


def test_the_end_of_the_interval_belongs_to_it_and_the_start_does_not():
    assert due(cron("* * * * *"), UTC, NOON, NOON + 2 * MINUTE) == Due(2, NOON + MINUTE, NOON + 2 * MINUTE)
    assert next_due(cron("* * * * *"), UTC, NOON) == NOON + MINUTE
    assert next_due(cron("* * * * *"), UTC, NOON - TICK) == NOON


def test_two_years_without_a_tick_are_counted_at_once():
    """Fault 37."""
    start = perf_counter()

    found = due(cron("* * * * *"), BRUSSELS, NOON - 730 * DAY, NOON)

    assert found == Due(730 * 1440, NOON - 730 * DAY + MINUTE, NOON)
    assert perf_counter() - start < 1, "some thousand times what counting the days takes"


@pytest.mark.parametrize("timing", [cron("* * * * *"), every(60)])
def test_a_clock_that_was_put_back_makes_nothing_due(timing):
    """Fault 39."""
    assert due(timing, BRUSSELS, NOON, NOON - timedelta(hours=1)) == Due()
    assert list(upcoming(timing, BRUSSELS, NOON, NOON - timedelta(hours=1))) == []


@pytest.mark.parametrize("text", ["0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "* * 30,31 feb *"])
def test_a_cron_that_is_never_due_says_none(text):
    """Fault 42."""
    assert next_due(cron(text), BRUSSELS, NOON) is None
    assert due(cron(text), BRUSSELS, NOON, NOON + 3000 * DAY) == Due()


@pytest.mark.parametrize(
    ("text", "after", "expected"),
    [
        ("0 0 29 2 *", datetime(2096, 2, 29, tzinfo=UTC), datetime(2104, 2, 29, tzinfo=UTC)),
        ("0 0 29 2 *", datetime(2026, 3, 1, tzinfo=UTC), datetime(2028, 2, 29, tzinfo=UTC)),
        ("59 23 31 12 *", datetime(2026, 12, 31, 23, 59, tzinfo=UTC), datetime(2027, 12, 31, 23, 59, tzinfo=UTC)),
        ("0 0 31 1-6 *", datetime(2026, 5, 31, tzinfo=UTC), datetime(2027, 1, 31, tzinfo=UTC)),
    ],
)
def test_a_rare_day_is_found(text, after, expected):
    assert next_due(cron(text), UTC, after) == expected


def test_a_cron_that_cannot_be_read_is_an_error_wherever_it_is_met():
    timing = cron("61 * * * *")

    for ask in (
        lambda: due(timing, UTC, NOON, NOON),
        lambda: next_due(timing, UTC, NOON),
        lambda: upcoming(timing, UTC, NOON, NOON),
    ):
        with pytest.raises(ValueError, match="minute: 61 is not from 0 to 59"):
            ask()


# Intervals


def test_an_interval_is_first_due_one_interval_after_its_anchor():
    assert next_due(every(90), UTC, NOON) == NOON + timedelta(seconds=90)
    assert next_due(every(90), UTC, NOON - 10 * DAY) == NOON + timedelta(seconds=90)
    assert due(every(90), UTC, NOON - DAY, NOON + timedelta(seconds=89)) == Due()


def test_an_interval_does_not_drift_over_a_change_of_the_clocks():
    anchor = datetime(2026, 3, 28, 12, tzinfo=BRUSSELS)

    assert next_due(every(86_400, anchor), BRUSSELS, anchor) == datetime(2026, 3, 29, 11, tzinfo=UTC)


@pytest.mark.parametrize("seconds", [None, 0, -5])
def test_an_interval_that_is_none_is_refused(seconds):
    with pytest.raises(ValueError, match="every_seconds is"):
        next_due(Timing(NOON, every_seconds=seconds), UTC, NOON)


@given(
    seconds=st.one_of(st.integers(1, 200), st.integers(1, 31_536_000)),
    start=st.integers(-10_000, 10_000),
    length=st.integers(0, 5_000),
    micros=st.integers(0, 999_999),
)
def test_intervals_are_the_multiples_of_their_length(seconds, start, length, micros):
    after = NOON + timedelta(seconds=start, microseconds=micros)
    until = after + timedelta(seconds=length)
    elapsed = range(max(0, start), start + length + 2)
    multiples = [NOON + timedelta(seconds=second) for second in elapsed if second and second % seconds == 0]
    expected = [moment for moment in multiples if after < moment <= until]

    assert list(upcoming(every(seconds), UTC, after, until)) == expected
    assert due(every(seconds), UTC, after, until) == _summary(expected)


def _summary(moments: list[datetime]) -> Due:
    return Due(len(moments), moments[0], moments[-1]) if moments else Due()


def test_what_is_due_has_utc_as_its_zone():
    zone: tzinfo = BRUSSELS
    found = due(cron("0 * * * *"), zone, NOON.astimezone(zone), (NOON + DAY).astimezone(zone))

    assert found == Due(24, NOON + 60 * MINUTE, NOON + DAY)
    assert {found.oldest.tzinfo, found.newest.tzinfo, next_due(every(5), zone, NOON.astimezone(zone)).tzinfo} == {UTC}
