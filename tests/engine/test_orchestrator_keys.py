"""Keys through the front door: made once, found quickly, ended for good, and every change written down."""

from __future__ import annotations

import logging
import re
from collections import Counter
from datetime import timedelta

import pytest
from clocks import NOON, TestClock
from engines import engines, folder_with
from flows import QUICK

from engine.errors import DatabaseBusy, FlowRunning, KeyExists, KeyNotFound, RequestInvalid, Unauthenticated
from engine.models.access import Access, Role
from engine.models.audit import AuditFilter, Change
from engine.orchestrator.keys import KNOWN_SECONDS, MOST_KNOWN, KnownKeys
from engine.settings import DEFAULT_TOKEN
from engine.store.audit import AuditStore
from engine.store.keys import KeyStore

OWN = "a-token-of-its-own-that-is-long"


@pytest.fixture
def data(tmp_path):
    return folder_with({"quick.yml": QUICK}, tmp_path / "data")


@pytest.fixture
def clock():
    return TestClock()


@pytest.fixture
def make(data, clock):
    """Makes engines over the data folder, as one process each would have it."""
    with engines(data, clock, flow_max_workers=0, api_token=OWN) as make:
        yield make


@pytest.fixture
def engine(make):
    return make()


@pytest.fixture
def asked(monkeypatch):
    """How often the store is asked for what, by the name of its verb."""
    count = Counter()

    def counted(name):
        verb = getattr(KeyStore, name)

        def call(*arguments, **fields):
            count[name] += 1
            return verb(*arguments, **fields)

        monkeypatch.setattr(KeyStore, name, call)

    counted("of_prefix")
    counted("touch")
    return count


def opened(engine, token):
    return engine.is_allowed(token, lambda: False)


def is_refused(engine, token):
    with pytest.raises(Unauthenticated) as caught:
        opened(engine, token)
    return str(caught.value) == "This needs the header 'Authorization: Bearer <token>' with a token that is known."


# Tokens


@pytest.mark.parametrize("role", Role)
def test_a_token_opens_what_its_key_is_for(engine, role):
    key, token = engine.create_key("ci", role)

    assert opened(engine, token) == Access("ci", role, None, key.id)


def test_a_token_is_long_and_begins_with_what_is_shown(engine):
    key, token = engine.create_key("ci", Role.VIEWER)

    assert re.fullmatch(r"octo_[a-z0-9]{8}_[\w-]{43}", token)
    assert token.startswith(key.prefix + "_")
    assert len(key.prefix) == len("octo_") + 8


def test_no_two_tokens_are_alike(engine):
    tokens = {engine.create_key(f"key-{n}", Role.VIEWER)[1] for n in range(20)}

    assert len({token[14:] for token in tokens}) == len({token[:13] for token in tokens}) == 20


def test_the_token_is_in_no_byte_that_is_kept(engine, data):
    _, token = engine.create_key("ci", Role.VIEWER)
    opened(engine, token)
    engine.close()

    kept = b"".join(path.read_bytes() for path in data.rglob("*") if path.is_file())

    assert token[:13].encode() in kept
    assert token[14:].encode() not in kept


def test_a_key_opens_also_where_the_first_admin_has_the_default_token(make):
    engine = make(api_token=DEFAULT_TOKEN)
    _, token = engine.create_key("ci", Role.VIEWER)

    assert opened(engine, token).name == "ci"


def test_the_first_admins_token_needs_no_database(engine, asked, monkeypatch):
    monkeypatch.setattr(engine._database, "ask", None)

    assert opened(engine, OWN) == Access("API_TOKEN", Role.ADMIN)
    assert asked == {}


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token[:-1],
        lambda token: token + "a",
        lambda token: token + "\n",
        lambda token: token.upper(),
        lambda token: " " + token,
        lambda token: token[5:],
        lambda token: token.replace("octo_", "octo-"),
        lambda token: token[:20] + "é" + token[21:],
        lambda token: token[:20] + "\ud800" + token[21:],
        lambda token: token[:13],
        lambda token: token * 4000,
        lambda token: "octo_",
        lambda token: "",
    ],
)
def test_a_token_that_cannot_be_one_is_refused_without_a_look(engine, asked, change):
    _, token = engine.create_key("ci", Role.ADMIN)

    assert is_refused(engine, change(token))
    assert asked == {}


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token[:-1] + ("a" if token[-1] != "a" else "b"),
        lambda token: token[:14] + "A" * 43,
        lambda token: "octo_00000000" + token[13:],
    ],
)
def test_a_token_that_is_not_known_costs_one_look(engine, asked, change):
    _, token = engine.create_key("ci", Role.ADMIN)

    assert is_refused(engine, change(token))
    assert asked == {"of_prefix": 1}


