"""`octoflow documents` without a shell: on the data folder, and at a service."""

from __future__ import annotations

import json

import pytest
from fixed_answers import Answer, peer
from flows import QUICK
from shells import data_folder, octoflow, refused_octoflow

WRONG = "name: Wrong\nsteps:\n  - {name: a, type: sleep, sleep: {second: 1}}\n  - {name: b, type: goto, goto: c}\n"
TOLD = """\
name: "Told \\e[2J"
description: Says it all.
inputs:
  - {name: host}
  - {name: size, type: integer, default: 1}
steps:
  - {name: v, type: set_fact, set_fact: {value: 1}}
"""
TOKEN = "canary-token-5b1c"
LOOK = {"valid": True, "problems": [], "outline": None, "schedules": [], "jobs": []}
SHOWN = {"path": "a.yml", "text": None, "revision": None, "next_run_time": None, **LOOK}
ANY = Answer(200, json.dumps({**SHOWN, "documents": []}).encode())


@pytest.fixture
def data(tmp_path, monkeypatch):
    flows = {"quick.yml": QUICK, "wrong.yml": WRONG, "deep/told.yml": TOLD, "none.yml": "- 1\n"}
    return data_folder(tmp_path, monkeypatch, flows)


def documents(capsys, *arguments):
    return octoflow(capsys, "documents", *arguments)


def refused(capsys, *arguments):
    return refused_octoflow(capsys, "documents", *arguments)


# On the data folder


def test_a_list_is_a_table_by_path_with_the_next_run_and_the_last_job_of_each(data, capsys):
    octoflow(capsys, "run", "quick.yml")
    octoflow(capsys, "schedules", "add", "deep/told.yml", "--cron", "@daily", "--data", '{"host": "h"}')

    head, told, none, quick, wrong = documents(capsys, "list").splitlines()

    assert head.split() == ["FLOW", "NAME", "NEXT", "RUN", "LAST", "JOB", "STATUS"]
    assert told.split()[:3] == ["deep/told.yml", "Told", "\\x1b[2J"]
    assert told.split()[4] == "00:00:00+00:00"
    assert none.split() == ["none.yml", "(no", "flow)"]
    assert (quick.split()[0], quick.split()[-1]) == ("quick.yml", "success")
    assert wrong.split() == ["wrong.yml", "Wrong"]


@pytest.mark.parametrize(
    ("arguments", "paths"),
    [
        (["--q", "QUI"], ["quick.yml"]),
        (["--glob", "deep/*"], ["deep/told.yml"]),
        (["--glob", "*.yml", "--limit", "1"], ["deep/told.yml"]),
        (["--q", "nothing"], []),
    ],
)
def test_a_list_can_be_narrowed(data, capsys, arguments, paths):
    found = json.loads(documents(capsys, "list", "--json", *arguments))

    assert [each["path"] for each in found] == paths


def test_a_flow_is_shown_with_its_inputs_steps_schedules_and_jobs(data, capsys):
    octoflow(capsys, "schedules", "add", "deep/told.yml", "--every", "60", "--data", '{"host": "h"}')
    octoflow(capsys, "run", "deep/told.yml", "--data", '{"host": "h"}')

    shown = documents(capsys, "show", "deep/told.yml")

    lines = [line.split() for line in shown.splitlines()]
    assert lines[0] == ["flow:", "deep/told.yml", "(Told", "\\x1b[2J)"]
    assert ["about:", "Says", "it", "all."] in lines
    assert ["valid:", "yes"] in lines
    assert ["inputs:", "host,", "size"] in lines
    assert ["v", "set_fact", "7"] in lines
    assert any(line[1:5] == ["every", "60", "s", "active"] for line in lines)
    assert lines[-1][1] == "success"


def test_a_flow_with_problems_is_shown_with_each_of_them(data, capsys):
    shown = documents(capsys, "show", "wrong.yml")

    assert "valid:    no\n" in shown
    assert "error:    line 3: step 'a': sleep.second is not a known key (did you mean 'seconds'?)" in shown
    assert "error:    line 4: " in shown
    assert "JOB" not in shown


def test_what_is_no_flow_at_all_is_shown(data, capsys):
    assert "error: " in documents(capsys, "show", "none.yml")


def test_a_flow_may_be_named_by_where_it_lies(data, capsys, monkeypatch):
    monkeypatch.chdir(data)

    shown = json.loads(documents(capsys, "show", "flows/quick.yml", "--json"))

    assert (shown["path"], shown["text"], shown["valid"]) == ("quick.yml", QUICK, True)


@pytest.mark.parametrize(
    ("path", "words"),
    [("quik.yml", "Did you mean 'quick.yml'?"), ("../secrets.yml", "outside FLOWS_PATH"), ("deep", "is a folder")],
)
def test_what_is_not_there_is_one_sentence(data, capsys, path, words):
    assert words in refused(capsys, "show", path)


# At a service


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        (["list"], "/api/documents?limit=50"),
        (["list", "--q", "a b", "--glob", "x/*"], "/api/documents?q=a+b&glob=x%2F%2A&limit=50"),
        (["show", "a.yml"], "/api/documents/a.yml"),
        (["show", "./deep//x/../ü b?#%2F.yml"], "/api/documents/deep/%C3%BC%20b%3F%23%252F.yml"),
    ],
)
def test_each_verb_asks_the_service_for_its_operation(data, capsys, monkeypatch, arguments, place):
    with peer(ANY) as (url, asked):
        monkeypatch.setenv("OCTOFLOW_URL", url)
        monkeypatch.setenv("OCTOFLOW_TOKEN", TOKEN)

        documents(capsys, *arguments)

    assert [(each.method, each.path) for each in asked] == [("GET", place)]
    assert asked[0].authorization == f"Bearer {TOKEN}"


@pytest.mark.parametrize("path", ["", ".", "..", "../keys", "a/../../keys", "/api/keys", "//host/x"])
def test_a_path_leads_nowhere_else(data, capsys, monkeypatch, path):
    with peer(ANY) as (url, asked):
        monkeypatch.setenv("OCTOFLOW_URL", url)

        assert "There is no flow" in refused(capsys, "show", path)

    assert asked == []


@pytest.mark.parametrize("arguments", [["list"], ["show", "a.yml"]])
def test_whatever_a_service_answers_is_one_sentence(data, capsys, monkeypatch, arguments):
    for answer, sentence in (
        (Answer(403, b'{"error": "This is not yours."}'), "octoflow: This is not yours."),
        (Answer(200, b"{}"), "is no Octoflow"),
    ):
        with peer(answer) as (url, _):
            monkeypatch.setenv("OCTOFLOW_URL", url)

            assert sentence in refused(capsys, *arguments)
