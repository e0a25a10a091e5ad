"""Time and the ids made of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import islice
from threading import Event
from uuid import RFC_4122, UUID

from hypothesis import given
from hypothesis import strategies as st

from engine.clock import EPOCH, Clock, from_micros, new_id, new_ids, to_micros

ages = st.integers(min_value=0, max_value=10**6 * 60 * 60 * 24 * 365 * 200)
moments = ages.map(from_micros)


@given(st.integers(min_value=-(10**15), max_value=10**17))
def test_microseconds_come_back_as_they_were(micros):
    assert to_micros(from_micros(micros)) == micros


def test_a_moment_is_the_same_in_every_zone():
    moment = datetime(2026, 3, 15, 12, 0, 0, 1, tzinfo=UTC)

    assert to_micros(moment.astimezone(timezone(timedelta(hours=-7)))) == to_micros(moment)
    assert to_micros(EPOCH) == 0


@given(moments)
def test_an_id_is_a_uuid_of_version_seven_that_carries_its_millisecond(moment):
    id = UUID(new_id(moment))

    assert (id.version, id.variant) == (7, RFC_4122)
    assert id.int >> 80 == to_micros(moment) // 1000
    assert str(id) == str(UUID(str(id)))


@given(ages, st.integers(min_value=1, max_value=10**9))
def test_ids_sort_as_their_moments_do(age, later):
    assert new_id(from_micros(age)) < new_id(from_micros(age + later))


def test_ids_of_one_moment_differ():
    moment = datetime(2026, 3, 15, tzinfo=UTC)

    assert len({new_id(moment) for _ in range(1000)}) == 1000


def test_the_clock_is_aware_and_its_seconds_never_go_back():
    clock = Clock()

    first, second = clock.monotonic(), clock.monotonic()

    assert clock.now().utcoffset() == timedelta(0)
    assert first <= second


def test_waiting_ends_with_the_event_or_with_the_time():
    clock, event = Clock(), Event()

    assert clock.wait(event, 0.001) is False
    event.set()
    assert clock.wait(event, 60) is True


@given(moments)
def test_many_ids_of_one_moment_are_in_order_and_as_those_that_are_made_one_by_one(moment):
    ids = list(islice(new_ids(moment), 100))

    assert sorted(set(ids)) == ids
    alone = new_id(moment)
    assert {id[:18] for id in ids} == {alone[:18]}
    assert {(UUID(id).version, UUID(id).variant) for id in ids} == {(7, RFC_4122)}
