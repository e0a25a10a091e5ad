"""`octoflow keys` without a shell, on the data folder and at a service; and what a shell changes is in the audit."""

from __future__ import annotations

import getpass
import json
import os
import pwd

import pytest
from clocks import NOON
from fixed_answers import Answer, peer
from flows import QUICK
from shells import data_folder, octoflow, refused_octoflow

from engine import cli
from engine.cli.opening import visit_engine
from engine.models.access import ApiKey, Role
from engine.models.access_view import key_json
from engine.models.audit import AuditFilter
from engine.settings import Settings

TOKEN = "canary-token-5b1c"


@pytest.fixture
def data(tmp_path, monkeypatch):
    return data_folder(tmp_path, monkeypatch, {"quick.yml": QUICK})


def keys(capsys, *arguments):
    return octoflow(capsys, "keys", *arguments)


def refused(capsys, *arguments):
    return refused_octoflow(capsys, "keys", *arguments)


def changes():
    """The audit, oldest first."""
    engine = visit_engine()
    try:
        return [row.change for row in reversed(engine.audit(AuditFilter(limit=500)))]
    finally:
        engine.close()


# On the data folder


@pytest.mark.parametrize("options", [("--name", "ci", "--role", "operator"), ("-n", "ci", "-p", "operator")])
def test_the_token_of_a_new_key_is_all_that_goes_to_standard_output(data, capsys, options):
    assert cli.main(["keys", "create", *options]) == 0

    printed = capsys.readouterr()
    assert printed.err == "The key ci (operator) is made. This is its token, which is not shown again:\n"
    engine = visit_engine()
    opened = engine.is_allowed(printed.out.strip(), lambda: False)
    engine.close()
    assert (opened.name, opened.role, opened.flows) == ("ci", Role.OPERATOR, None)


def test_a_key_is_made_with_all_that_can_be_said(data, capsys):
    options = ("--flows", "reports/*", "--expires", "90d", "--json")

    key = json.loads(keys(capsys, "create", "-n", "ci", "-p", "editor", *options))
    (listed,) = json.loads(keys(capsys, "list", "--json"))

    assert key.pop("token").startswith(key["prefix"])
    assert key == listed
    assert (key["flows"], key["role"], key["state"]) == ("reports/*", "editor", "active")
    assert key["expires_time"][:4] >= "2026"


def test_a_list_is_a_table_without_tokens(data, capsys):
    token = keys(capsys, "create", "-n", "ci", "-p", "viewer", "--expires", "4w").strip()
    keys(capsys, "create", "-n", "robot", "-p", "tick")
    keys(capsys, "revoke", "ci")

    printed = keys(capsys, "list")

    head, first, second = printed.splitlines()
    assert head.split() == ["ID", "NAME", "ROLE", "TOKEN", "FLOWS", "STATE", "EXPIRES", "LAST", "USED"]
    assert first.split()[1:5] == ["ci", "viewer", f"{token[:13]}_...", "revoked"]
    assert second.split()[1:3] == ["robot", "tick"]
    assert token not in printed


def test_every_key_is_listed(data, capsys, monkeypatch):
    monkeypatch.setattr("engine.cli.key_clients.PAGE", 2)
    for number in range(5):
        keys(capsys, "create", "-n", f"key-{number}", "-p", "viewer")

    assert [key["name"] for key in json.loads(keys(capsys, "list", "--json"))] == [f"key-{n}" for n in range(5)]


