"""Keys in the store: names, digests, revocation, last use."""

from __future__ import annotations

from datetime import datetime, timedelta
from threading import Barrier, Thread
from typing import Any

import pytest
from clocks import NOON
from sqlalchemy import select

from engine.clock import new_id
from engine.errors import KeyExists, KeyNotFound
from engine.models.access import ApiKey, Role
from engine.store.database import Database
from engine.store.keys import KeyStore
from engine.store.tables import api_keys

MINUTE = timedelta(minutes=1)


def a_key(name: str = "ci", moment: datetime = NOON, **fields: Any) -> ApiKey:
    values: dict[str, Any] = {"role": Role.OPERATOR, "prefix": "octo_aaaaaaaa", "flows": None, "created_time": moment}
    return ApiKey(id=new_id(moment), name=name, **(values | fields))


@pytest.fixture
def keys(database: Database) -> KeyStore:
    return KeyStore(database)


def test_a_key_is_found_by_its_prefix_with_its_digest(keys):
    key = a_key(flows="reports/*", expires_time=NOON + timedelta(days=1))
    keys.insert(key, "d1")
    keys.insert(a_key("other", prefix="octo_bbbbbbbb"), "d2")

    assert keys.of_prefix("octo_aaaaaaaa") == [(key, "d1")]
    assert keys.of_prefix("OCTO_AAAAAAAA") == []


def test_two_keys_may_begin_alike(keys):
    keys.insert(a_key("one"), "d1")
    keys.insert(a_key("two"), "d2")

    assert {digest for _, digest in keys.of_prefix("octo_aaaaaaaa")} == {"d1", "d2"}


def test_a_name_is_taken_until_its_key_is_revoked(keys):
    first, second = a_key(), a_key(moment=NOON + MINUTE)
    keys.insert(first, "d1")
    with pytest.raises(KeyExists, match="'ci' already"):
        keys.insert(second, "d2")

    keys.revoke("ci", NOON)
    keys.insert(second, "d2")

    assert [key.revoked_time for key in keys.list(10)] == [NOON, None]


def test_names_differ_by_case(keys):
    keys.insert(a_key("ci"), "d1")
    keys.insert(a_key("CI"), "d2")

    assert len(keys.list(10)) == 2


def test_of_many_that_take_a_name_at_once_one_gets_it(uri, database, keys):
    barrier, refused = Barrier(4), []

    def take() -> None:
        own = Database(uri, run_path=database.run_path)
        barrier.wait()
        try:
            KeyStore(own).insert(a_key(), "d")
        except KeyExists as error:
            refused.append(error)
        own.dispose()

    threads = [Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(refused), len(keys.list(10))) == (3, 1)


@pytest.mark.parametrize("by", ["id", "name"])
def test_a_key_is_revoked_by_its_id_or_name(keys, by):
    key = a_key()
    keys.insert(key, "d1")
    keys.insert(a_key("other"), "d2")

    revoked = keys.revoke(getattr(key, by), NOON)

    assert (revoked.id, revoked.revoked_time) == (key.id, NOON)
    assert [other.revoked_time for other in keys.list(10) if other.id != key.id] == [None]


def test_a_second_revocation_leaves_the_first_ones_time(keys):
    key = a_key()
    keys.insert(key, "d1")
    keys.revoke(key.id, NOON)

    assert keys.revoke(key.id, NOON + MINUTE).revoked_time == NOON


def test_a_key_that_is_not_there_cannot_be_revoked(keys):
    key = a_key()
    keys.insert(key, "d1")
    keys.revoke(key.id, NOON)

    for name in ("nobody", "ci", ""):
        with pytest.raises(KeyNotFound):
            keys.revoke(name, NOON)


def test_the_last_use_moves_once_a_minute(keys):
    key = a_key()
    keys.insert(key, "d1")

    def used(moment: datetime) -> datetime | None:
        keys.touch(key.id, moment, MINUTE)
        return keys.list(1)[0].last_used_time

    assert used(NOON) == NOON
    assert used(NOON + timedelta(seconds=59)) == NOON
    assert used(NOON + timedelta(seconds=60)) == NOON + MINUTE
    assert used(NOON) == NOON + MINUTE


def test_keys_are_listed_in_pages_oldest_first(keys):
    made = [a_key(f"key-{n}", NOON + timedelta(seconds=n)) for n in range(5)]
    for key in reversed(made):
        keys.insert(key, "d")

    assert keys.list(3) == made[:3]
    assert keys.list(3, 3) == made[3:]


def test_what_is_found_by_a_prefix_is_found_by_an_index(sqlite):
    query = select(api_keys.c.id).where(api_keys.c.prefix == "octo_aaaaaaaa").compile(sqlite.engine)

    with sqlite.read() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", ("octo_aaaaaaaa",)).all()

    assert "api_keys_by_prefix" in str(plan)
