"""`octoflow validate`: every problem with its place, in three formats, and nothing but reading."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import fields

import pytest
from flows import QUICK
from services import children_of

from engine import cli
from engine.executors import children
from engine.settings import Settings

TYPO = (
    "name: typo\nsteps:\n  - name: a\n    type: rest\n    rest: {urii: http://localhost/}\n  - {name: b, type: gotoo}\n"
)
GENERATOR = "name: g\nsteps:\n  - {name: s, type: jq, jq: {expression: '.tickets[]'}}\n"


@pytest.fixture
def flows(tmp_path, monkeypatch):
    folder = tmp_path / "data" / "flows"
    (folder / "team").mkdir(parents=True)
    for name, text in (("good.yml", QUICK), ("typo.yml", TYPO), ("team/warned.yaml", GENERATOR), ("notes.txt", "x")):
        (folder / name).write_text(text)
    for field in fields(Settings):
        monkeypatch.delenv(field.name.upper(), raising=False)
    monkeypatch.setenv("DATA_PATH", str(folder.parent))
    monkeypatch.chdir(tmp_path)
    return folder


def test_a_valid_flow_is_zero_and_says_nothing_on_standard_output(flows, capsys):
    assert cli.main(["validate", "good.yml"]) == 0

    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "documents: 1, problems: 0, warnings: 0\n"


def test_every_problem_is_a_line_with_its_place_its_hint_and_its_code(flows, capsys):
    assert cli.main(["validate", "typo.yml"]) == 1

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) >= 2
    assert all(line.startswith("data/flows/typo.yml:") for line in lines)
    unknown = next(line for line in lines if "urii" in line)
    assert unknown.startswith("data/flows/typo.yml:5:12: error: ")
    assert "uri" in unknown.rpartition("(")[2]
    assert unknown.endswith("]")


def test_a_warning_is_told_and_leaves_the_flow_valid(flows, capsys):
    assert cli.main(["validate", "team"]) == 0

    printed = capsys.readouterr()
    assert "data/flows/team/warned.yaml:3:" in printed.out
    assert ": warning: " in printed.out
    assert printed.err == "documents: 1, problems: 0, warnings: 1\n"


@pytest.mark.parametrize("place", [".", "data/flows", "data/flows/", "{flows}", "good.yml typo.yml team good.yml"])
def test_a_folder_means_all_its_documents_and_each_is_checked_once(flows, capsys, place):
    assert cli.main(["validate", *place.format(flows=flows).split(), "--format", "json"]) == 1

    documents = json.loads(capsys.readouterr().out)["documents"]
    assert sorted(document["path"] for document in documents) == ["good.yml", "team/warned.yaml", "typo.yml"]


def test_json_tells_all_of_a_problem(flows, capsys):
    cli.main(["validate", "typo.yml", "--format", "json"])

    verdict = json.loads(capsys.readouterr().out)
    assert verdict["valid"] is False
    [document] = verdict["documents"]
    assert (document["path"], document["file"], document["valid"]) == ("typo.yml", "data/flows/typo.yml", False)
    assert {*document["problems"][0]} == {"code", "message", "path", "line", "column", "hint", "severity"}


def test_github_gets_annotations_whose_text_cannot_end_them(flows, capsys):
    (flows / "a,b%.yml").write_text("name: x\nsteps:\n  - {name: s, type: jq, 'bad%0A\\n::warning::': 1}\n")

    assert cli.main(["validate", "a,b%.yml", "team", "--format", "github"]) == 1

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("::error file=data/flows/a%2Cb%25.yml,line=3,col=")
    assert all(line.startswith(("::error file=", "::warning file=")) for line in lines)
    assert lines[-1].startswith("::warning file=data/flows/team/warned.yaml,line=3,col=")
    assert "%250A" in "".join(lines)


@pytest.mark.parametrize(
    "text", [b"\xff\xfe", b"name: [", b"", b"name: \x1b[2Jx\n", b"name: a\nname: b\n", b"x" * 1_000_001]
)
def test_text_that_is_no_flow_is_a_problem_like_any_other(flows, capsys, text):
    (flows / "broken.yml").write_bytes(text)

    assert cli.main(["validate", "broken.yml", "good.yml"]) == 1

    printed = capsys.readouterr()
    assert printed.out.startswith("data/flows/broken.yml")
    assert "\x1b" not in printed.out
    assert printed.err.startswith("documents: 2, problems: ")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "the following arguments are required: PATH"),
        (["nowhere.yml"], "nowhere.yml"),
        (["good.yml", "god.yml"], "god.yml"),
        (["../../outside.yml"], "outside"),
        (["outside"], "outside is not below FLOWS_PATH"),
        (["empty"], "empty holds no .yml or .yaml file"),
        (["../../outside"], "outside"),
        (["good.yml", "--format", "xml"], "invalid choice"),
        (["\0"], "octoflow validate: error:"),
        (["x" * 5000], "octoflow validate: error:"),
        (["gone.yml"], "gone.yml is no flow and no folder below FLOWS_PATH ("),
        ([""], "octoflow validate: error:"),
    ],
)
def test_a_path_that_names_nothing_is_a_usage_error(flows, tmp_path, capsys, arguments, sentence):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a.yml").write_text(QUICK)
    (tmp_path / "outside.yml").write_text(QUICK)
    (flows / "empty").mkdir()

    with pytest.raises(SystemExit) as caught:
        cli.main(["validate", *arguments])

    assert caught.value.code == 2
    assert sentence in capsys.readouterr().err


def test_no_database_is_opened_and_no_folder_made(flows, monkeypatch):
    monkeypatch.setenv("SQLALCHEMY_DATABASE_URI", "postgresql://nobody@127.0.0.1:1/nothing")

    assert cli.main(["validate", "good.yml"]) == 0

    assert [entry.name for entry in flows.parent.iterdir()] == ["flows"]


def test_an_unusable_sub_flow_is_told_of_where_it_is_called(flows, capsys):
    (flows / "calls.yml").write_text("name: c\nsteps:\n  - {name: s, type: flow, flow: {path: typo.yml}}\n")

    assert cli.main(["validate", "calls.yml"]) == 1

    assert "data/flows/calls.yml:3:" in capsys.readouterr().out


# Expressions

FAULTY = (
    "name: f\nsteps:\n"
    "  - {name: a, type: jq, jq: {expression: .tickets | }}\n"
    "  - {name: b, type: exit, exit: {message: '{{ who | uper }}'}}\n"
    "  - {name: c, type: jq, jq: {expression: '\"x\" * 2000000000'}}\n"
    "  - {name: d, type: gotoo}\n"
)


def test_expressions_that_do_not_compile_are_told_with_all_the_others(flows, capsys):
    (flows / "faulty.yml").write_text(FAULTY)

    assert cli.main(["validate", "faulty.yml", "good.yml"]) == 1

    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert [line.split(":")[1] for line in lines] == ["3", "4", "5", "6"]
    assert lines[0].startswith("data/flows/faulty.yml:3:30: error: step 'a': jq.expression: syntax error")
    assert lines[1].endswith("(did you mean 'upper'?) [expression]")
    assert "SIGABRT" in lines[2]
    assert printed.err.endswith("documents: 2, problems: 4, warnings: 0\n")


def test_no_process_is_left_and_none_is_started_for_nothing(flows, capsys, monkeypatch):
    (flows / "faulty.yml").write_text(FAULTY)
    started = []
    spawn = children.ForkServer.spawn
    monkeypatch.setattr(children.ForkServer, "spawn", lambda self: (started.append(self), spawn(self))[1])

    cli.main(["validate", "good.yml"])
    assert started == []
    cli.main(["validate", "faulty.yml"])

    assert started
    assert children_of(os.getpid()) == []


@pytest.fixture
def no_python(flows, monkeypatch):
    (flows / "unseen.yml").write_text("steps:\n  - {name: a, type: jq, jq: {expression: '.a | '}}\n")
    program = flows.parent / "python"
    program.touch(0o600)
    monkeypatch.setattr(sys, "executable", str(program))
    return program


def test_without_a_process_it_fails_and_says_why_nothing_was_compiled(flows, no_python, capsys):
    assert cli.main(["validate", "unseen.yml", "good.yml"]) == 1

    printed = capsys.readouterr()
    why = f"No process for a job could be started: {no_python}: Permission denied."
    assert f"warning: its expressions could not be compiled now: {why} [not_compiled]" in printed.out
    assert "octoflow: 1 could not be checked whole, such as data/flows/unseen.yml: its expressions" in printed.err
    assert f"{why} Mend that and validate again, or let a service do it (POST /api/validate).\n" in printed.err


def test_without_a_process_json_says_that_it_is_not_valid(flows, no_python, capsys):
    assert cli.main(["validate", "unseen.yml", "--json"]) == 1

    verdict = json.loads(capsys.readouterr().out)
    assert (verdict["valid"], verdict["documents"][0]["valid"]) == (False, False)
