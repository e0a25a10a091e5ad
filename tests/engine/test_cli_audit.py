"""`octoflow audit` without a shell: on the data folder, and at a service."""

from __future__ import annotations

import json
import os
import pwd

import pytest
from fixed_answers import Answer, peer
from flows import QUICK
from shells import data_folder

from engine import cli
from engine.supervisor import Supervision

TOKEN = "canary-token-5b1c"
ANY = Answer(200, b'{"audit": []}')


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A folder on which a key was made, then a job launched."""
    folder = data_folder(tmp_path, monkeypatch, {"quick.yml": QUICK, "other.yml": QUICK})
    for command in (["keys", "create", "--name", "ada", "--role", "viewer"], ["jobs", "launch", "quick.yml"]):
        assert cli.main(command) == 0
    return folder


@pytest.fixture
def audit(data, capsys):
    capsys.readouterr()

    def ask(*arguments, code=0):
        """What it prints, or the sentence with which it fails."""
        assert cli.main(["audit", *arguments]) == code
        printed = capsys.readouterr()
        return printed.err if code else printed.out

    return ask


def test_the_audit_is_a_table_newest_first(audit):
    head, launch, key = (line.split() for line in audit().splitlines())

    me = f"cli:{pwd.getpwuid(os.getuid()).pw_name}"
    assert head == ["TIME", "WHO", "ROLE", "ACTION", "WHAT", "ID", "FROM"]
    assert launch[2:6] == [me, "admin", "launch_job", "quick.yml"]
    assert key[2:6] == [me, "admin", "create_key", "ada"]


def test_a_run_is_written_down_together_with_its_job(data, monkeypatch, audit):
    written = []
    monkeypatch.setattr(
        Supervision, "supervise", lambda self: written.append(audit("--action", "launch_job", "--json"))
    )

    cli.main(["run", "other.yml"])

    newest = json.loads(written[0])[0]
    assert (newest["actor"], newest["target"]) == (f"cli:{pwd.getpwuid(os.getuid()).pw_name}", "other.yml")
    assert newest["result_id"] is not None


@pytest.mark.parametrize(
    ("arguments", "actions"),
    [
        (["--action", "create_key"], ["create_key"]),
        (["--actor", "nobody"], []),
        (["--since", "2 hours ago", "--limit", "1"], ["launch_job"]),
        (["--since", "2 hours ago"], ["launch_job", "create_key"]),
        (["--until", "2 hours ago"], []),
    ],
)
def test_the_audit_can_be_narrowed(audit, arguments, actions):
    assert [row["action"] for row in json.loads(audit("--json", *arguments))] == actions


@pytest.mark.parametrize("option", ["--since", "--until"])
def test_a_time_that_is_none_is_named_with_its_option(audit, option):
    assert audit(option, "soon-ish", code=1).startswith(f"octoflow: {option} 'soon-ish' is not a time; ")


def test_an_action_that_is_none_is_told_those_there_are(data, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["audit", "--action", "launch"])

    assert caught.value.code == 2
    told = capsys.readouterr().err
    assert "argument --action: invalid choice: 'launch'" in told
    assert "launch_job" in told


@pytest.mark.parametrize(("command", "field"), [(["audit"], "time_from"), (["jobs", "list"], "start_time_from")])
def test_a_time_that_a_service_refuses_is_named_with_its_option(data, capsys, monkeypatch, command, field):
    wrong = {"field": field, "message": "'x' is not a time"}
    answer = {"error": f"The query cannot be used: `{field}` ...", "code": "request_invalid", "details": [wrong]}
    with peer(Answer(400, json.dumps(answer).encode())) as (url, _):
        monkeypatch.setenv("OCTOFLOW_URL", url)
        capsys.readouterr()

        assert cli.main([*command, "--since", "x"]) == 1

    assert capsys.readouterr().err == "octoflow: --since 'x' is not a time.\n"


def test_a_service_is_asked_for_its_audit(audit, monkeypatch):
    with peer(ANY) as (url, asked):
        monkeypatch.setenv("OCTOFLOW_URL", url)
        monkeypatch.setenv("OCTOFLOW_TOKEN", TOKEN)

        audit("--actor", "ada", "--since", "yesterday", "--limit", "7")

    assert [(each.method, each.path) for each in asked] == [
        ("GET", "/api/audit?actor=ada&time_from=yesterday&limit=7"),
    ]
    assert asked[0].authorization == f"Bearer {TOKEN}"


def test_a_key_that_is_no_admins_is_told_so(audit, monkeypatch):
    with peer(Answer(403, b'{"error": "This needs the role admin."}')) as (url, _):
        monkeypatch.setenv("OCTOFLOW_URL", url)

        assert audit(code=1) == "octoflow: This needs the role admin.\n"
