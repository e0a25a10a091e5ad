"""`octoflow schedules` and `octoflow forecast` without a shell: on the data folder, and at a service."""

from __future__ import annotations

import json

import pytest
from fake_schedules import a_schedule
from fixed_answers import Answer, peer
from flows import QUICK
from shells import data_folder, octoflow, refused_octoflow

from engine import cli
from engine.models.schedule_view import schedule_json
from engine.settings import Settings

TOKEN = "canary-token-5b1c"


@pytest.fixture
def data(tmp_path, monkeypatch):
    return data_folder(tmp_path, monkeypatch, {"quick.yml": QUICK})


def schedules(capsys, *arguments):
    return octoflow(capsys, "schedules", *arguments)


def as_json(capsys, *arguments):
    return json.loads(schedules(capsys, *arguments, "--json"))


# On the data folder


def test_a_schedule_is_added_with_all_that_can_be_said(data, capsys):
    id = as_json(
        capsys, "add", "quick.yml", "--cron", "0 6 * * mon-fri", "--timezone", "Europe/Berlin", "--overlap", "queue",
        "--misfire", "skip", "--grace", "60", "--timeout", "2.5", "--data", '{"n": 1}',
    )["schedule_id"]  # fmt: skip

    shown = as_json(capsys, "show", id)

    assert (shown["path"], shown["cron"], shown["timezone"]) == ("quick.yml", "0 6 * * mon-fri", "Europe/Berlin")
    assert (shown["overlap"], shown["misfire"], shown["misfire_grace_seconds"]) == ("queue", "skip", 60)
    assert (shown["timeout_seconds"], shown["data"], shown["state"]) == (2.5, {"n": 1}, "active")


def test_a_flow_may_be_named_by_where_it_lies(data, capsys, monkeypatch):
    monkeypatch.chdir(data)

    id = as_json(capsys, "add", "flows/quick.yml", "--every", "60")["schedule_id"]

    assert as_json(capsys, "show", id)["path"] == "quick.yml"


def test_a_list_is_a_table_oldest_first(data, capsys):
    told = schedules(capsys, "add", "quick.yml", "--every", "60")
    second = as_json(capsys, "add", "quick.yml", "--cron", "@daily", "--timezone", "Asia/Tokyo")["schedule_id"]

    lines = schedules(capsys, "list").splitlines()

    assert lines[0].split() == ["ID", "FLOW", "TIMES", "STATE", "NEXT", "RUN", "LAST"]
    assert lines[1].split()[1:6] == ["quick.yml", "every", "60", "s", "active"]
    assert told == f"The schedule {lines[1].split()[0]} of quick.yml is made.\n"
    assert lines[2].split()[:4] == [second, "quick.yml", "@daily", "(Asia/Tokyo)"]
    assert [row["schedule_id"] for row in as_json(capsys, "list", "--limit", "1")] == [lines[1].split()[0]]
    assert as_json(capsys, "list", "--path", "other.yml") == []


def test_a_schedule_is_shown_line_by_line(data, capsys):
    id = as_json(capsys, "add", "quick.yml", "--every", "60", "--grace", "7", "--data", "[1]")["schedule_id"]

    lines = dict(line.split(":", 1) for line in schedules(capsys, "show", id).splitlines())

    assert lines["schedule"].strip() == id
    assert lines["times"].strip() == "every 60 s"
    assert lines["misfire"].strip() == "latest, up to 7 s late"
    assert lines["data"].strip() == "[1]"
    assert lines["made"].endswith("by api")
    assert "error" not in lines


def test_a_schedule_is_paused_resumed_and_deleted(data, capsys):
    id = as_json(capsys, "add", "quick.yml", "--every", "3600")["schedule_id"]

    paused = schedules(capsys, "pause", id)
    resumed = schedules(capsys, "resume", id)
    deleted = as_json(capsys, "delete", id)

    assert paused == f"The schedule {id} of quick.yml is paused.\n"
    assert resumed.startswith(f"The schedule {id} of quick.yml is active; its next run is at 20")
    assert deleted == {"schedule_id": id, "deleted": True}
    assert id in refused_octoflow(capsys, "schedules", "show", id)


def test_slots_tell_what_became_of_due_times(data, capsys):
    id = as_json(capsys, "add", "quick.yml", "--every", "1")["schedule_id"]
    schedules(capsys, "pause", id)

    assert schedules(capsys, "slots", id) == "DUE  COUNT  VERDICT  JOB  REASON\n"
    assert as_json(capsys, "slots", id) == []


