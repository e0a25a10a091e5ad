"""What is due, compared with a look at every single minute, wherever in the world the clocks are changed."""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from cron_by_minutes import due_minutes
from croniter import croniter
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.models.schedule import Timing
from engine.scheduler.changes import changes
from engine.scheduler.due import Due, due, next_due, upcoming

ZONES = (
    "UTC", "Europe/Brussels", "Europe/London", "Europe/Dublin", "America/New_York", "America/Los_Angeles",
    "America/St_Johns", "America/Havana", "America/Sao_Paulo", "America/Caracas", "America/Santiago", "Asia/Kolkata",
    "Asia/Kathmandu", "Asia/Beirut", "Asia/Gaza", "Africa/Cairo", "Africa/Casablanca", "Australia/Lord_Howe",
    "Pacific/Apia", "Antarctica/Troll", "Asia/Pyongyang", "Pacific/Chatham",
)  # fmt: skip
EXPRESSIONS = (
    "* * * * *", "*/30 * * * *", "0 0 * * *", "30 2 * * *", "*/7 1-3 * * *", "15,45 0,23 * * *", "0 */2 * * *",
    "30 0-22 * * *", "59 23 * * sun", "0 0 1 * *", "1 0,2 29,30 3,10,11,12 *", "5 2 13 * fri",
)  # fmt: skip
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
EPOCH = datetime(2008, 1, 1, tzinfo=UTC)
AFTER_A_CHANGE = timedelta(hours=30)


def summary(moments: list[datetime]) -> Due:
    return Due(len(moments), moments[0], moments[-1]) if moments else Due()


@cache
def changed_hours(name: str) -> list[datetime]:
    """Each hour of ten years after which the clocks differ from before."""
    zone = ZoneInfo(name)
    hours = [EPOCH + n * HOUR for n in range(10 * 366 * 24)]
    offsets = [hour.astimezone(zone).utcoffset() for hour in hours]
    return [hours[n] for n in range(1, len(hours)) if offsets[n] != offsets[n - 1]]


@pytest.mark.parametrize("name", ZONES)
def test_every_change_of_ten_years_is_found_to_the_minute(name):
    zone = ZoneInfo(name)

    found = list(changes(zone, EPOCH, EPOCH + 10 * 366 * DAY))

    assert [change.moment for change in found if change.moment > EPOCH] == [
        next(
            minute
            for minute in (hour + n * timedelta(minutes=1) for n in range(-59, 1))
            if minute.astimezone(zone).utcoffset() == hour.astimezone(zone).utcoffset()
        )
        for hour in changed_hours(name)
    ]
    for change in found:
        assert change.moment.astimezone(zone).utcoffset() == change.after
        assert (change.moment - timedelta(seconds=1)).astimezone(zone).utcoffset() == change.before


@pytest.mark.parametrize("name", ZONES)
def test_ten_years_of_changed_clocks_are_due_minute_by_minute(name):
    """A third of the expressions at each change, in turn: each meets changes of both directions in every zone."""
    zone = ZoneInfo(name)
    for number, hour in enumerate([EPOCH, *changed_hours(name)]):
        after, until = hour - timedelta(hours=6), hour + AFTER_A_CHANGE
        for expression in EXPRESSIONS[number % 3 :: 3]:
            timing = Timing(EPOCH, cron=expression)
            expected = due_minutes(expression, zone, after, until)

            assert list(upcoming(timing, zone, after, until)) == expected, (expression, hour)
            assert due(timing, zone, after, until) == summary(expected), (expression, hour)


@pytest.mark.parametrize("name", ZONES)
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_ten_years_at_once_are_the_sum_of_their_weeks(name, expression):
    """Fault 37: a long gap is counted like many short ones."""
    zone, timing = ZoneInfo(name), Timing(EPOCH, cron=expression)
    weeks = [due(timing, zone, EPOCH + n * 7 * DAY, EPOCH + (n + 1) * 7 * DAY) for n in range(520)]

    whole = due(timing, zone, EPOCH, EPOCH + 520 * 7 * DAY)

    assert whole == Due(
        sum(week.count for week in weeks),
        next(week.oldest for week in weeks if week.oldest),
        next(week.newest for week in reversed(weeks) if week.newest),
    )