def test_of_keys_that_begin_alike_each_opens_its_own(engine, monkeypatch):
    monkeypatch.setattr("engine.orchestrator.keys.PREFIX_LETTERS", "a")
    tokens = {name: engine.create_key(name, Role.VIEWER)[1] for name in ("one", "two")}

    assert {opened(engine, token).name for token in tokens.values()} == {"one", "two"}


# The end of a key


def test_a_key_expires_to_the_moment(engine, clock):
    key, token = engine.create_key("ci", Role.VIEWER, expires="12h")

    assert key.expires_time == NOON + timedelta(hours=12)
    clock.pass_by(12 * 3600 - 1)
    assert opened(engine, token)
    clock.pass_by(1)
    assert is_refused(engine, token)


def test_a_revoked_key_opens_nothing_from_then_on(engine, asked):
    key, token = engine.create_key("ci", Role.ADMIN)
    opened(engine, token)

    assert engine.revoke_key("ci").revoked_time == NOON

    assert is_refused(engine, token)
    assert [kept.id for kept in engine.keys(9)] == [key.id]


def test_another_process_hears_of_it_within_seconds(make, clock):
    here, there = make(), make()
    _, token = here.create_key("ci", Role.ADMIN)
    opened(there, token)

    here.revoke_key("ci")

    assert opened(there, token)
    clock.pass_by(KNOWN_SECONDS)
    assert is_refused(there, token)


def test_what_was_looked_up_before_a_revocation_is_not_kept_after_it(engine, monkeypatch):
    _, token = engine.create_key("ci", Role.ADMIN)
    look = KeyStore.of_prefix

    def slow_look(store, prefix):
        found = look(store, prefix)
        engine.revoke_key("ci")
        return found

    with monkeypatch.context() as patch:
        patch.setattr(KeyStore, "of_prefix", slow_look)
        opened(engine, token)  # It was still a key when it was looked up.

    assert is_refused(engine, token)


# What it costs


def test_a_key_that_was_just_seen_needs_no_look(engine, asked, clock):
    _, token = engine.create_key("ci", Role.VIEWER)

    for _ in range(10):
        opened(engine, token)
    assert asked == {"of_prefix": 1, "touch": 1}

    clock.pass_by(KNOWN_SECONDS)
    opened(engine, token)
    assert asked["of_prefix"] == 2


def test_only_so_many_keys_are_remembered(clock):
    known = KnownKeys(clock)

    for number in range(3 * MOST_KNOWN):
        known.keep(str(number), None, 0)

    assert 0 < len(known._found) <= MOST_KNOWN


def test_the_last_use_is_known_to_the_minute(engine, clock, asked):
    _, token = engine.create_key("ci", Role.VIEWER)
    assert engine.keys(1)[0].last_used_time is None

    for _ in range(120):
        opened(engine, token)
        clock.pass_by(1)

    assert engine.keys(1)[0].last_used_time == NOON + timedelta(seconds=60)
    assert asked["touch"] == 2


def test_a_use_that_cannot_be_noted_hinders_nobody_and_is_not_tried_each_time(engine, clock, monkeypatch, caplog):
    _, token = engine.create_key("ci", Role.VIEWER)
    tries = []

    def refuse(*arguments):
        tries.append(arguments)
        raise DatabaseBusy("The database is busy.")

    monkeypatch.setattr(KeyStore, "touch", refuse)

    with caplog.at_level(logging.WARNING):
        for _ in range(59):
            assert opened(engine, token).name == "ci"
            clock.pass_by(1)

    assert len(tries) == 1
    assert "The database is busy" in caplog.text
    assert token not in caplog.text


# Making and listing


