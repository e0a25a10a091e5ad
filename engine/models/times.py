"""Times as people and programs write them at the edge, and as we write them back."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import overload

LONGEST = 100
"""A time that is longer is no time, and not worth a parser's while."""

DAYS = ("today", "yesterday", "tomorrow")
"""A day without an hour is meant from its beginning, as a date is."""

_SECONDS = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)
_COMPACT_DATE = re.compile(r"\d{8}", re.ASCII)
_AGO = re.compile(r"(?P<count>\d{1,9}) (?P<unit>second|minute|hour)s? ago", re.ASCII | re.IGNORECASE)
_LOST_PLUS = re.compile(r"(\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?) (\d{2}:\d{2})\Z", re.ASCII)


def parse_time(text: str, zone: tzinfo, now: datetime) -> datetime:
    """The moment meant, in UTC: ISO 8601, epoch seconds, or human (`2 hours ago`, `yesterday 14:00`).

    `zone` is for times that carry none. ValueError says what can be read.
    """
    text = text.strip()
    try:
        moment = _read(text, zone, now) if len(text) <= LONGEST else None
        if moment is not None:
            return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        pass  # such as the year 70000, for which the C library has errors of its own: told below like any other
    raise ValueError(
        f"{text[:LONGEST]!r} is not a time; ISO 8601 (2026-03-01T14:00:00+01:00), epoch seconds, "
        "and words such as '2 hours ago' or 'yesterday 14:00' can be read"
    )


@overload
def format_time(moment: datetime, zone: tzinfo) -> str: ...
@overload
def format_time(moment: None, zone: tzinfo) -> None: ...
@overload
def format_time(moment: datetime | None, zone: tzinfo) -> str | None: ...
def format_time(moment: datetime | None, zone: tzinfo) -> str | None:
    """ISO 8601 with milliseconds in that zone."""
    return None if moment is None else moment.astimezone(zone).isoformat(timespec="milliseconds")


def _read(text: str, zone: tzinfo, now: datetime) -> datetime | None:
    if _SECONDS.fullmatch(text) and not _COMPACT_DATE.fullmatch(text):
        return datetime.fromtimestamp(float(text), UTC)
    if ago := _AGO.fullmatch(text):
        # Exact time, where a parser of words would subtract on the wall clock, and be an hour off after a change of it.
        return now - timedelta(**{f"{ago['unit'].lower()}s": int(ago["count"])})
    if text.lower() in DAYS:
        text = f"{text} 00:00"
    text = _with_plus(text)
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return _read_words(text, zone, now)


def _with_plus(text: str) -> str:
    """A `+` that was not encoded in a URL arrives as a space: put it back before a trailing offset."""
    return _LOST_PLUS.sub(r"\1+\2", text)


def _read_words(text: str, zone: tzinfo, now: datetime) -> datetime | None:
    if len(text) < 3:
        return None  # a lone letter would be taken for a month
    import dateparser

    found: datetime | None = dateparser.parse(
        text,
        languages=["en"],
        # Told no zone, it reckons on the wall clock of its base, and leaves a time that carries no zone without one.
        settings={
            "RELATIVE_BASE": now.astimezone(zone).replace(tzinfo=None),
            "TIMEZONE": "UTC",
            "PREFER_DATES_FROM": "past",
        },
    )
    return found
