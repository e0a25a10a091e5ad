"""Times as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.models.times import format_time, parse_time

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 3, 15, 12, 0, tzinfo=UTC)


def read_or_none(text: str, zone: ZoneInfo) -> datetime | None:
    try:
        return parse_time(text, zone, NOW)
    except ValueError:
        return None


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01T10:00:00Z", utc(2026, 3, 1, 10)),
        ("2026-03-01T10:00:00+02:00", utc(2026, 3, 1, 8)),
        ("2026-03-01T10:00:00 02:00", utc(2026, 3, 1, 8)),
        ("2026-03-01 10:00 02:00", utc(2026, 3, 1, 8)),
        ("2026-03-01T10:00:00.250 00:00", utc(2026, 3, 1, 10, 0, 0, 250000)),
        ("2026-03-01T10:00:00-02:00", utc(2026, 3, 1, 12)),
        ("2026-03-01T10:00:00", utc(2026, 3, 1, 9)),
        ("2026-03-01 10:00", utc(2026, 3, 1, 9)),
        ("2026-07-01 10:00", utc(2026, 7, 1, 8)),
        ("2026-03-01", utc(2026, 2, 28, 23)),
        ("20260301", utc(2026, 2, 28, 23)),
        (" 2026-03-01 ", utc(2026, 2, 28, 23)),
        ("0", utc(1970, 1, 1)),
        ("-1", utc(1969, 12, 31, 23, 59, 59)),
        ("1772359200", utc(2026, 3, 1, 10)),
        ("1772359200.5", utc(2026, 3, 1, 10, 0, 0, 500000)),
        ("2 hours ago", utc(2026, 3, 15, 10)),
        ("1 Minute ago", utc(2026, 3, 15, 11, 59)),
        ("3 days ago", utc(2026, 3, 12, 12)),
        ("yesterday 14:00", utc(2026, 3, 14, 13)),
        ("now", NOW),
        ("14:00", utc(2026, 3, 14, 13)),
        ("1 Mar 2026", utc(2026, 2, 28, 23)),
    ],
)
def test_what_can_be_read(text, moment):
    read = parse_time(text, BERLIN, NOW)

    assert read == moment
    assert read.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "5pm-ish",
        "whenever",
        "2026-13-45",
        "2026-02-30",
        "99:99",
        "1e400",
        "1772359200000000",
        "99999999999999999",
        "\0",
        "x" * 5000,
    ],
)
def test_what_cannot_be_read_says_what_can(text):
    with pytest.raises(ValueError, match="is not a time; ISO 8601"):
        parse_time(text, BERLIN, NOW)


def test_hours_ago_are_hours_also_when_the_clock_was_changed():
    after_the_change = utc(2026, 3, 29, 1, 30)

    assert parse_time("2 hours ago", BERLIN, after_the_change) == after_the_change - timedelta(hours=2)


@pytest.mark.parametrize("text", ["0001-01-01", "9999-12-31T23:59:59-23:00", "999999999 hours ago", "-99999999999999"])
def test_the_ends_of_the_calendar_are_refused_not_a_crash(text):
    read = read_or_none(text, ZoneInfo("Asia/Tokyo"))

    assert read is None or read.tzinfo is UTC


@given(st.text(max_size=40))
def test_no_text_raises_anything_else(text):
    read = read_or_none(text, BERLIN)

    assert read is None or read.tzinfo is UTC


def test_times_are_written_with_milliseconds_in_the_zone():
    assert format_time(utc(2026, 7, 1, 10, 0, 0, 123456), BERLIN) == "2026-07-01T12:00:00.123+02:00"
    assert format_time(None, BERLIN) is None


@given(st.integers(min_value=0, max_value=4_000_000_000_000))
def test_what_we_write_we_can_read(millis):
    moment = utc(1970, 1, 1) + timedelta(milliseconds=millis)

    written = format_time(moment, BERLIN)

    assert abs(parse_time(written, BERLIN, NOW) - moment) < timedelta(milliseconds=1)
