"""`octoflow jobs launch` without a shell: on the data folder, and against a service."""

from __future__ import annotations

import json

import pytest
from fixed_answers import Answer, peer
from flows import QUICK, SLOW
from shells import data_folder

from engine import cli
from engine.cli import clients
from engine.errors import DocumentInvalid
from engine.models.audit import AuditFilter
from engine.models.job import JobFilter, Source
from engine.orchestrator import Orchestrator
from engine.settings import Settings

FAILING = "name: failing\nsteps:\n  - {name: no, type: jq, jq: {expression: 'error(\"no\")'}}\n"
LEAVING = "name: leaving\nsteps:\n  - {name: out, type: exit, exit: {message: nothing to do}}\n"
KEY = ("--idempotency-key", "order-1")


@pytest.fixture
def data(tmp_path, monkeypatch):
    flows = {"quick.yml": QUICK, "slow.yml": SLOW, "failing.yml": FAILING, "leaving.yml": LEAVING}
    return data_folder(tmp_path, monkeypatch, flows)


@pytest.fixture
def engine(data):
    engine = Orchestrator(Settings.from_environment())
    engine.start()
    yield engine
    engine.close()


@pytest.fixture
def launch(capsys):
    def launch(*arguments):
        return cli.main(["jobs", "launch", *arguments]), capsys.readouterr()

    return launch


def waiting_job(launch, *arguments):
    """The id of a job that nobody here runs."""
    code, printed = launch("quick.yml", "--json", *arguments)
    assert code == 0, printed.err
    return json.loads(printed.out)["job_id"]


# On the data folder


@pytest.mark.parametrize(("path", "code"), [("quick.yml", 0), ("failing.yml", 1), ("leaving.yml", 3)])
def test_who_waits_is_shown_the_job_and_its_end_is_the_exit_code(engine, launch, path, code):
    assert launch(path, "--wait")[0] == code

    [job] = engine.jobs(JobFilter())
    assert (job.path, job.source) == (path, Source.CLI)


def test_who_does_not_wait_is_told_the_id(data, launch):
    code, printed = launch("quick.yml")

    assert code == 0
    with_engine = Orchestrator(Settings.from_environment())
    [job] = with_engine.jobs(JobFilter())
    with_engine.close()
    assert printed.out == f"The job {job.id} is launched.\n"


def test_a_job_that_does_not_end_in_time_goes_on_and_the_exit_code_is_four(data, launch):
    code, printed = launch("slow.yml", "--wait", "0.05")

    assert code == 4
    assert "has not ended within 0.05 seconds; it goes on" in printed.err


def test_a_repeat_under_a_key_is_the_first_job(data, launch):
    first = waiting_job(launch, *KEY)

    assert waiting_job(launch, *KEY) == first
    code, printed = launch("quick.yml", "--data", "1", *KEY)
    assert code == 1
    assert "Idempotency-Key was used for another request" in printed.err


def test_a_launch_is_in_the_audit_once(engine, launch):
    for _ in range(2):
        assert launch("quick.yml", "--wait", *KEY)[0] == 0

    [row] = engine.audit(AuditFilter())
    assert (row.change.action, row.change.target) == ("launch_job", "quick.yml")
    assert row.change.actor.startswith("cli:")


def test_what_cannot_be_launched_is_one_sentence(data, launch):
    code, printed = launch("nothing.yml", "--wait")

    assert (code, printed.out, printed.err.count("\n")) == (1, "", 1)


# What cannot be launched, here and at a service alike

TWO_FAULTS = "name: two\nsteps:\n  - {name: a, type: jqq}\n  - {name: b, type: sleep, sleep: {second: 1}}\n"
RUNNING = json.dumps({"error": "A job runs.", "code": "flow_running", "job_id": "id-1"}).encode()
ODD_DETAILS = json.dumps(
    {"error": "It has faults.", "code": "document_invalid", "path": "a.yml", "details": ["odd", {"message": 1}]}
).encode()


