"""`octoflow` without a shell: what each command prints, and how it exits."""

from __future__ import annotations

import json
import signal
from dataclasses import fields

import pytest
from flows import QUICK, SLOW
from stores import upgraded_sqlite

from engine import __version__, cli
from engine.settings import Settings
from engine.store.jobs import JobStore

FAILS = "name: fails\nsteps:\n  - {name: s, type: jq, jq: {expression: 'error(\"no\")'}}\n"
EXITS = "name: exits\nsteps:\n  - {name: s, type: exit, exit: {message: nothing to do}}\n"
ECHO = "name: echo\nsteps:\n  - {name: s, type: jq, jq: {expression: '.__input__'}}\n"


@pytest.fixture
def data(tmp_path, monkeypatch):
    folder = tmp_path / "data"
    (folder / "flows").mkdir(parents=True)
    (folder / "jobs.sqlite").write_bytes(upgraded_sqlite())
    for name, text in (("quick", QUICK), ("slow", SLOW), ("fails", FAILS), ("exits", EXITS), ("echo", ECHO)):
        (folder / "flows" / f"{name}.yml").write_text(text)
    for field in fields(Settings):
        monkeypatch.delenv(field.name.upper(), raising=False)
    monkeypatch.setenv("DATA_PATH", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


def test_every_command_is_found_by_its_name():
    [every] = [action for action in cli.parser(None)._actions if action.choices]

    assert list(every.choices) == [name for names in cli.GROUPS.values() for name in names]
    for name in every.choices:
        [one] = [action for action in cli.parser(name)._actions if action.choices]
        assert name in one.choices


def test_the_version_is_printed(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["--version"])

    assert caught.value.code == 0
    assert capsys.readouterr().out == f"octoflow {__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["run"], ["run", "a.yml", "--timeout", "long"], ["db"]])
def test_a_usage_error_is_two(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)

    assert caught.value.code == 2
    assert "usage: octoflow" in capsys.readouterr().err


@pytest.mark.parametrize(("flow", "code"), [("quick.yml", 0), ("fails.yml", 1), ("exits.yml", 3)])
def test_a_run_exits_as_its_flow_ended(data, flow, code):
    assert cli.main(["run", flow]) == code


def test_a_run_keeps_standard_output_for_the_result(data, capsys):
    assert cli.main(["run", "echo.yml", "--data", '{"a": "é"}', "--json"]) == 0

    printed = capsys.readouterr()
    assert json.loads(printed.out)["s"] == {"a": "é"}
    assert "s (jq)" in printed.err
    assert cli.main(["run", "echo.yml"]) == 0
    assert capsys.readouterr().out == ""


def test_a_runs_data_may_come_from_a_file(data, tmp_path, capsys):
    (tmp_path / "input.json").write_text('[1, "é"]', encoding="utf-8")

    cli.main(["run", "echo.yml", "--data", "@input.json", "--json"])

    assert json.loads(capsys.readouterr().out)["s"] == [1, "é"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "--data is not JSON"),
        ("NaN", "--data is not JSON"),
        ("[" * 100_000, "--data"),
        ("@nowhere.json", "--data @nowhere.json: the file cannot be read (No such file or directory)"),
        ("@binary", "--data"),
        ("@.", "the file cannot be read"),
    ],
)
def test_data_that_cannot_be_used_is_one_sentence(data, tmp_path, capsys, text, sentence):
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")

    assert cli.main(["run", "echo.yml", "--data", text]) == 1

    printed = capsys.readouterr()
    assert sentence in printed.err
    assert printed.err.startswith("octoflow: ")
    assert "Traceback" not in printed.err


def test_a_flow_outside_the_flows_folder_is_told_of(data, tmp_path, capsys):
    (tmp_path / "outside.yml").write_text(QUICK)

    assert cli.main(["run", "outside.yml"]) == 1

    assert f"outside.yml is not below FLOWS_PATH ({data}/flows)" in capsys.readouterr().err


