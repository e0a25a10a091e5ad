"""`octoflow jobs` without a shell: on the data folder, and against services that answer as no service should."""

from __future__ import annotations

import json
import re
import socket
import sys

import pytest
from fixed_answers import Answer, peer
from flows import QUICK
from shells import data_folder, octoflow, refused_octoflow

from engine import cli
from engine.orchestrator import Orchestrator
from engine.settings import Settings

NOISY = (
    "name: noisy\nsteps:\n  - {name: say, type: debug, debug: {data_key: __input__, type: text}}\n"
    "  - {name: fail, type: jq, jq: {expression: 'error(.__input__)'}}\n"
)
TOKEN = "canary-token-5b1c"


@pytest.fixture
def data(tmp_path, monkeypatch):
    return data_folder(tmp_path, monkeypatch, {"quick.yml": QUICK, "noisy.yml": NOISY})


@pytest.fixture
def run(data, capsys):
    """Runs a flow on the data folder; its job's id."""

    def run_flow(*arguments):
        cli.main(["run", *arguments])
        told = capsys.readouterr().err
        return told.split("job ", 1)[1].split(":")[0]

    return run_flow


def jobs(capsys, *arguments):
    return octoflow(capsys, "jobs", *arguments)


def refused(capsys, *arguments):
    return refused_octoflow(capsys, "jobs", *arguments)


def test_a_list_is_a_table_newest_first(run, capsys):
    first, second = run("quick.yml"), run("noisy.yml", "--data", '"oh\\u001b[2J\\nno"')

    lines = jobs(capsys, "list").splitlines()

    assert lines[0].split() == ["ID", "FLOW", "STATUS", "STARTED", "SECONDS", "MESSAGE"]
    assert lines[1].split()[:3] == [second, "noisy.yml", "failed"]
    assert lines[2].split()[:3] == [first, "quick.yml", "success"]
    assert "oh\\x1b[2J; no" in lines[1]
    assert lines[1].index("failed") == lines[2].index("success") == lines[0].index("STATUS")


def test_a_table_is_cut_to_the_terminals_width(run, capsys, monkeypatch):
    run("noisy.yml", "--data", json.dumps("long " * 200))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "72")

    lines = jobs(capsys, "list").splitlines()

    assert [len(line) <= 72 for line in lines] == [True, True]
    assert lines[1].endswith("…")


def test_filters_choose(run, capsys):
    quick, noisy = run("quick.yml"), run("noisy.yml")

    def ids(*filters):
        return [job["id"] for job in json.loads(jobs(capsys, "list", "--json", *filters))]

    assert ids() == [noisy, quick]
    assert ids("--status", "failed") == [noisy]
    assert ids("--state", "running") == []
    assert ids("--path", "quick.yml") == [quick]
    assert ids("--limit", "1") == [noisy]
    assert ids("--since", "2 hours ago") == [noisy, quick]
    assert ids("--since", "tomorrow") == []


def test_a_job_is_shown_with_its_steps(run, capsys):
    job = run("noisy.yml", "--data", '"no"')

    shown = jobs(capsys, "show", job)
    whole = json.loads(jobs(capsys, "show", job, "--json"))

    assert f"job:      {job}\n" in shown
    assert "status:   failed, step_error\n" in shown
    assert [line.split()[:3] for line in shown.splitlines()[-2:]] == [
        ["say", "debug", "success"],
        ["fail", "jq", "failed"],
    ]
    assert (whole["data"], whole["status"]) == ("no", "failed")
    assert [step["name"] for step in whole["steps"]] == ["say", "fail"]


def test_logs_keep_their_lines_and_lose_what_steers_a_terminal(run, capsys):
    job = run("noisy.yml", "--data", '"one\\ntwo\\u001b[2J"')

    printed = jobs(capsys, "logs", job)
    lines = [json.loads(line) for line in jobs(capsys, "logs", job, "--json").splitlines()]

    assert "one\ntwo\\x1b[2J\n" in printed
    assert {*lines[0]} == {"time", "level", "step", "message"}
    assert any("two\x1b[2J" in line["message"] for line in lines)