def test_what_a_key_cannot_be_is_told_field_by_field(engine):
    with pytest.raises(RequestInvalid) as caught:
        engine.create_key("a b", Role.ADMIN, flows="*", expires="soon")

    assert [problem["field"] for problem in caught.value.details] == ["name", "flows", "expires"]
    assert engine.keys(9) == []


def test_a_name_is_given_to_one_key_in_use(engine):
    first, _ = engine.create_key("ci", Role.VIEWER)
    with pytest.raises(KeyExists):
        engine.create_key("ci", Role.VIEWER)

    engine.revoke_key("ci")
    second, _ = engine.create_key("ci", Role.OPERATOR)

    assert engine.revoke_key(first.id).name == "ci"
    assert engine.revoke_key("ci").id == second.id
    with pytest.raises(KeyNotFound):
        engine.revoke_key("ci")


# The audit

CHANGE = Change("ci", Role.OPERATOR, "launch_job", "./quick.yml", address="10.0.0.1")


def test_a_launch_is_written_down_by_the_documents_own_path_with_its_job(engine):
    job_id = engine.launch("./quick.yml", change=CHANGE)

    (row,) = engine.audit(AuditFilter())

    assert row.change == Change("ci", Role.OPERATOR, "launch_job", "quick.yml", job_id, "10.0.0.1")
    assert row.time == NOON


def test_a_refused_launch_leaves_no_row(engine):
    engine.launch("quick.yml")

    with pytest.raises(FlowRunning):
        engine.launch("quick.yml", change=CHANGE)

    assert engine.audit(AuditFilter()) == []


def test_a_change_that_cannot_be_written_down_stands_and_is_in_the_service_log(engine, monkeypatch, caplog):
    def refuse(*_):
        raise DatabaseBusy("The database is busy.")

    monkeypatch.setattr(AuditStore, "insert", refuse)

    with caplog.at_level(logging.ERROR):
        engine.record(Change("ci", Role.ADMIN, "delete_job", "job-7", address="10.0.0.1"))

    assert "delete_job" in caplog.text
    assert "job-7" in caplog.text
    assert "'ci'" in caplog.text


@pytest.mark.parametrize(("days", "left"), [(365, 1), (1, 0), (0, 2)])
def test_old_rows_go_after_the_days_that_are_set(make, clock, days, left):
    engine = make(retention_audit_days=days)
    engine.record(CHANGE)
    clock.pass_by(timedelta(days=365, seconds=1).total_seconds())
    engine.record(CHANGE)
    clock.pass_by(timedelta(days=2).total_seconds())

    engine._prune_audit(100)

    assert len(engine.audit(AuditFilter())) == left


# What is open that need not be


@pytest.mark.parametrize(("mode", "warnings"), [(0o600, 0), (0o640, 0), (0o644, 1), (None, 0)])
def test_secrets_that_every_user_can_read_are_warned_of(make, data, caplog, mode, warnings):
    if mode is not None:
        (data / "secrets.yml").write_text("[]")
        (data / "secrets.yml").chmod(mode)

    with caplog.at_level(logging.WARNING):
        make().start()

    found = [record for record in caplog.records if "secrets.yml can be read by every user" in record.getMessage()]
    assert len(found) == warnings


@pytest.mark.parametrize("variable", ["SECRETS_PATH", "CONFIG_FILE"])
def test_a_file_that_the_environment_names_and_that_is_not_there_is_warned_of(
    make, data, monkeypatch, caplog, variable
):
    monkeypatch.setenv(variable, str(data / "nope.yml"))

    with caplog.at_level(logging.WARNING):
        make(**{variable.lower(): data / "nope.yml"}).start()

    assert f"{variable}: there is no file {data}/nope.yml." in [record.getMessage() for record in caplog.records]


# The first admin's token


@pytest.mark.parametrize(("token", "warnings"), [("x" * 15, 1), ("x" * 16, 0), (DEFAULT_TOKEN, 0), ("", 1)])
def test_a_short_token_is_warned_of_once(make, caplog, token, warnings):
    engine = make(api_token=token)

    with caplog.at_level(logging.WARNING):
        engine.start()
        engine.tick()

    found = [record.getMessage() for record in caplog.records if "API_TOKEN is shorter" in record.getMessage()]
    assert len(found) == warnings
    assert not any(token in text for text in found if token)