def test_a_flow_may_be_named_by_its_whole_path(data):
    assert cli.main(["run", str(data / "flows" / "quick.yml")]) == 0


@pytest.mark.parametrize(
    "command",
    [
        ["documents", "list"],
        ["jobs", "list"],
        ["schedules", "list"],
        ["keys", "list"],
        ["audit"],
        ["forecast"],
        ["run", "quick.yml"],
    ],
)
@pytest.mark.parametrize(
    ("variable", "sentence"),
    [("DATA_PATH", "There is no data folder at {} (DATA_PATH)"), ("FLOWS_PATH", "There is no folder of flows at {}")],
)
def test_who_looks_at_a_folder_that_is_not_there_leaves_none_behind(
    data, tmp_path, monkeypatch, capsys, command, variable, sentence
):
    monkeypatch.setenv(variable, "typo")

    assert cli.main(command) == 1

    assert capsys.readouterr().err.startswith(f"octoflow: {sentence.format(tmp_path / 'typo')}")
    assert not (tmp_path / "typo").exists()


def test_no_data_folder_is_needed_where_the_database_is_elsewhere(data, monkeypatch, capsys):
    monkeypatch.setenv("JOBS_DB_PATH", str(data / "jobs.sqlite"))
    monkeypatch.setenv("DATA_PATH", "new")

    assert cli.main(["jobs", "list"]) == 0


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "", "\x1b[2J"])
def test_a_name_that_no_file_can_have_is_one_sentence(data, capsys, name):
    assert cli.main(["run", name]) == 1

    printed = capsys.readouterr().err
    assert printed.startswith("octoflow: ")
    assert printed.count("\n") == 1
    assert not {"\0", "\x1b"} & {*printed}


def test_what_a_job_logs_does_not_steer_the_terminal(data, capsys):
    debug = "name: d\nsteps:\n  - {name: s, type: debug, debug: {data_key: __input__, type: text}}\n"
    (data / "flows" / "debug.yml").write_text(debug)

    cli.main(["run", "debug.yml", "--data", '"\\u001b[2Jgone\\ud800"'])

    assert "\\x1b[2Jgone" in capsys.readouterr().err


def test_signals_are_handled_as_before_after_a_run(data):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

    cli.main(["run", "quick.yml"])
    cli.main(["run", "nowhere.yml"])

    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_run_stops_after_its_timeout(data, capsys):
    assert cli.main(["run", "slow.yml", "--timeout", "1"]) == 1

    assert "timed out after 1 seconds" in capsys.readouterr().err


def test_a_tick_prints_its_report(data, capsys):
    assert cli.main(["tick"]) == 0

    report = json.loads(capsys.readouterr().out)
    assert (report["swept"], report["dispatched"], report["errors"]) == (0, 0, [])


def test_a_tick_with_a_failed_stage_exits_with_one(data, capsys, monkeypatch):
    def broken(*_):
        raise RuntimeError("a fault")

    monkeypatch.setattr(JobStore, "sweep", broken)

    assert cli.main(["tick"]) == 1

    assert json.loads(capsys.readouterr().out)["errors"] == ["sweep: a fault"]


def test_an_upgrade_says_that_it_is_done(data, capsys):
    assert cli.main(["db", "upgrade"]) == 0

    assert capsys.readouterr().out == "The database is at this version.\n"


@pytest.mark.parametrize("command", [["tick"], ["db", "upgrade"], ["run", "quick.yml"]])
def test_a_damaged_database_is_one_sentence_for_every_command(data, capsys, command):
    (data / "jobs.sqlite").write_bytes(b"garbage " * 1000)

    assert cli.main(command) == 1

    printed = capsys.readouterr().err
    assert printed.startswith(f"octoflow: The database {data}/jobs.sqlite")
    assert printed.count("\n") == 1
