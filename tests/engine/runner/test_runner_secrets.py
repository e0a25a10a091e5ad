"""A secret from Vault with a `jq_expression`: what the job makes of it, what it has masked, and what it never says."""

from __future__ import annotations

import pytest

from engine.errors import StepFailed
from engine.runner.secrets import secret_fields


class Keeper:
    """A host that has one secret."""

    def __init__(self, answer):
        self.answer = answer
        self.hidden = []

    def secret(self, name, *, fresh=False):
        return self.answer

    def hide(self, values, pairs):
        self.hidden.append((values, pairs))


def vaulted(expression, value, **more):
    return Keeper({"type": "hashicorp-vault", "jq_expression": expression, "value": value, **more})


def test_a_secret_of_the_file_is_passed_on_as_it_is():
    host = Keeper({"type": "token", "token": "t"})

    assert secret_fields(host, "snow") == {"type": "token", "token": "t"}
    assert host.hidden == []


@pytest.mark.parametrize(
    ("expression", "value", "fields"),
    [
        (
            "{username: .user, password: .pass}",
            {"user": "bob", "pass": "canary"},
            {"type": "credential", "username": "bob", "password": "canary"},
        ),
        (
            '.both | split(":") | {key: .[0], value: .[1]}',
            {"both": "X:v"},
            {"type": "api-key", "key": "X", "value": "v"},
        ),
        (".inner | fromjson | {token}", {"inner": '{"token": "t"}'}, {"type": "token", "token": "t"}),
        ("{token: .pin}", {"pin": 471108}, {"type": "token", "token": "471108"}),
        (".", {"token": "t"}, {"type": "token", "token": "t"}),
    ],
)
def test_an_expression_gives_the_fields_their_names(expression, value, fields):
    assert secret_fields(vaulted(expression, value), "snow") == fields


def test_what_was_made_is_masked_before_it_is_used():
    host = vaulted('.both | split(":") | {username: .[0], password: .[1]}', {"both": "bob:canary"})

    secret_fields(host, "snow")

    assert host.hidden == [(["canary"], [("bob", "canary")])]


def test_the_hosts_stay_with_the_secret():
    assert secret_fields(vaulted("{token: .t}", {"t": "x"}, hosts="a.example"), "snow")["hosts"] == "a.example"


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        (".a | tonumber", "its jq_expression fails on what Vault gave"),
        (".a | error", "its jq_expression fails on what Vault gave"),
        ("{token: .a", "its jq_expression fails on what Vault gave"),
        ("{token: env.HOME}", "its jq_expression fails on what Vault gave"),
        ("empty", "its jq_expression must give one object"),
        (".a, .a", "its jq_expression must give one object"),
        (".a", "after its jq_expression it has no username and password"),
        ("{password: .a}", "after its jq_expression it has no username and password"),
    ],
)
def test_an_expression_that_gives_no_secret_is_a_sentence_without_the_value(expression, why):
    with pytest.raises(StepFailed) as caught:
        secret_fields(vaulted(expression, {"a": "canary"}), "snow")

    assert str(caught.value).startswith(f"secret 'snow' is not available: {why}")
    assert "canary" not in caught.value.text