@st.composite
def fields(draw: st.DrawFn, low: int, high: int) -> str:
    """A field of a cron expression that is `*`, or not all there is: the slow look tells them apart by the star."""
    if draw(st.booleans()):
        return "*"
    first, last = sorted(draw(st.lists(st.integers(low, high), min_size=2, max_size=2, unique=True)))
    step = draw(st.integers(2, 7))
    return draw(
        st.sampled_from(
            [str(first), f"{first},{last}", f"{first}-{last}", f"{first}-{last}/{step}", f"*/{step}"]
        ).filter(lambda text: text != f"{low}-{high}")
    )


@st.composite
def expressions(draw: st.DrawFn) -> str:
    month = draw(st.sampled_from(["*", "*", "3,4,10", "2-11/3"]))
    return " ".join([draw(fields(0, 59)), draw(fields(0, 23)), draw(fields(1, 31)), month, draw(fields(0, 6))])


@st.composite
def windows(draw: st.DrawFn) -> tuple[ZoneInfo, datetime, datetime]:
    """Up to three days, near a change of the clocks or anywhere."""
    zone = ZoneInfo(draw(st.sampled_from(ZONES)))
    start = datetime(draw(st.integers(2008, 2036)), 1, 1, tzinfo=UTC)
    moments = [change.moment for change in changes(zone, start, start + 365 * DAY)]
    near = draw(st.sampled_from([*moments, start + draw(st.integers(0, 364)) * DAY]))
    after = near + timedelta(seconds=draw(st.integers(-200_000, 100_000)), microseconds=draw(st.integers(0, 999_999)))
    return zone, after, after + timedelta(seconds=draw(st.integers(0, 260_000)))


@settings(max_examples=150, deadline=None)
@given(window=windows(), expression=expressions())
def test_any_expression_is_due_minute_by_minute(window, expression):
    """Fault 38: whatever the ticks' seconds are, they see the due times of the minutes between them."""
    zone, after, until = window
    timing = Timing(EPOCH, cron=expression)

    expected = due_minutes(expression, zone, after, until)

    assert list(upcoming(timing, zone, after, until)) == expected
    assert due(timing, zone, after, until) == summary(expected)
    first = next_due(timing, zone, after)
    assert (first if first and first <= until else None) == (expected[0] if expected else None)


@settings(max_examples=150, deadline=None)
@given(window=windows(), expression=expressions(), parts=st.lists(st.floats(0, 1), max_size=5))
def test_ticks_at_any_times_see_each_due_time_once(window, expression, parts):
    """Fault 38."""
    zone, after, until = window
    timing = Timing(EPOCH, cron=expression)
    ticks = [after, *sorted(after + (until - after) * part for part in parts), until]

    whole = list(upcoming(timing, zone, after, until))

    assert [moment for a, b in pairwise(ticks) for moment in upcoming(timing, zone, a, b)] == whole
    assert sum(due(timing, zone, a, b).count for a, b in pairwise(ticks)) == len(whole)
    for tick in ticks[:-1]:
        following = whole[bisect_right(whole, tick) :]
        assert not following or next_due(timing, zone, tick) == following[0]


@settings(max_examples=100, deadline=None)
@given(expression=expressions(), seconds=st.integers(0, 900_000_000))
def test_without_changes_of_the_clocks_croniter_says_the_same(expression, seconds):
    after = EPOCH + timedelta(seconds=seconds)
    theirs = croniter(expression, after)

    expected = [theirs.get_next(datetime) for _ in range(4)]

    ours = upcoming(Timing(EPOCH, cron=expression), UTC, after, expected[-1])
    assert list(ours) == expected
    assert next_due(Timing(EPOCH, cron=expression), UTC, after) == expected[0]
