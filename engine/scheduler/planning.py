"""Decides what becomes of each due time of a schedule; writes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from engine.models.schedule import Slot, Standing, Verdict
from engine.scheduler.due import TICK, Due, due, next_due

LONGEST_BACK_OFF = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do about a schedule: launch for `due_time`, unless it is None, and write `slots`, oldest first.

    `due_time` has no slot here: whoever launches knows its verdict. Every due time up to `last_due` is accounted for.
    """

    due_time: datetime | None
    slots: tuple[Slot, ...]
    last_due: datetime
    next_due: datetime | None


def decide(standing: Standing, zone: tzinfo, now: datetime) -> Decision:
    """Launch for the newest due time, if it is in its grace; no other that has passed is made up for.

    At a pause the same is decided, and `due_time` is owed until the pause is over.
    ValueError for a timing that cannot be read.
    """
    passed = due(standing.timing, zone, standing.last_due, now)
    newest = passed.newest or standing.owed
    if newest is None:  # The clock was put back, or it is a broken schedule's turn again.
        return Decision(None, (), standing.last_due, next_due(standing.timing, zone, standing.last_due))
    in_time = now - newest <= timedelta(seconds=standing.grace_seconds)
    slots = _left_out(standing, zone, passed, now, newest if in_time else None)
    last_due = max(newest, standing.last_due)
    return Decision(newest if in_time else None, slots, last_due, next_due(standing.timing, zone, max(last_due, now)))


def resumed(standing: Standing, zone: tzinfo, now: datetime) -> Decision:
    """Go on from now, or from what is owed: what fell due during a pause is one slot.

    ValueError for a timing that cannot be read.
    """
    passed = due(standing.timing, zone, standing.last_due, now)
    upcoming = standing.owed or next_due(standing.timing, zone, max(standing.last_due, now))
    if passed.newest is None:
        return Decision(None, (), standing.last_due, upcoming)
    reason = f"{_these(passed, zone)} fell due while the schedule was paused"
    return Decision(None, (_slot(passed, Verdict.PAUSED, now, reason),), passed.newest, upcoming)


def back_off(failures: int) -> timedelta:
    """How long to leave a schedule alone after so many failed launches in a row: 1, 2, 4, 8, then 15 minutes."""
    return min(timedelta(minutes=2 ** min(max(failures - 1, 0), 10)), LONGEST_BACK_OFF)


def retry_due(standing: Standing, zone: tzinfo, failures: int, now: datetime) -> datetime | None:
    """The first due time that is not before the end of its back-off; ValueError for a timing that cannot be read."""
    return next_due(standing.timing, zone, now + back_off(failures) - TICK)


def _left_out(
    standing: Standing, zone: tzinfo, passed: Due, now: datetime, launched: datetime | None
) -> tuple[Slot, ...]:
    """A slot for what a pause left, one for those that a back-off held back, one for those that no tick saw."""
    owed = Due() if standing.owed is None else Due(1, standing.owed, standing.owed)
    if passed.count + owed.count == 1 and launched:
        return ()
    verdict = Verdict.COALESCED if launched else Verdict.EXPIRED
    start, end = standing.last_due, launched - TICK if launched else now
    held_until = start
    if standing.failures and standing.next_due:
        held_until = max(start, min(standing.next_due - TICK, end))
    attempts = "a failed attempt" if standing.failures == 1 else f"{standing.failures} failed attempts"
    slots = []
    for part, what in (
        (owed, "had no tick before the schedule was paused"),
        (due(standing.timing, zone, start, held_until), f"passed in the pause after {attempts}"),
        (due(standing.timing, zone, held_until, end), "had no tick in time"),
    ):
        if part.count:
            reason = f"{_these(part, zone)} {what}; {_instead(standing, zone, launched)}"
            slots.append(_slot(part, verdict, now, reason))
    return tuple(slots)


def _instead(standing: Standing, zone: tzinfo, launched: datetime | None) -> str:
    if launched:
        return f"only the newest due time, {_text(launched, zone)}, is acted on"
    return f"more than {standing.grace_seconds} s late (misfire_grace_seconds), nothing is run any more"


def _slot(passed: Due, verdict: Verdict, now: datetime, reason: str) -> Slot:
    assert passed.newest is not None, "a slot is for one due time or more"
    first = passed.oldest if passed.count > 1 else None
    return Slot(passed.newest, verdict, now, reason, count=passed.count, first_due_time=first)


def _these(passed: Due, zone: tzinfo) -> str:
    """The due times in words."""
    assert passed.oldest is not None
    assert passed.newest is not None
    if passed.count == 1:
        return f"the due time {_text(passed.newest, zone)}"
    return f"{passed.count} due times from {_text(passed.oldest, zone)} to {_text(passed.newest, zone)}"


def _text(moment: datetime, zone: tzinfo) -> str:
    return moment.astimezone(zone).isoformat(timespec="seconds")