def test_a_forecast_is_a_table_and_its_warnings_are_said_beside_it(data, capsys):
    schedules(capsys, "add", "quick.yml", "--every", "1800")

    lines = octoflow(capsys, "forecast", "--hours", "2").splitlines()
    whole = json.loads(octoflow(capsys, "forecast", "--json", "--limit", "3"))

    assert lines[0].split() == ["TIME", "FLOW", "LOCAL", "TIME", "ZONE"]
    assert [line.split()[2] for line in lines[1:]] == ["quick.yml"] * 4
    assert {*whole} == {"runs", "warnings", "truncated"}
    assert [run["path"] for run in whole["runs"]] == ["quick.yml"] * 3
    assert whole["truncated"] is True


def test_a_flow_that_runs_often_hides_no_other_in_a_forecast_of_one_flow(data, capsys):
    (data / "flows" / "slow.yml").write_text(QUICK)
    schedules(capsys, "add", "quick.yml", "--every", "60")
    schedules(capsys, "add", "slow.yml", "--every", "3600")

    lines = octoflow(capsys, "forecast", "--limit", "2", "--hours", "2.5", "--path", "slow.yml").splitlines()

    assert [line.split()[2] for line in lines[1:]] == ["slow.yml"] * 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--limit", "2"], "These are the first 2; --limit shows up to 5000, --path shows those of one flow.\n"),
        (["--limit", "2", "--path", "quick.yml"], "These are the first 2; --limit shows up to 5000.\n"),
        (["--limit", "5000"], "These are the first 5000; --path shows those of one flow.\n"),
        (["--limit", "5000", "--path", "quick.yml"], "These are the first 5000.\n"),
    ],
)
def test_a_forecast_that_is_cut_says_how_to_see_the_rest(data, capsys, arguments, sentence):
    schedules(capsys, "add", "quick.yml", "--every", "10")

    code = cli.main(["forecast", *arguments])

    assert (code, capsys.readouterr().err) == (0, sentence)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["add", "quick.yml", "--cron", "61 * * * *"], "61"),
        (["add", "quick.yml", "--cron", "0 0 30 2 *"], "never due"),
        (["add", "quick.yml", "--every", "0"], "octoflow: --every must be"),
        (["add", "quick.yml", "--every", "60", "--timezone", "Mars/Phobos"], "Europe/Berlin, not 'Mars/Phobos'"),
        (["add", "quick.yml", "--every", "60", "--data", "{"], "--data is not JSON"),
        (["add", "nothing.yml", "--every", "60"], "There is no flow 'nothing.yml'"),
        (["show", "nothing"], "There is no schedule 'nothing'"),
        (["slots", "nothing"], "There is no schedule 'nothing'"),
        (["pause", "nothing"], "There is no schedule 'nothing'"),
        (["resume", "nothing"], "There is no schedule 'nothing'"),
        (["delete", "nothing"], "There is no schedule 'nothing'"),
        (["delete", "\x1b[2J"], "There is no schedule"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(data, capsys, arguments, words):
    assert words in refused_octoflow(capsys, "schedules", *arguments)


def test_the_same_schedule_twice_is_refused_with_the_one_there_is(data, capsys):
    id = as_json(capsys, "add", "quick.yml", "--every", "60")["schedule_id"]

    assert id in refused_octoflow(capsys, "schedules", "add", "quick.yml", "--every", "60")


@pytest.mark.parametrize(
    "arguments",
    [
        ["schedules"],
        ["schedules", "add", "quick.yml"],
        ["schedules", "add", "quick.yml", "--cron", "@daily", "--every", "60"],
        ["schedules", "add", "quick.yml", "--every", "1.5"],
        ["schedules", "add", "--every", "60"],
        ["schedules", "add", "quick.yml", "--every", "60", "--overlap", "both"],
        ["schedules", "list", "--limit", "0"],
        ["schedules", "list", "--limit", "501"],
        ["schedules", "show"],
        ["forecast", "--hours", "0"],
        ["forecast", "--hours", "nan"],
        ["forecast", "--hours", "8785"],
        ["forecast", "--limit", "0"],
        ["forecast", "--limit", "5001"],
    ],
)
def test_usage_errors_are_two(data, capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)

    assert caught.value.code == 2
    assert f"usage: octoflow {arguments[0]}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--hours", "x"], "argument --hours: must be a number above 0 and at most 8784, not 'x'"),
        (["--limit", "x"], "argument --limit: must be a whole number from 1 to 5000, not 'x'"),
    ],
)
def test_a_number_that_is_none_is_told_what_it_must_be(data, capsys, arguments, words):
    with pytest.raises(SystemExit):
        cli.main(["forecast", *arguments])

    assert words in capsys.readouterr().err