def test_times_carry_their_offset(run, capsys, monkeypatch):
    monkeypatch.setenv("TIMEZONE", "Asia/Tokyo")
    job = run("noisy.yml", "--data", '"x"')

    for command in (["list"], ["show", job], ["logs", job]):
        assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+09:00 ?", jobs(capsys, *command))


def test_a_job_that_has_logged_nothing_is_told_of(run, capsys):
    job = run("quick.yml")

    assert cli.main(["jobs", "logs", job]) == 0

    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", f"The job {job} has logged nothing.\n")


def test_following_ends_with_the_job(run, capsys):
    job = run("noisy.yml", "--data", '"x"')

    assert jobs(capsys, "logs", job, "--follow") == jobs(capsys, "logs", job)


def test_more_lines_than_a_page_are_all_told(data, run, capsys, monkeypatch):
    loop = "name: many\nsteps:\n  - {name: each, type: flow_loop, flow_loop: {path: one.yml, data_key: __input__}}\n"
    (data / "flows" / "many.yml").write_text(loop)
    (data / "flows" / "one.yml").write_text(NOISY.split("  - {name: fail")[0])
    job = run("many.yml", "--data", json.dumps([str(number) for number in range(12)]))
    whole = jobs(capsys, "logs", job)
    monkeypatch.setattr("engine.cli.clients.LOG_PAGE", 5)

    assert len(whole.splitlines()) >= 12
    assert jobs(capsys, "logs", job) == jobs(capsys, "logs", job, "-f") == whole


def test_a_pending_job_is_cancelled_and_deleted(data, capsys):
    engine = Orchestrator(Settings(data_path=data, flow_max_workers=1))
    engine._executor.start = lambda: None
    job = engine.launch("quick.yml")
    engine.close()

    assert "finished" in jobs(capsys, "cancel", job)
    assert "there is nothing to cancel" in refused(capsys, "cancel", job)
    assert json.loads(jobs(capsys, "delete", job, "--json")) == {"deleted": 1}
    assert job in refused(capsys, "show", job)


def test_a_follower_who_has_seen_enough_leaves_without_a_traceback(run, capsys, monkeypatch):
    job = run("quick.yml")

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Orchestrator, "logs", interrupted)

    assert cli.main(["jobs", "logs", job, "--follow"]) == 130
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("verb", ["show", "logs", "cancel", "delete"])
@pytest.mark.parametrize("id", ["nothing", "..", "", "a/b", "\x1b[2J"])
def test_an_id_that_is_none_is_one_sentence(data, capsys, verb, id):
    assert "There is no job" in refused(capsys, verb, id)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["list", "--state", "gone"],
        ["list", "--status", "ok"],
        ["list", "--limit", "0"],
        ["list", "--limit", "501"],
        ["list", "--limit", "many"],
        ["show"],
        ["launch"],
        ["launch", "quick.yml", "--wait", "0"],
        ["launch", "quick.yml", "--wait", "inf"],
        ["launch", "quick.yml", "--wait", "nan"],
        ["launch", "quick.yml", "--idempotency-key", "a b"],
        ["launch", "quick.yml", "--idempotency-key", "k" * 256],
    ],
)
def test_usage_errors_are_two(data, capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        cli.main(["jobs", *arguments])

    assert caught.value.code == 2
    assert "usage: octoflow jobs" in capsys.readouterr().err


def test_a_time_that_is_none_is_one_sentence(data, capsys):
    assert "--since 'whenever' is not a time" in refused(capsys, "list", "--since", "whenever")


# Over HTTP


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (Answer(401, b'{"error": "No.", "code": "unauthenticated"}'), "refuses the token; set OCTOFLOW_TOKEN: No."),
        (Answer(403, b'{"error": "Not your role.", "code": "forbidden"}'), "octoflow: Not your role."),
        (Answer(404, b'{"error": "There is no job.", "code": "job_not_found"}'), "octoflow: There is no job."),
        (Answer(409, b'{"error": "It has ended.", "code": "job_ended"}'), "octoflow: It has ended."),
        (Answer(503, b'{"error": "Later.", "code": "draining"}'), "answers 503: Later."),
        (Answer(500, b"<html>"), "(500) is no Octoflow; look at OCTOFLOW_URL."),
        (Answer(200, b"<html>"), "(200) is no Octoflow; look at OCTOFLOW_URL."),
        (Answer(200, b"[]"), "is no Octoflow"),
        (Answer(200, b"{}"), "is no Octoflow"),
        (Answer(200, b"[" * 100_000), "is no Octoflow"),
        (Answer(302, b"", {"Location": "http://127.0.0.1:1/stolen"}), "(302) is no Octoflow"),
        (Answer(400, b'{"error": "\\u001b[2Jgone"}'), "octoflow: \\x1b[2Jgone"),
    ],
)
@pytest.mark.parametrize("arguments", [["list"], ["show", "id-1"], ["cancel", "id-1"], ["launch", "a.yml", "--wait"]])
def test_whatever_a_service_answers_is_one_sentence(data, capsys, monkeypatch, answer, sentence, arguments):
    with peer(answer) as (url, asked):
        monkeypatch.setenv("OCTOFLOW_URL", url)
        monkeypatch.setenv("OCTOFLOW_TOKEN", TOKEN)

        told = refused(capsys, *arguments)

    assert sentence in told
    assert TOKEN not in told
    assert len(asked) == 1
    assert asked[0][2] == f"Bearer {TOKEN}"


