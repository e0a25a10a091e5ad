"""When a cron expression is due, found by looking at every single minute: slow, plain, and apart from the code."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

MINUTE = timedelta(minutes=1)
MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]


def due_minutes(cron: str, zone: tzinfo, after: datetime, until: datetime) -> list[datetime]:
    """Every due time later than `after` and not later than `until`, in order."""
    is_label = _labels(cron)
    every_hour = cron.split()[1] == "*"
    minute = after.astimezone(UTC).replace(second=0, microsecond=0)
    label = minute.astimezone(zone)
    found = []
    while (minute := minute + MINUTE) <= until:
        before, label = label, minute.astimezone(zone)
        if every_hour:
            is_due = is_label(label)
        else:
            is_due = (label.fold == 0 and is_label(label)) or any(map(is_label, _skipped(before, label)))
        if is_due:
            found.append(minute)
    return found


def _skipped(before: datetime, label: datetime) -> list[datetime]:
    """The labels that no clock showed between two minutes that follow each other."""
    here, there = before.replace(tzinfo=None), label.replace(tzinfo=None)
    skipped = []
    while (here := here + MINUTE) < there:
        skipped.append(here)
    return skipped


def _labels(cron: str):
    minutes, hours, days, months, weekdays = cron.split()
    fits = [
        _field(minutes, 0, 59),
        _field(hours, 0, 23),
        _field(days, 1, 31),
        _field(months, 1, 12, MONTHS, 1),
        {day % 7 for day in _field(weekdays, 0, 7, DAYS, 0)},
    ]

    def is_label(label: datetime) -> bool:
        weekday = label.isoweekday() % 7
        if days != "*" and weekdays != "*":
            day_fits = label.day in fits[2] or weekday in fits[4]
        else:
            day_fits = label.day in fits[2] and weekday in fits[4]
        return label.minute in fits[0] and label.hour in fits[1] and label.month in fits[3] and day_fits

    return is_label


def _field(text: str, low: int, high: int, names: list[str] | None = None, first: int = 0) -> set[int]:
    def number(word: str) -> int:
        return names.index(word.lower()) + first if names and word.lower() in names else int(word)

    found: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        if span == "*":
            begin, end = low, high
        elif "-" in span:
            begin, end = (number(word) for word in span.split("-"))
        else:
            begin = number(span)
            end = high if step else begin
        found.update(range(begin, end + 1, int(step or 1)))
    return found
