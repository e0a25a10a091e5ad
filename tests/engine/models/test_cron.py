"""Cron expressions: five fields are read as crontab(5) says; anything else is refused with a way out."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import pytest

from engine.clock import EPOCH
from engine.models.cron import SHORTCUTS, read_cron
from engine.models.schedule import Timing
from engine.scheduler.due import next_due

MONDAY_13, FRIDAY_13, FRIDAY_20 = date(2026, 4, 13), date(2026, 3, 13), date(2026, 3, 20)


def minutes(text: str) -> list[int]:
    """The minutes of the hour that an expression names in its first field."""
    return sorted({at.minute for at in read_cron(f"{text} 0 * * *").times})


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("7", [7]),
        ("007", [7]),
        ("3,1,1", [1, 3]),
        ("10-13", [10, 11, 12, 13]),
        ("*/20", [0, 20, 40]),
        ("*/60", [0]),
        ("5/20", [5, 25, 45]),
        ("59/15", [59]),
        ("10-40/15", [10, 25, 40]),
        ("58-1", [0, 1, 58, 59]),
        ("0,30-32,*/45", [0, 30, 31, 32, 45]),
        ("5,*", list(range(60))),
    ],
)
def test_values_ranges_steps_and_lists_are_read(field, expected):
    assert minutes(field) == expected


def test_names_stand_for_numbers_in_any_case():
    assert read_cron("0 0 * JAN,mar-May Mon-FRI") == read_cron("0 0 * 1,3-5 1-5")


@pytest.mark.parametrize("text", ["0 0 * * 7", "0 0 * * 0", "0 0 * * sun", "0 0 * * SUN"])
def test_sunday_is_seven_and_nought(text):
    assert read_cron(text).weekdays == {0}


@pytest.mark.parametrize("text", ["0 0 * * 0-7", "0 0 * * 1-7", "0 0 * * sun-7", "0 0 1-31 * *", "0 0 * jan-dec *"])
def test_a_range_of_everything_is_a_star(text):
    assert read_cron(text) == read_cron("0 0 * * *")


def test_a_week_that_wraps_around_is_read():
    assert read_cron("0 0 * * fri-mon").weekdays == {0, 1, 5, 6}


@pytest.mark.parametrize("text", ["* * * * *", "*/5 0-23 * * *", "0 */1 * * *", "@hourly"])
def test_all_hours_are_no_restriction(text):
    assert read_cron(text).every_hour


@pytest.mark.parametrize("text", ["0 0-22 * * *", "0 */2 * * *", "@daily"])
def test_some_hours_are_a_restriction(text):
    assert not read_cron(text).every_hour


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@Midnight", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@MONTHLY ", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        (" @annually", "0 0 1 1 *"),
    ],
)
def test_shortcuts_are_read_in_any_case(text, meaning):
    assert read_cron(text) == read_cron(meaning)
    assert text.strip().lower() in SHORTCUTS


def test_blanks_and_tabs_part_the_fields():
    assert read_cron("  5\t4   * *\t* ") == read_cron("5 4 * * *")


def test_times_of_the_day_are_in_order():
    assert read_cron("30,0 9,8 * * *").times == (time(8), time(8, 30), time(9), time(9, 30))


def test_of_two_restricted_days_either_will_do():
    cron = read_cron("0 0 13 * 5")

    assert [cron.runs_on(day) for day in (MONDAY_13, FRIDAY_13, FRIDAY_20, date(2026, 3, 19))] == [True] * 3 + [False]


def test_a_step_in_the_day_of_month_is_a_restriction_as_well():
    assert read_cron("0 0 */2 * 1").runs_on(date(2026, 3, 3))  # a Tuesday
    assert read_cron("0 0 */2 * 1").runs_on(date(2026, 3, 2))  # a Monday, with an even date


@pytest.mark.parametrize("text", ["0 0 1-31 * 5", "0 0 13 * 0-6"])
def test_every_value_beside_a_restricted_day_is_every_day(text):
    assert [read_cron(text).runs_on(day) for day in (MONDAY_13, FRIDAY_20, date(2026, 3, 19))] == [True] * 3


@pytest.mark.parametrize(("text", "days"), [("0 0 13 * *", [True, True, False]), ("0 0 * * 5", [False, True, True])])
def test_one_restricted_day_decides_by_itself(text, days):
    assert [read_cron(text).runs_on(day) for day in (MONDAY_13, FRIDAY_13, FRIDAY_20)] == days


def test_a_day_of_the_week_is_looked_for_in_its_months_only():
    assert not read_cron("0 0 13 4 5").runs_on(FRIDAY_13)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "five fields are read (minute, hour, day of month, month, day of week), not 0"),
        ("   ", "not 0"),
        ("5", "not 1"),
        ("* * * *", "not 4"),
        ("0 0 * * * *", "not 6; seconds and years have no field"),
        ("0 0 1 1 * 0 2027", "every_seconds runs in seconds"),
        ("* " * 200, "400 characters long; up to 255"),
        ("61 99 * * *", "minute: 61 is not from 0 to 59"),
        ("60 * * * *", "minute: 60 is not from 0 to 59"),
        ("0 24 * * *", "hour: 24 is not from 0 to 23"),
        ("0 0 0 * *", "day of month: 0 is not from 1 to 31"),
        ("0 0 32 * *", "day of month: 32 is not from 1 to 31"),
        ("0 0 5-0 * *", "day of month: 0 is not from 1 to 31"),
        ("0 0 * 0 *", "month: 0 is not from 1 to 12"),
        ("0 0 * 13 *", "month: 13 is not from 1 to 12"),
        ("0 0 * * 8", "day of week: 8 is not from 0 to 7"),
        ("50-70 * * * *", "minute: 70 is not from 0 to 59"),
        ("-1 * * * *", "minute: '-1' is not a value"),
        ("+1 * * * *", "minute: '+1' is not a value"),
        ("1.5 * * * *", "minute: '1.5' is not a value"),
        ("1- * * * *", "minute: '1-' is not a value"),
        ("1-2-3 * * * *", "minute: '1-2-3' is not a value"),
        ("*-5 * * * *", "minute: '*-5' is not a value"),
        ("1/2/3 * * * *", "minute: '1/2/3' is not a value"),
        ("*/ * * * *", "minute: '*/' is not a value"),
        ("*/-5 * * * *", "minute: '*/-5' is not a value"),
        ("*/x * * * *", "minute: '*/x' is not a value"),
        ("*/0 * * * *", "minute: the step 0 of '*/0' is not from 1 to 60"),
        ("*/90 * * * *", "every_seconds has longer ones"),
        ("0 */25 * * *", "hour: the step 25 of '*/25' is not from 1 to 24"),
        ("0 0 * * */8", "day of week: the step 8 of '*/8' is not from 1 to 7"),
        ("1, * * * *", "minute: '1,' has a comma with nothing beside it"),
        (",1 * * * *", "minute: ',1' has a comma"),
        ("5-5 * * * *", "minute: '5-5' is a range from a value to itself; write '5'"),
        ("0 0 * jan-1 *", "month: 'jan-1' is a range from a value to itself"),
        ("0 0 * * 7-0", "day of week: '7-0' is a range from a value to itself"),
        ("50-10/7 * * * *", "minute: '50-10/7' has a step and goes from 50 down to 10; write two ranges"),
        ("0 0 ? * *", "day of month: '?' is not read; write '*'"),
        ("0 0 * * ?", "day of week: '?' is not read"),
        ("0 0 L * *", "day of month: 'L' (a last day"),
        ("0 0 28-L * *", "day of month: 'L' (a last day"),
        ("0 0 * * L5", "day of week: 'L5' (a last day"),
        ("0 0 * * 5L", "day of week: '5L' (a last day"),
        ("0 0 LW * *", "day of month: 'LW' (a last day, a nearest working day)"),
        ("0 0 15W * *", "day of month: '15W' (a last day, a nearest working day)"),
        ("0 0 W15 * *", "day of month: 'W15' (a last day"),
        ("0 0 * * 5#2", "day of week: '5#2' (the n-th such day of a month)"),
        ("0 0 * * mon#1", "day of week: 'mon#1' (the n-th"),
        ("H * * * *", "minute: 'H' (any value) is not read"),
        ("R R * * *", "minute: 'R' (any value) is not read"),
        ("H(0-29) * * * *", "minute: 'H(0-29)' (any value of a range)"),
        ("H/15 * * * *", "minute: 'H' (any value)"),
        ("mon * * * *", "minute: 'mon' is not a number from 0 to 59"),
        ("0 0 * mon *", "month: 'mon' is not a number from 1 to 12, or jan to dec"),
        ("0 0 * * monday", "day of week: 'monday' is not a number from 0 to 7, or sun to sat"),
        ("0 0 * * jan", "day of week: 'jan' is not"),
        ("x * * * *", "minute: 'x' is not a number"),
        ("１ * * * *", "minute: '１' is not a value"),
        ("5\u00a04 * * *", "not 4"),
        ("5 4 * * *\n", "day of week: '*\\n' is not a value"),
        ("5 4 * *\n*", "not 4"),
        ("@reboot", "'@reboot' is not one of @hourly @daily"),
        ("@every 5m", "'@every 5m' is not one of @hourly"),
        ("@ daily", "'@ daily' is not one of"),
        ("@daily @daily", "is not one of"),
        ("0 0 @daily * *", "day of month: '@daily' is not a value"),
    ],
)
def test_what_is_not_read_is_refused_with_its_field_and_the_way_out(text, says):
    """Fault 42."""
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the text is compared below
        read_cron(text)

    assert type(refused.value) is ValueError, "croniter's own words are not for users"
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("text", "is_ever_due"),
    [
        ("0 0 30 2 *", False),
        ("0 0 31 2,4,6,9,11 *", False),
        ("0 0 29 2 *", True),
        ("0 0 31 4,5 *", True),
        ("0 0 30 2 mon", True),
        ("0 0 * * *", True),
    ],
)
def test_a_day_that_no_month_has_is_never_due(text, is_ever_due):
    assert read_cron(text).is_ever_due == is_ever_due
    assert (next_due(Timing(EPOCH, text), UTC, datetime(2026, 1, 1, tzinfo=UTC)) is not None) == is_ever_due