def test_the_apis_token_is_shown_when_there_is_no_other(data, capsys, monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login thief password thief\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    with peer(Answer(200, b'{"jobs": []}')) as (url, asked):
        monkeypatch.setenv("OCTOFLOW_URL", f"{url}/prefix/")
        monkeypatch.setenv("API_TOKEN", "töken")

        jobs(capsys, "list", "--status", "failed", "--since", "2 hours ago")

    [(method, path, authorization, _)] = asked
    assert (method, path) == ("GET", "/prefix/api/jobs?status=failed&start_time_from=2+hours+ago&limit=50")
    assert authorization.encode("latin-1").decode() == "Bearer töken"


@pytest.mark.parametrize("id", [".", "..", "", "a?b", "a/../b", "é", "a\n"])
def test_an_id_leads_nowhere_else(data, capsys, monkeypatch, id):
    with peer(Answer(200, b'{"deleted": 1}')) as (url, asked):
        monkeypatch.setenv("OCTOFLOW_URL", url)

        assert "There is no job" in refused(capsys, "delete", id)

    assert asked == []


def test_a_service_that_is_not_there_is_one_sentence(data, capsys, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else can take it
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("OCTOFLOW_URL", url)

        assert refused(capsys, "list") == f"octoflow: The service at {url} cannot be reached: Connection refused.\n"


def test_a_service_without_tls_where_tls_is_expected_is_one_sentence(data, capsys, monkeypatch):
    with peer(Answer(200, b"{}")) as (url, _):
        monkeypatch.setenv("OCTOFLOW_URL", url.replace("http:", "https:"))

        assert "cannot be reached: " in refused(capsys, "list")


@pytest.mark.parametrize("url", ["http://[x", "http://a..b", f"http://{'x' * 70}.invalid", "http://127.0.0.1:99999"])
def test_a_url_that_leads_nowhere_is_one_sentence(data, capsys, monkeypatch, url):
    monkeypatch.setenv("OCTOFLOW_URL", url)

    assert "cannot be reached: " in refused(capsys, "list")


@pytest.mark.parametrize(
    "url", ["localhost:5000", "ftp://host", "http://", "http://user:pass@host", "http://host/?a=b"]
)
def test_a_url_that_is_none_names_its_variable(data, capsys, monkeypatch, url):
    monkeypatch.setenv("OCTOFLOW_URL", url)

    assert "OCTOFLOW_URL=" in refused(capsys, "list")


def test_a_token_of_two_lines_is_refused_without_being_shown(data, capsys, monkeypatch):
    monkeypatch.setenv("OCTOFLOW_TOKEN", f"{TOKEN}\nEvil: yes")

    told = refused(capsys, "list")

    assert "OCTOFLOW_TOKEN must be one line" in told
    assert TOKEN not in told