# At a service

SCHEDULE = schedule_json(a_schedule(), Settings().timezone)
ANY = Answer(
    200,
    json.dumps(
        {
            **SCHEDULE,
            "schedules": [SCHEDULE],
            "slots": [],
            "runs": [],
            "warnings": [],
            "truncated": False,
            "deleted": True,
        }
    ).encode(),
)


@pytest.mark.parametrize(
    ("arguments", "method", "place"),
    [
        (["schedules", "list"], "GET", "/api/schedules?limit=50"),
        (["schedules", "list", "--path", "a b.yml", "--limit", "3"], "GET", "/api/schedules?limit=3&path=a+b.yml"),
        (["schedules", "show", "s-1"], "GET", "/api/schedules/s-1"),
        (["schedules", "slots", "s-1", "--limit", "3"], "GET", "/api/schedules/s-1/slots?limit=3"),
        (["schedules", "add", "a.yml", "--every", "60"], "POST", "/api/schedules"),
        (["schedules", "pause", "s-1"], "POST", "/api/schedules/s-1/pause"),
        (["schedules", "resume", "s-1"], "POST", "/api/schedules/s-1/resume"),
        (["schedules", "delete", "s-1"], "DELETE", "/api/schedules/s-1"),
        (["forecast", "--hours", "1.5"], "GET", "/api/schedules/forecast?hours=1.5&limit=500"),
        (["forecast", "--path", "a.yml"], "GET", "/api/schedules/forecast?hours=24.0&limit=500&path=a.yml"),
    ],
)
def test_each_verb_asks_the_service_for_its_operation(data, capsys, monkeypatch, arguments, method, place):
    with peer(ANY) as (url, asked):
        monkeypatch.setenv("OCTOFLOW_URL", url)
        monkeypatch.setenv("OCTOFLOW_TOKEN", TOKEN)

        octoflow(capsys, *arguments)

    assert [(each.method, each.path) for each in asked] == [(method, place)]
    assert asked[0].authorization == f"Bearer {TOKEN}"


def test_the_service_is_given_what_was_said_and_no_more(data, capsys, monkeypatch):
    with peer(ANY) as (url, asked):
        monkeypatch.setenv("OCTOFLOW_URL", url)

        told = schedules(capsys, "add", "a.yml", "--cron", "@daily", "--overlap", "queue", "--data", '{"n": 1}')

    assert json.loads(asked[0].body) == {"path": "a.yml", "cron": "@daily", "overlap": "queue", "data": {"n": 1}}
    assert told == "The schedule schedule-1 of a.yml is made.\n"


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (Answer(401, b'{"error": "No."}'), "refuses the token; set OCTOFLOW_TOKEN: No."),
        (Answer(404, b'{"error": "There is no schedule."}'), "octoflow: There is no schedule."),
        (Answer(409, b'{"error": "It is there."}'), "octoflow: It is there."),
        (Answer(200, b"{}"), "is no Octoflow"),
        (Answer(500, b"<html>"), "(500) is no Octoflow"),
    ],
)
@pytest.mark.parametrize(
    "arguments", [["schedules", "list"], ["schedules", "add", "a.yml", "--every", "5"], ["forecast"]]
)
def test_whatever_a_service_answers_is_one_sentence(data, capsys, monkeypatch, answer, sentence, arguments):
    with peer(answer) as (url, _):
        monkeypatch.setenv("OCTOFLOW_URL", url)

        assert sentence in refused_octoflow(capsys, *arguments)


@pytest.mark.parametrize("id", [".", "..", "", "a/b", "a?b", "forecast"])
def test_an_id_leads_nowhere_else(data, capsys, monkeypatch, id):
    with peer(ANY) as (url, asked):
        monkeypatch.setenv("OCTOFLOW_URL", url)

        assert "There is no schedule" in refused_octoflow(capsys, "schedules", "show", id)

    assert asked == []