@pytest.mark.parametrize("by", ["key_id", "name"])
def test_a_key_is_revoked_by_its_id_or_name(data, capsys, by):
    key = json.loads(keys(capsys, "create", "-n", "ci", "-p", "viewer", "--json"))

    told = keys(capsys, "revoke", key[by])

    assert told == f"The key ci ({key['key_id']}) is revoked.\n"
    assert json.loads(keys(capsys, "revoke", key["key_id"], "--json"))["state"] == "revoked"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["create", "-n", "a b", "-p", "viewer"], "octoflow: --name must be 1 to 64 letters"),
        (["create", "-n", "API_TOKEN", "-p", "viewer"], "--name cannot be API_TOKEN, which is reserved"),
        (["create", "-n", "ci", "-p", "admin", "--flows", "*"], "cannot be given to a key with the role admin"),
        (
            ["create", "-n", "ci", "-p", "viewer", "--expires", "soon"],
            "octoflow: --expires must be hours, days or weeks",
        ),
        (["revoke", "nobody"], "There is no key 'nobody'"),
        (["revoke", "\x1b[2J"], "There is no key"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(data, capsys, arguments, words):
    assert words in refused(capsys, *arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["create"],
        ["create", "-n", "ci"],
        ["create", "-p", "viewer"],
        ["create", "-n", "ci", "-p", "root"],
        ["revoke"],
    ],
)
def test_usage_errors_are_two(data, capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        cli.main(["keys", *arguments])

    assert caught.value.code == 2


# At a service

KEY = {
    **key_json(ApiKey("k-1", "ci", Role.VIEWER, "octo_x", None, NOON), Settings().timezone, NOON),
    "token": "octo_x_y",
}
ANY = Answer(200, json.dumps({**KEY, "keys": [KEY], "next": None}).encode())


@pytest.mark.parametrize(
    ("arguments", "method", "place"),
    [
        (["create", "-n", "ci", "-p", "viewer"], "POST", "/api/keys"),
        (["list"], "GET", "/api/keys?limit=500&offset=0"),
        (["revoke", "k-1"], "DELETE", "/api/keys/k-1"),
        (["revoke", "CI@build.example"], "DELETE", "/api/keys/CI@build.example"),
    ],
)
def test_each_verb_asks_the_service_for_its_operation(data, capsys, monkeypatch, arguments, method, place):
    with peer(ANY) as (url, asked):
        monkeypatch.setenv("OCTOFLOW_URL", url)
        monkeypatch.setenv("OCTOFLOW_TOKEN", TOKEN)

        keys(capsys, *arguments)

    assert [(each.method, each.path) for each in asked] == [(method, place)]
    assert asked[0].authorization == f"Bearer {TOKEN}"


def test_the_service_is_given_what_was_said_and_no_more(data, capsys, monkeypatch):
    with peer(ANY) as (url, asked):
        monkeypatch.setenv("OCTOFLOW_URL", url)

        told = keys(capsys, "create", "-n", "ci", "-p", "viewer", "--flows", "a/*")

    assert json.loads(asked[0].body) == {"name": "ci", "role": "viewer", "flows": "a/*"}
    assert told == "octo_x_y\n"


@pytest.mark.parametrize("key", [".", "..", "", "a/b", "a?b", "%2e%2e", "-x"])
def test_a_key_leads_nowhere_else(data, capsys, monkeypatch, key):
    with peer(ANY) as (url, asked):
        monkeypatch.setenv("OCTOFLOW_URL", url)

        assert "There is no key" in refused(capsys, "revoke", "--", key)

    assert asked == []


# The audit


def test_what_is_changed_here_is_written_down_under_the_name_of_who_is_logged_in(data, capsys, monkeypatch):
    monkeypatch.setenv("LOGNAME", "somebody-else")
    assert getpass.getuser() == "somebody-else"
    schedule = json.loads(octoflow(capsys, "schedules", "add", "quick.yml", "--every", "60", "--json"))["schedule_id"]
    for verb in ("pause", "resume", "delete"):
        octoflow(capsys, "schedules", verb, schedule)
    octoflow(capsys, "run", "quick.yml")
    (job,) = json.loads(octoflow(capsys, "jobs", "list", "--json"))
    octoflow(capsys, "jobs", "delete", job["id"])
    waiting = visit_engine()
    other = waiting.launch("quick.yml")
    waiting.close()
    octoflow(capsys, "jobs", "cancel", other)
    key = json.loads(keys(capsys, "create", "-n", "ci", "-p", "viewer", "--json"))["key_id"]
    keys(capsys, "revoke", "ci")

    written = changes()

    assert {row.actor for row in written} == {f"cli:{pwd.getpwuid(os.getuid()).pw_name}"}
    assert [(row.action, row.target, row.result_id) for row in written] == [
        ("create_schedule", "quick.yml", schedule),
        ("pause_schedule", "quick.yml", schedule),
        ("resume_schedule", "quick.yml", schedule),
        ("delete_schedule", schedule, None),
        ("launch_job", "quick.yml", job["id"]),
        ("delete_job", job["id"], None),
        ("cancel_job", other, None),
        ("create_key", "ci", key),
        ("revoke_key", "ci", key),
    ]


def test_what_is_only_looked_at_or_refused_is_not_written_down(data, capsys):
    octoflow(capsys, "jobs", "list")
    octoflow(capsys, "schedules", "list")
    keys(capsys, "list")
    refused(capsys, "revoke", "nobody")
    octoflow(capsys, "tick")

    assert changes() == []


def test_who_has_no_name_is_written_down_by_number(data, capsys, monkeypatch):
    def unknown(_):
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    keys(capsys, "create", "-n", "ci", "-p", "viewer")

    assert [row.actor for row in changes()] == [f"cli:{os.getuid()}"]
