"""The decisions: which due time is run, and what is said of every other."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.models.schedule import Misfire, Slot, Standing, Timing, Verdict
from engine.scheduler.due import due
from engine.scheduler.planning import Decision, back_off, decide, resumed, retry_due

BRUSSELS = ZoneInfo("Europe/Brussels")
NOON = datetime(2026, 3, 15, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


def standing(**changes) -> Standing:
    """Due each minute; noon is the next."""
    made = Standing(
        timing=Timing(NOON - timedelta(days=9), cron="* * * * *"),
        misfire=Misfire.LATEST,
        misfire_grace_seconds=None,
        last_due=NOON - MINUTE,
        next_due=NOON,
    )
    return replace(made, **changes)


def missed(hours: float, **changes) -> Standing:
    """One that had its last tick so long before noon."""
    last = NOON - timedelta(hours=hours)
    return standing(last_due=last, next_due=last + MINUTE, **changes)


@pytest.mark.parametrize("late", [0.0, 0.4, 59.9])
def test_a_tick_in_time_runs_its_due_time_and_has_nothing_else_to_say(late):
    """Fault 38."""
    decision = decide(standing(), UTC, NOON + late * SECOND)

    assert decision == Decision(NOON, (), last_due=NOON, next_due=NOON + MINUTE)


def test_three_hours_without_a_tick_are_one_run_and_one_slot():
    """Fault 36."""
    decision = decide(missed(3), BRUSSELS, NOON + 5 * SECOND)

    assert decision.due_time == NOON
    assert (decision.last_due, decision.next_due) == (NOON, NOON + MINUTE)
    assert decision.slots == (
        Slot(
            due_time=NOON - MINUTE,
            verdict=Verdict.COALESCED,
            tick_time=NOON + 5 * SECOND,
            reason="179 due times from 2026-03-15T10:01:00+01:00 to 2026-03-15T12:59:00+01:00 had no tick in time; "
            "only the newest due time, 2026-03-15T13:00:00+01:00, is acted on",
            count=179,
            first_due_time=NOON - timedelta(minutes=179),
        ),
    )


def test_two_years_without_a_tick_are_one_slot():
    """Fault 37."""
    decision = decide(missed(2 * 365 * 24), UTC, NOON)

    assert decision.due_time == NOON
    assert [slot.count for slot in decision.slots] == [2 * 365 * 1440 - 1]


def test_a_single_one_that_was_missed_has_no_beginning():
    slot = decide(standing(last_due=NOON - 2 * MINUTE, next_due=NOON - MINUTE), UTC, NOON).slots[0]

    assert (slot.due_time, slot.count, slot.first_due_time) == (NOON - MINUTE, 1, None)
    assert slot.reason is not None
    assert slot.reason.startswith("the due time 2026-03-15T11:59:00+00:00 had no tick in time; ")


@pytest.mark.parametrize(
    ("misfire", "grace", "late", "is_run"),
    [
        (Misfire.LATEST, None, 3600, True),
        (Misfire.LATEST, None, 3601, False),
        (Misfire.SKIP, None, 90, True),
        (Misfire.SKIP, None, 91, False),
        (Misfire.SKIP, 5, 5, True),
        (Misfire.LATEST, 5, 6, False),
        (Misfire.SKIP, 86_400, 80_000, True),
    ],
)
def test_a_due_time_is_run_until_its_grace_is_over(misfire, grace, late, is_run):
    daily = Timing(NOON, every_seconds=86_400)
    late_one = standing(timing=daily, misfire=misfire, misfire_grace_seconds=grace, last_due=NOON, next_due=None)
    due_time = NOON + timedelta(days=1)

    decision = decide(late_one, UTC, due_time + late * SECOND)

    assert decision.due_time == (due_time if is_run else None)
    assert [slot.verdict for slot in decision.slots] == ([] if is_run else [Verdict.EXPIRED])
    assert (decision.last_due, decision.next_due) == (due_time, due_time + timedelta(days=1))


def test_what_is_too_late_expires_together_with_all_before_it():
    hourly = Timing(NOON, cron="0 * * * *")
    behind = standing(timing=hourly, misfire_grace_seconds=60, last_due=NOON, next_due=None)

    decision = decide(behind, UTC, NOON + timedelta(hours=5, minutes=2))

    assert decision.due_time is None
    assert [(slot.verdict, slot.count, slot.first_due_time, slot.due_time) for slot in decision.slots] == [
        (Verdict.EXPIRED, 5, NOON + timedelta(hours=1), NOON + timedelta(hours=5))
    ]
    assert decision.slots[0].reason == (
        "5 due times from 2026-03-15T13:00:00+00:00 to 2026-03-15T17:00:00+00:00 had no tick in time; "
        "more than 60 s late (misfire_grace_seconds), nothing is run any more"
    )


def test_a_clock_that_was_put_back_runs_nothing_again():
    """Fault 39."""
    decision = decide(standing(last_due=NOON), UTC, NOON - timedelta(hours=1))

    assert decision == Decision(None, (), last_due=NOON, next_due=NOON + MINUTE)


def test_a_clock_that_jumps_forward_runs_the_newest_only():
    """Fault 39."""
    decision = decide(standing(), UTC, NOON + timedelta(hours=1))

    assert decision.due_time == NOON + timedelta(hours=1)
    assert [slot.count for slot in decision.slots] == [60]


@pytest.mark.parametrize(
    ("failures", "minutes"), [(0, 1), (1, 1), (2, 2), (3, 4), (4, 8), (5, 15), (6, 15), (10**9, 15)]
)
def test_the_pause_after_failures_doubles_up_to_a_quarter_of_an_hour(failures, minutes):
    """Fault 43."""
    assert back_off(failures) == timedelta(minutes=minutes)


def test_a_launch_that_failed_is_tried_at_a_due_time_after_the_pause():
    assert retry_due(standing(), UTC, 2, NOON + SECOND) == NOON + 3 * MINUTE
    assert retry_due(standing(), UTC, 2, NOON) == NOON + 2 * MINUTE
    assert retry_due(standing(timing=Timing(NOON, cron="0 9 * * *")), UTC, 1, NOON) == NOON + timedelta(hours=21)


def test_what_passes_in_the_pause_says_so():
    waiting = standing(last_due=NOON, next_due=NOON + 8 * MINUTE, failures=4)

    decision = decide(waiting, UTC, NOON + 8 * MINUTE + SECOND)

    assert decision.due_time == NOON + 8 * MINUTE
    assert [(slot.verdict, slot.count, slot.reason) for slot in decision.slots] == [
        (
            Verdict.COALESCED,
            7,
            (
                "7 due times from 2026-03-15T12:01:00+00:00 to 2026-03-15T12:07:00+00:00 passed in the pause after "
                "4 failed attempts; only the newest due time, 2026-03-15T12:08:00+00:00, is acted on"
            ),
        )
    ]


def test_what_passed_in_the_pause_and_what_no_tick_saw_are_told_apart():
    waiting = standing(last_due=NOON, next_due=NOON + 2 * MINUTE, failures=1)

    slots = decide(waiting, UTC, NOON + 10 * MINUTE).slots

    assert [(slot.count, slot.due_time) for slot in slots] == [(1, NOON + MINUTE), (8, NOON + 9 * MINUTE)]
    assert "passed in the pause after a failed attempt; only" in str(slots[0].reason)
    assert "had no tick in time" in str(slots[1].reason)


def test_without_failures_nothing_passed_in_a_pause():
    """Such as when its zone is another since."""
    moved = standing(last_due=NOON, next_due=NOON + 3 * MINUTE)

    slots = decide(moved, UTC, NOON + 5 * MINUTE).slots

    assert [(slot.count, "had no tick in time" in str(slot.reason)) for slot in slots] == [(4, True)]


def test_a_next_due_time_in_the_past_counts_nothing_twice():
    odd = standing(last_due=NOON, next_due=NOON - 9 * MINUTE, failures=1)

    assert [slot.count for slot in decide(odd, UTC, NOON + 5 * MINUTE).slots] == [4]


def test_a_due_time_that_was_put_off_is_run_after_the_pause():
    hourly = standing(timing=Timing(NOON, cron="0 * * * *"), next_due=NOON + MINUTE, failures=1)

    assert decide(hourly, UTC, NOON + MINUTE) == Decision(NOON, (), NOON, NOON + timedelta(hours=1))


def test_a_due_time_that_was_put_off_too_long_expires():
    hourly = Timing(NOON, cron="0 * * * *")
    strict = standing(timing=hourly, next_due=NOON + 2 * MINUTE, failures=2, misfire=Misfire.SKIP)

    decision = decide(strict, UTC, NOON + 2 * MINUTE)

    assert decision.due_time is None
    assert [slot.reason for slot in decision.slots] == [
        (
            "the due time 2026-03-15T12:00:00+00:00 passed in the pause after 2 failed attempts; "
            "more than 90 s late (misfire_grace_seconds), nothing is run any more"
        )
    ]


def test_a_schedule_that_is_looked_at_too_early_waits_for_its_next_due_time():
    early = standing(timing=Timing(NOON, cron="0 * * * *"), last_due=NOON, next_due=NOON + MINUTE, failures=1)

    assert decide(early, UTC, NOON + 2 * MINUTE) == Decision(None, (), NOON, NOON + timedelta(hours=1))


def test_a_pause_is_one_slot_when_it_ends():
    paused = standing(last_due=NOON - timedelta(days=1), next_due=None)

    decision = resumed(paused, BRUSSELS, NOON + 30 * SECOND)

    assert decision == Decision(
        due_time=None,
        slots=(
            Slot(
                due_time=NOON,
                verdict=Verdict.PAUSED,
                tick_time=NOON + 30 * SECOND,
                reason="1440 due times from 2026-03-14T13:01:00+01:00 to 2026-03-15T13:00:00+01:00 fell due while the "
                "schedule was paused",
                count=1440,
                first_due_time=NOON - timedelta(days=1) + MINUTE,
            ),
        ),
        last_due=NOON,
        next_due=NOON + MINUTE,
    )


def test_a_short_pause_leaves_no_trace():
    paused = standing(last_due=NOON, next_due=None)

    assert resumed(paused, UTC, NOON + 30 * SECOND) == Decision(None, (), NOON, NOON + MINUTE)


def test_a_pause_ends_with_what_is_owed_from_before_it():
    paused = standing(last_due=NOON, next_due=None, owed=NOON)

    decision = resumed(paused, UTC, NOON + 2 * MINUTE)

    assert [(slot.verdict, slot.count, slot.due_time) for slot in decision.slots] == [
        (Verdict.PAUSED, 2, NOON + 2 * MINUTE)
    ]
    assert (decision.last_due, decision.next_due) == (NOON + 2 * MINUTE, NOON)


def test_what_is_owed_is_run_in_its_grace():
    owing = standing(last_due=NOON + 2 * MINUTE, next_due=NOON, owed=NOON)

    decision = decide(owing, UTC, NOON + 2 * MINUTE + SECOND)

    assert decision == Decision(NOON, (), last_due=NOON + 2 * MINUTE, next_due=NOON + 3 * MINUTE)


def test_what_is_owed_is_not_run_beside_a_newer_due_time():
    owing = standing(last_due=NOON + 2 * MINUTE, next_due=NOON, owed=NOON)

    decision = decide(owing, UTC, NOON + 3 * MINUTE)

    assert (decision.due_time, decision.last_due) == (NOON + 3 * MINUTE, NOON + 3 * MINUTE)
    assert [(slot.verdict, slot.count, slot.due_time, slot.reason) for slot in decision.slots] == [
        (
            Verdict.COALESCED,
            1,
            NOON,
            (
                "the due time 2026-03-15T12:00:00+00:00 had no tick before the schedule was paused; "
                "only the newest due time, 2026-03-15T12:03:00+00:00, is acted on"
            ),
        )
    ]


def test_what_is_owed_too_long_expires():
    daily = Timing(NOON, cron="0 12 * * *")
    owing = standing(timing=daily, last_due=NOON, next_due=NOON, owed=NOON)

    decision = decide(owing, UTC, NOON + timedelta(hours=2))

    assert (decision.due_time, decision.next_due) == (None, NOON + timedelta(days=1))
    assert [(slot.verdict, slot.due_time) for slot in decision.slots] == [(Verdict.EXPIRED, NOON)]


def test_what_is_owed_stays_so_under_a_clock_that_was_put_back():
    """Fault 39."""
    owing = standing(last_due=NOON + 2 * MINUTE, next_due=NOON, owed=NOON)

    decision = decide(owing, UTC, NOON + MINUTE)

    assert decision == Decision(NOON, (), last_due=NOON + 2 * MINUTE, next_due=NOON + 3 * MINUTE)


def test_a_pause_that_ends_under_a_clock_that_was_put_back_runs_nothing_again():
    """Fault 39."""
    paused = standing(last_due=NOON, next_due=None)

    assert resumed(paused, UTC, NOON - timedelta(hours=1)) == Decision(None, (), NOON, NOON + MINUTE)


def test_a_timing_that_cannot_be_read_is_an_error():
    """Fault 43."""
    with pytest.raises(ValueError, match="hour: 99 is not from 0 to 23"):
        decide(standing(timing=Timing(NOON, cron="0 99 * * *")), UTC, NOON)


@given(
    cron=st.sampled_from(["* * * * *", "*/7 * * * *", "30 2 * * *", "0 */3 * * *", None]),
    behind=st.floats(0, 200_000),
    next_due=st.one_of(st.floats(-1000, 1000), st.floats(0, 200_000)),
    failures=st.integers(0, 6),
    grace=st.sampled_from([None, 1, 100, 100_000]),
)
def test_each_due_time_is_run_or_in_exactly_one_slot(cron, behind, next_due, failures, grace):
    now = datetime(2026, 3, 29, 12, 0, 13, tzinfo=UTC)
    last_due = now - behind * SECOND
    timing = Timing(NOON, cron=cron, every_seconds=None if cron else 77)
    given_one = standing(
        timing=timing,
        last_due=last_due,
        next_due=min(last_due + next_due * SECOND, now),
        failures=failures,
        misfire_grace_seconds=grace,
    )

    decision = decide(given_one, BRUSSELS, now)

    covered = last_due
    for slot in decision.slots:
        part = due(timing, BRUSSELS, covered, slot.due_time)
        assert (part.count, part.oldest) == (slot.count, slot.first_due_time or slot.due_time)
        covered = slot.due_time
    if decision.due_time:
        assert due(timing, BRUSSELS, covered, decision.due_time).count == 1
        covered = decision.due_time
    assert due(timing, BRUSSELS, covered, now).count == 0
    assert decision.last_due == covered
    assert decision.next_due is not None
    assert decision.next_due > now