@pytest.mark.parametrize("command", [("jobs", "launch"), ("schedules", "add", "--every", "60")])
def test_every_problem_of_a_document_is_told_with_its_way_out(data, capsys, monkeypatch, command):
    (data / "flows" / "two.yml").write_text(TWO_FAULTS)
    assert cli.main([*command, "two.yml"]) == 1
    here = capsys.readouterr().err
    refusal = document_refused(data, "two.yml")
    with peer(Answer(400, refusal)) as (url, _):
        monkeypatch.setenv("OCTOFLOW_URL", url)

        assert cli.main([*command, "two.yml"]) == 1

    assert [line.split("step ")[0] for line in here.splitlines()] == [
        "octoflow: two.yml, line 3: ",
        "octoflow: two.yml, line 4: ",
        "octoflow: two.yml, line 4: ",
    ]
    assert "(did you mean 'jq'?)" in here
    assert capsys.readouterr().err == here


def document_refused(data, path):
    """What the API answers to a launch of a document with problems."""
    engine = Orchestrator(Settings.from_environment())
    with pytest.raises(DocumentInvalid) as caught:
        engine.launch(path)
    engine.close()
    error = caught.value
    return json.dumps({**error.fields, "error": str(error), "code": error.code, "details": error.details}).encode()


def test_who_finds_the_flow_running_is_told_the_job_and_what_to_do(data, launch, monkeypatch):
    id = waiting_job(launch)
    here = launch("quick.yml")
    with peer(Answer(409, RUNNING)) as (url, _):
        monkeypatch.setenv("OCTOFLOW_URL", url)
        there = launch("quick.yml")

    for (code, printed), job in ((here, id), (there, "id-1")):
        assert code == 1
        assert printed.err == (
            f"octoflow: A job for this flow is already running. It is job {job}: wait for its end, or stop it with "
            f"`octoflow jobs cancel {job}`.\n"
        )


def test_details_that_are_no_problems_leave_the_sentence(data, launch, monkeypatch):
    with peer(Answer(400, ODD_DETAILS)) as (url, _):
        monkeypatch.setenv("OCTOFLOW_URL", url)

        assert launch("a.yml")[1].err == "octoflow: It has faults.\n"


@pytest.mark.parametrize("command", [("jobs", "launch"), ("run",)])
def test_a_timeout_that_cannot_be_used_is_named_as_it_is_typed(data, capsys, command):
    assert cli.main([*command, "quick.yml", "--timeout", "0"]) == 1

    assert capsys.readouterr().err == "octoflow: --timeout must be from 1 to 2592000.\n"


@pytest.mark.parametrize("command", [("jobs", "launch"), ("run",), ("schedules", "add", "--every", "60")])
@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "soon"])
def test_a_timeout_that_is_no_number_is_a_usage_error(data, capsys, command, number):
    with pytest.raises(SystemExit) as caught:
        cli.main([*command, "quick.yml", f"--timeout={number}"])

    assert caught.value.code == 2
    assert f"argument --timeout: must be a number, not '{number}'" in capsys.readouterr().err


# At a service


def test_the_service_is_asked_once_with_the_body_of_the_api(data, launch, monkeypatch):
    with peer(Answer(202, b'{"job_id": "id-1"}')) as (url, asked):
        monkeypatch.setenv("OCTOFLOW_URL", url)

        code, printed = launch("a.yml", "--data", '{"n": 1}', "--timeout", "5", "--priority", "-2")

    assert (code, printed.out) == (0, "The job id-1 is launched.\n")
    [(method, path, _, body)] = asked
    assert (method, path) == ("POST", "/api/jobs")
    assert json.loads(body) == {"path": "a.yml", "data": {"n": 1}, "timeout_seconds": 5.0, "priority": -2}


@pytest.mark.parametrize(
    ("key", "seconds", "headers"),
    [
        (None, 0, {}),
        ("k", 0, {"Idempotency-Key": "k"}),
        ("k", 20, {"Idempotency-Key": "k", "Prefer": "wait=20"}),
    ],
)
def test_the_wishes_go_into_headers(key, seconds, headers):
    class Service:
        def ask(self, *_, headers, wait_seconds, **__):
            return {"headers": headers, "wait_seconds": wait_seconds}

    assert clients.ServiceClient(Service()).launch({}, key, seconds) == {"headers": headers, "wait_seconds": seconds}
