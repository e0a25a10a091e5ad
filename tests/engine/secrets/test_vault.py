"""Secrets in HashiCorp Vault: read over HTTP, kept for a time, masked for good, and in no message."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from certificates import self_signed
from clocks import TestClock
from vault_server import STATUS_BODY, TOKEN, VaultServer

from engine.errors import SecretUnavailable
from engine.secrets.keeper import SecretKeeper
from engine.secrets.vault import FAILED_SECONDS, RENEWED_SECONDS, Vault

PASSWORD = "canary-password"


@pytest.fixture
def server() -> Iterator[VaultServer]:
    server = VaultServer()
    yield server
    server.close()


@pytest.fixture
def clock() -> TestClock:
    return TestClock()


@pytest.fixture
def vault(clock: TestClock) -> Vault:
    return Vault(TOKEN, 60, clock)


@pytest.fixture
def keeper(tmp_path: Path, vault: Vault) -> Callable[..., SecretKeeper]:
    """A keeper whose file has the secret `snow` at this uri."""

    def make(uri: str, more: str = "") -> SecretKeeper:
        path = tmp_path / "secrets.yml"
        path.write_text(f"- {{name: snow, type: hashicorp-vault, uri: '{uri}'{more}}}\n")
        return SecretKeeper(path, vault=vault)

    return make


def cause(read: Callable[[], object]) -> str:
    with pytest.raises(SecretUnavailable) as caught:
        read()
    text = str(caught.value)
    assert "canary" not in text
    return text


# What is read


def test_a_kv_v2_secret_is_its_inner_data(server, vault) -> None:
    uri = server.put("secret/data/snow", username="bob", password=PASSWORD)

    assert vault.read("snow", uri) == {"username": "bob", "password": PASSWORD}
    assert server.tokens == [TOKEN]


def test_a_kv_v1_secret_is_its_data_even_when_a_field_is_called_data(server, vault) -> None:
    plain, odd = server.put_v1("kv/snow", token="t-o-k-e-n"), server.put_v1("kv/odd", data={"a": 1}, token="t")

    assert vault.read("snow", plain) == {"token": "t-o-k-e-n"}
    assert vault.read("odd", odd) == {"data": {"a": 1}, "token": "t"}


def test_the_path_is_read_as_it_stands(server, vault) -> None:
    server.put("my-mount/data/a%20b/data/data", token="t")

    vault.read("x", server.uri("my-mount/data/a%20b/data/data?version=3"))

    assert server.targets == ["/v1/my-mount/data/a%20b/data/data?version=3"]


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ({"username": "bob", "password": PASSWORD, "more": "x"}, {"type": "credential", "username": "bob"}),
        ({"username": "bob", "password": 12345678}, {"type": "credential", "password": "12345678"}),
        ({"token": PASSWORD}, {"type": "token", "token": PASSWORD}),
        ({"key": "X-Key", "value": PASSWORD}, {"type": "api-key", "key": "X-Key", "value": PASSWORD}),
        ({"username": "bob", "password": "p", "token": "t"}, {"type": "credential", "token": "t"}),
        ({"username": "bob", "token": PASSWORD}, {"type": "token", "token": PASSWORD}),
    ],
)
def test_the_type_is_what_the_fields_make_it(server, keeper, given, fields) -> None:
    secret = keeper(server.put("secret/data/snow", **given)).get("snow")

    assert fields.items() <= secret.items()
    assert "more" not in secret


@pytest.mark.parametrize(
    "given", [{"user": PASSWORD}, {"username": "bob"}, {"token": ""}, {"token": True}, {"token": [PASSWORD]}]
)
def test_a_value_with_other_fields_is_refused_with_the_way_out(server, keeper, given) -> None:
    secrets = keeper(server.put("secret/data/snow", **given))

    assert cause(lambda: secrets.get("snow")) == (
        "secret 'snow' is not available: it has no username and password, no token, and no key and value; "
        "a jq_expression can give them these names"
    )


def test_an_expression_is_handed_on_with_the_value_and_not_run_here(server, keeper) -> None:
    secrets = keeper(server.put("secret/data/snow", user="bob"), ", jq_expression: '{token: .user'")

    assert secrets.get("snow") == {
        "type": "hashicorp-vault",
        "jq_expression": "{token: .user",
        "value": {"user": "bob"},
    }


def test_the_hosts_that_the_file_allows_stay_with_the_secret(server, keeper) -> None:
    uri = server.put("secret/data/snow", token="t")

    plain = keeper(uri, ", hosts: [peer.example]").get("snow")
    with_expression = keeper(uri, ", hosts: [peer.example], jq_expression: .").get("snow")

    assert plain == {"type": "token", "token": "t", "hosts": "peer.example"}
    assert with_expression["hosts"] == "peer.example"


# What fails


@pytest.mark.parametrize("status", [400, 403, 404, 412, 429, 473, 500, 502, 503])
def test_a_failure_is_one_sentence_with_the_status(server, vault, status) -> None:
    server.statuses["secret/data/snow"] = status

    text = cause(lambda: vault.read("snow", server.uri("secret/data/snow")))

    assert text == f"secret 'snow' is not available ({status})"
    assert STATUS_BODY not in text


def test_a_token_that_vault_refuses_is_a_403(server, clock) -> None:
    uri = server.put("secret/data/snow", token=PASSWORD)

    text = cause(lambda: Vault("hvs.canary-of-another", 60, clock).read("snow", uri))

    assert text == "secret 'snow' is not available (403)"


@pytest.mark.parametrize("token", [None, ""])
def test_without_a_token_vault_is_not_asked(server, clock, token) -> None:
    text = cause(lambda: Vault(token, 60, clock).read("snow", server.uri("secret/data/snow")))

    assert text == "secret 'snow' is not available: HASHICORP_VAULT_TOKEN is not set"
    assert not server.asked


def test_a_token_that_no_header_can_hold_is_not_shown(server, clock) -> None:
    text = cause(lambda: Vault("hvs.canary\nX: y", 60, clock).read("snow", server.uri("secret/data/snow")))

    assert text == "secret 'snow' is not available (it cannot be asked with this uri and token)"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"<html>canary</html>", "not JSON"),
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b'{"data": {"token": NaN}}', "not JSON"),
        (b'{"data": ' + b"[" * 100_000, "not JSON"),
        (b"[]", "no data"),
        (b'"canary"', "no data"),
        (b'{"data": "canary"}', "no data"),
        (b'{"data": null}', "no data"),
        (b'{"data": {}}', "no data"),
        (b'{"data": {"data": null, "metadata": {"deletion_time": "canary"}}}', "no data"),
        (b'{"data": {"token": "' + b"canary" * 50_000 + b'"}}', "over 262144 bytes"),
        (b'{"data": {"t": [' + b"1," * 2_000 + b"1]}}", "more than 1000 values, or deeper than 32"),
        (b'{"data": {"t": ' + b"[" * 40 + b"]" * 40 + b"}}", "more than 1000 values, or deeper than 32"),
    ],
)
def test_an_answer_of_another_shape_is_a_failure_that_shows_nothing_of_it(server, vault, body, why) -> None:
    server.raw["secret/data/snow"] = body

    assert (
        cause(lambda: vault.read("snow", server.uri("secret/data/snow"))) == f"secret 'snow' is not available ({why})"
    )


def test_a_vault_that_is_not_there_is_said_to_refuse(server, vault) -> None:
    uri = server.uri("secret/data/snow")
    server.close()

    assert cause(lambda: vault.read("snow", uri)) == "secret 'snow' is not available (connection refused)"


def test_a_connection_that_is_closed_without_an_answer_is_a_failure(server, vault) -> None:
    server.behaviours["secret/data/snow"] = "reset"

    text = cause(lambda: vault.read("snow", server.uri("secret/data/snow")))

    assert text == "secret 'snow' is not available (connection lost)"


def test_a_redirect_is_not_followed_for_it_would_carry_the_token_away(server, vault) -> None:
    server.put("secret/data/other", token=PASSWORD)
    server.behaviours["secret/data/snow"] = "redirect"
    server.elsewhere = server.uri("secret/data/other")

    assert cause(lambda: vault.read("snow", server.uri("secret/data/snow"))) == "secret 'snow' is not available (307)"
    assert server.asked == {"secret/data/snow": 1}


def test_no_proxy_of_the_environment_gets_the_token(server, vault, monkeypatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")

    assert vault.read("snow", server.put("secret/data/snow", token="t")) == {"token": "t"}


@pytest.mark.parametrize("behaviour", ["slow", "drip", "drip header"])
def test_an_answer_that_does_not_come_to_its_end_is_given_up_in_time(server, clock, behaviour) -> None:
    server.behaviours["secret/data/snow"] = behaviour
    vault = Vault(TOKEN, 60, clock, total_seconds=0.3)
    begun = time.monotonic()

    text = cause(lambda: vault.read("snow", server.uri("secret/data/snow")))

    assert text == "secret 'snow' is not available (timeout)"
    assert time.monotonic() - begun < 3


@pytest.mark.parametrize("behaviour", ["drip", "drip header"])
def test_the_connection_and_the_thread_of_a_read_that_was_given_up_end(server, clock, behaviour) -> None:
    server.behaviours["secret/data/snow"] = behaviour

    cause(lambda: Vault(TOKEN, 60, clock, total_seconds=0.2).read("snow", server.uri("secret/data/snow")))

    assert server.cut.acquire(timeout=5)
    for thread in [thread for thread in threading.enumerate() if thread.name == "vault"]:
        thread.join(5)
        assert not thread.is_alive()


def test_a_tls_handshake_that_never_comes_is_given_up_in_time(clock) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        vault = Vault(TOKEN, 60, clock, total_seconds=0.2)
        uri = f"https://127.0.0.1:{silent.getsockname()[1]}/v1/secret/data/snow"

        assert cause(lambda: vault.read("snow", uri)) == "secret 'snow' is not available (timeout)"
        for thread in [thread for thread in threading.enumerate() if thread.name == "vault"]:
            thread.join(2)
            assert not thread.is_alive()


def test_a_certificate_is_verified_and_may_be_named(tmp_path, clock) -> None:
    context, certificate = self_signed(tmp_path)
    server = VaultServer(context)
    try:
        uri = server.put("secret/data/snow", token="t")

        text = cause(lambda: Vault(TOKEN, 60, clock).read("snow", uri))
        value = Vault(TOKEN, 60, clock, ca_file=certificate).read("snow", uri)

        assert text.startswith("secret 'snow' is not available (TLS: self")
        assert value == {"token": "t"}
        assert server.tokens == [TOKEN]
    finally:
        server.close()


# How often


def test_a_value_is_served_for_its_time_and_not_a_moment_longer(server, vault, clock) -> None:
    uri = server.put("secret/data/snow", token="old")
    assert vault.read("snow", uri) == {"token": "old"}
    server.put("secret/data/snow", token="new")

    clock.pass_by(59.9)
    assert vault.read("snow", uri) == {"token": "old"}
    clock.pass_by(0.1)
    assert vault.read("snow", uri) == {"token": "new"}
    assert server.asked["secret/data/snow"] == 2


def test_an_expired_value_is_not_served_when_vault_fails(server, vault, clock) -> None:
    uri = server.put("secret/data/snow", token="old")
    vault.read("snow", uri)
    server.statuses["secret/data/snow"] = 503

    clock.pass_by(60)

    assert cause(lambda: vault.read("snow", uri)) == "secret 'snow' is not available (503)"


def test_a_failure_is_kept_for_two_seconds(server, vault, clock) -> None:
    uri = server.uri("secret/data/snow")
    server.statuses["secret/data/snow"] = 500
    for _ in range(3):
        cause(lambda: vault.read("snow", uri))
    assert server.asked["secret/data/snow"] == 1
    del server.statuses["secret/data/snow"]
    server.put("secret/data/snow", token="t")

    clock.pass_by(FAILED_SECONDS)

    assert vault.read("snow", uri) == {"token": "t"}


def test_with_no_time_to_be_kept_a_value_is_read_each_time(server, clock) -> None:
    vault = Vault(TOKEN, 0, clock)
    uri = server.put("secret/data/snow", token="t")

    vault.read("snow", uri)
    vault.read("snow", uri)

    assert server.asked["secret/data/snow"] == 2


@pytest.mark.parametrize("status", [200, 503])
def test_twenty_who_ask_at_once_are_one_read(server, vault, status) -> None:
    uri = server.put("secret/data/snow", token="t")
    server.behaviours["secret/data/snow"] = "slow"
    if status != 200:
        server.statuses["secret/data/snow"] = status
    barrier = threading.Barrier(21)
    heard: list[object] = []

    def ask() -> None:
        barrier.wait(10)
        try:
            heard.append(vault.read("snow", uri))
        except SecretUnavailable as error:
            heard.append(str(error))

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    barrier.wait(10)
    assert server.came.acquire(timeout=10)
    assert not server.came.acquire(timeout=0.1), "there was a second read while the first was under way"
    server.gate.set()
    for thread in threads:
        thread.join(20)

    expected = {"token": "t"} if status == 200 else "secret 'snow' is not available (503)"
    assert heard == [expected] * 20
    assert server.asked["secret/data/snow"] == 1


def test_one_slow_secret_does_not_hold_up_another(server, vault) -> None:
    slow, quick = server.put("secret/data/slow", token="s"), server.put("secret/data/quick", token="q")
    server.behaviours["secret/data/slow"] = "slow"
    thread = threading.Thread(target=vault.read, args=("slow", slow))
    thread.start()

    assert vault.read("quick", quick) == {"token": "q"}
    assert thread.is_alive()
    server.gate.set()
    thread.join(10)


# What is masked


def test_every_text_that_vault_gave_is_masked_from_then_on(server, keeper, clock) -> None:
    uri = server.put("secret/data/snow", username="robert", password=PASSWORD, more=[{"pin": "4711-0815"}, "abc"])
    secrets = keeper(uri)
    text = f"robert {PASSWORD} 4711-0815 abc canary%2Dpassword cm9iZXJ0OmNhbmFyeS1wYXNzd29yZA=="
    assert secrets.mask().text(text) == text

    secrets.get("snow")
    masked = secrets.mask().text(text)
    server.put("secret/data/snow", token="canary-of-later")
    clock.pass_by(60)
    secrets.get("snow")

    assert masked == "*** *** *** abc *** ***"
    assert secrets.mask().text(f"{text} canary-of-later") == f"{masked} ***"


def test_a_number_that_is_a_password_is_masked(server, keeper) -> None:
    secrets = keeper(server.put("secret/data/snow", username="bob", password=98765432))

    secrets.get("snow")

    assert secrets.mask().text("98765432") == "***"


def test_what_a_job_made_of_a_value_is_masked(tmp_path) -> None:
    secrets = SecretKeeper(tmp_path / "secrets.yml")

    secrets.hide(["derived-one"], [("bob", PASSWORD)])

    assert secrets.mask().text("derived-one Ym9iOmNhbmFyeS1wYXNzd29yZA==") == "*** ***"


# What the file may say


@pytest.mark.parametrize(
    "uri",
    [
        "https://vault.example.com/secret/data/x",
        "https://vault.example.com/v1/",
        "https://vault.example.com/v1",
        "https://vault.example.com",
        "ftp://vault.example.com/v1/x",
        "https:///v1/x",
        "https://user:canary@vault.example.com/v1/x",
        "https://vault.example.com:port/v1/x",
        "https://vault.example.com/v1/x#part",
        "https://vault.example.com/v1/a b",
        "https://[::1/v1/x",
        "/v1/x",
    ],
)
def test_a_uri_that_is_not_vaults_is_said_with_its_line(keeper, uri) -> None:
    text = cause(lambda: keeper(uri).get("snow"))

    assert text.startswith(
        "secret 'snow' is not available: secrets.yml, line 1: uri must be scheme and host, then /v1/"
    )


@pytest.mark.parametrize("uri", ["http://127.0.0.1:8200/v1/kv/x", "https://[::1]:8200/v1/secret/data/a/b?version=2"])
def test_a_uri_may_have_a_port_and_a_query(keeper, vault, uri) -> None:
    assert "uri must be" not in cause(lambda: keeper(uri).get("snow"))


# After a peer's 401


def test_a_fresh_read_gets_what_vault_has_now_and_everybody_else_gets_it_too(server, vault) -> None:
    uri = server.put("secret/data/snow", token="old")
    vault.read("snow", uri)
    server.put("secret/data/snow", token="new")

    assert vault.read("snow", uri) == {"token": "old"}
    assert vault.read("snow", uri, fresh=True) == {"token": "new"}
    assert vault.read("snow", uri) == {"token": "new"}
    assert server.asked["secret/data/snow"] == 2


def test_many_fresh_askers_are_one_read(server, vault) -> None:
    uri = server.put("secret/data/snow", token="old")
    vault.read("snow", uri)
    server.put("secret/data/snow", token="new")
    server.behaviours["secret/data/snow"] = "slow"
    assert server.came.acquire(timeout=10)
    barrier = threading.Barrier(9)
    values = []

    def ask() -> None:
        barrier.wait(10)
        values.append(vault.read("snow", uri, fresh=True))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    barrier.wait(10)
    assert server.came.acquire(timeout=10)
    assert not server.came.acquire(timeout=0.1), "there was a second read while the first was under way"
    server.gate.set()
    for thread in threads:
        thread.join(10)

    assert values == [{"token": "new"}] * 8
    assert server.asked["secret/data/snow"] == 2


def test_a_peer_that_refuses_on_and_on_costs_one_read_in_five_seconds(server, vault, clock) -> None:
    uri = server.put("secret/data/snow", token="wrong")
    vault.read("snow", uri)

    for _ in range(10):
        vault.read("snow", uri, fresh=True)
        clock.pass_by(RENEWED_SECONDS / 10)
    vault.read("snow", uri, fresh=True)

    assert server.asked["secret/data/snow"] == 3


def test_a_fresh_read_that_fails_takes_nothing_from_those_who_have_the_kept_value(server, vault, clock) -> None:
    uri = server.put("secret/data/snow", token="old")
    vault.read("snow", uri)
    server.statuses["secret/data/snow"] = 503

    assert cause(lambda: vault.read("snow", uri, fresh=True)) == "secret 'snow' is not available (503)"
    assert vault.read("snow", uri) == {"token": "old"}
    clock.pass_by(60)
    assert cause(lambda: vault.read("snow", uri)) == "secret 'snow' is not available (503)"


def test_a_value_read_anew_is_served_for_its_own_time(server, vault, clock) -> None:
    uri = server.put("secret/data/snow", token="old")
    vault.read("snow", uri)
    clock.pass_by(50)
    vault.read("snow", uri, fresh=True)
    clock.pass_by(59.9)

    vault.read("snow", uri)
    assert server.asked["secret/data/snow"] == 2
    clock.pass_by(0.1)
    vault.read("snow", uri)
    assert server.asked["secret/data/snow"] == 3


def test_the_value_before_a_fresh_read_stays_masked(server, keeper) -> None:
    uri = server.put("secret/data/snow", token="canary-old")
    secrets = keeper(uri)
    secrets.get("snow")
    server.put("secret/data/snow", token="canary-new")

    assert secrets.get("snow", fresh=True)["token"] == "canary-new"
    assert secrets.mask().text("canary-old, canary-new") == "***, ***"
