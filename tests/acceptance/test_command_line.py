"""`octoflow` from a shell: the same jobs, without HTTP."""

from __future__ import annotations

import json
import signal
import subprocess

import pytest
from certificates import self_signed
from peers import peer
from services import BIN, TOKEN, flow, until


@pytest.fixture
def octoflow(data):
    """Runs the command over the test's data folder."""

    def run(*arguments, **settings):
        environment = {"PATH": f"{BIN}:/usr/bin:/bin", "DATA_PATH": str(data), **settings}
        return subprocess.run(
            [BIN / "octoflow", *arguments], env=environment, capture_output=True, text=True, timeout=60, cwd=data.parent
        )

    return run


def test_run_prints_each_step_and_ends_with_zero(data, octoflow):
    flow(data, "hello.yml", "name: hello\nsteps:\n  - {name: greet, type: jinja, jinja: {template: 'Hi {{ who }}'}}\n")

    done = octoflow("run", "hello.yml", "--data", '{"who": "Ada"}', "--json")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["greet"] == "Hi Ada"
    assert "greet (jinja)" in done.stderr
    assert " ms " in done.stderr


@pytest.mark.parametrize(
    ("step", "code"),
    [
        ("{name: s, type: set_fact, set_fact: {value: 1}}", 0),
        ("{name: s, type: jq, jq: {expression: 'error(\"no\")'}}", 1),
        ("{name: s, type: exit, exit: {message: nothing to do}}", 3),
    ],
)
def test_the_exit_code_says_how_the_flow_ended(data, octoflow, step, code):
    flow(data, "f.yml", f"name: f\nsteps:\n  - {step}\n")

    assert octoflow("run", "f.yml").returncode == code


def test_a_run_is_a_job_in_the_table_like_any_other(data, octoflow, start):
    flow(data, "f.yml", "name: f\nsteps:\n  - {name: s, type: set_fact, set_fact: {value: 1}}\n")
    octoflow("run", "f.yml")
    service = start()

    jobs = service.get("/api/jobs").json()["jobs"]

    assert [(job["path"], job["status"], job["source"]) for job in jobs] == [("f.yml", "success", "cli")]


def test_a_file_named_from_the_current_folder_is_found(data, octoflow):
    flow(data, "f.yml", "name: f\nsteps:\n  - {name: s, type: set_fact, set_fact: {value: 1}}\n")

    assert octoflow("run", "data/flows/f.yml").returncode == 0


def test_flows_believe_the_certificates_that_a_setting_names(data, octoflow, tmp_path):
    context, certificate = self_signed(tmp_path)
    with peer(tls=context) as secure:
        flow(data, "f.yml", f"name: f\nsteps:\n  - {{name: s, type: rest, rest: {{uri: '{secure.url}'}}}}\n")

        assert octoflow("run", "f.yml", EGRESS_CACERT=str(certificate)).returncode == 0
        refused = octoflow("run", "f.yml")

    assert refused.returncode == 1
    assert "the TLS certificate is refused" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "settings", "sentence"),
    [
        (("run", "nope.yml"), {}, "nope.yml"),
        (("run", "../../etc/passwd"), {}, "passwd"),
        (("run", "f.yml", "--data", "{"), {}, "--data is not JSON"),
        (("run", "f.yml", "--data", "@missing.json"), {}, "missing.json"),
        (("run", "f.yml"), {"FLOW_MAX_WORKERS": "many"}, "FLOW_MAX_WORKERS='many' must be a whole number"),
        (("serve",), {"TIMEZONE": "Mars/Olympus"}, "TIMEZONE='Mars/Olympus' is not a time zone"),
        (("serve",), {"API_PORT": "abc"}, "API_PORT='abc' must be a whole number"),
    ],
)
def test_what_cannot_be_used_is_one_sentence_and_no_traceback(data, octoflow, arguments, settings, sentence):
    flow(data, "f.yml", "name: f\nsteps:\n  - {name: s, type: set_fact, set_fact: {value: 1}}\n")

    done = octoflow(*arguments, **settings)

    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_an_interrupted_run_stops_its_flow_and_runs_its_finally_step(data):
    flow(
        data,
        "slow.yml",
        "name: slow\nfinally_step: tidy\nsteps:\n  - {name: wait, type: sleep, sleep: {seconds: 60}}\n"
        "  - {name: tidy, type: file, file: {path: output/tidy.txt, mode: write, type: text, data_key: __job_id__}}\n",
    )
    environment = {"PATH": f"{BIN}:/usr/bin:/bin", "DATA_PATH": str(data)}
    process = subprocess.Popen(
        [BIN / "octoflow", "run", "slow.yml"], env=environment, stderr=subprocess.PIPE, text=True
    )
    until(lambda: list(data.glob("jobs.sqlite-wal")) and _step_runs(data))

    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)

    assert process.returncode == 1
    assert "cancelled" in errors
    assert (data / "output" / "tidy.txt").exists()


def _step_runs(data):
    import sqlite3

    with sqlite3.connect(data / "jobs.sqlite") as database:
        try:
            return database.execute("SELECT count(*) FROM steps").fetchone()[0]
        except sqlite3.OperationalError:
            return 0


def test_a_tick_without_a_service_closes_lost_jobs_and_runs_pending_ones(data, octoflow, start):
    flow(data, "slow.yml", "name: slow\nsteps:\n  - {name: wait, type: sleep, sleep: {seconds: 60}}\n")
    flow(data, "f.yml", "name: f\nsteps:\n  - {name: s, type: set_fact, set_fact: {value: 1}}\n")
    service = start(FLOW_MAX_WORKERS="1")
    lost = service.launch("slow.yml")
    service.running_step(lost, "wait")
    pending = service.launch("f.yml")
    service.kill()

    done = octoflow("tick")
    again = start()

    assert json.loads(done.stdout)["swept"] == 1
    assert again.job(lost)["reason"] == "worker_lost"
    assert again.job(pending)["status"] == "success"


def test_db_upgrade_may_be_run_any_number_of_times(octoflow):
    assert [octoflow("db", "upgrade").returncode for _ in range(2)] == [0, 0]


@pytest.mark.parametrize("way", ["service", "folder"])
def test_the_verbs_of_jobs_are_the_same_over_http_and_on_the_data_folder(data, octoflow, start, way):
    flow(
        data,
        "slow.yml",
        "name: slow\nsteps:\n  - {name: say, type: debug, debug: {data_key: __input__, type: text}}\n"
        "  - {name: wait, type: sleep, sleep: {seconds: 60}}\n",
    )
    service = start()
    where = {"OCTOFLOW_URL": service.url, "OCTOFLOW_TOKEN": TOKEN} if way == "service" else {}
    job = service.launch("slow.yml", "hello there")
    service.running_step(job, "wait")

    listed = octoflow("jobs", "list", "--state", "running", "--json", **where)
    shown = octoflow("jobs", "show", job, **where)
    early = octoflow("jobs", "delete", job, **where)
    cancelled = octoflow("jobs", "cancel", job, **where)
    followed = octoflow("jobs", "logs", job, "--follow", **where)
    after = octoflow("jobs", "list", **where)
    whole = octoflow("jobs", "show", job, "--json", **where)
    expected = service.job(job)
    deleted = octoflow("jobs", "delete", job, **where)
    gone = octoflow("jobs", "show", job, **where)

    assert [each["id"] for each in json.loads(listed.stdout)] == [job]
    assert "status:   running\n" in shown.stdout
    assert (early.returncode, early.stderr.count("\n")) == (1, 1)
    assert cancelled.stdout == f"The job {job} is stopping.\n"
    assert "hello there" in followed.stdout
    assert f"{job}  slow.yml  cancelled" in after.stdout
    assert json.loads(whole.stdout) == expected
    assert deleted.stdout == f"The job {job} is deleted.\n"
    assert (gone.returncode, gone.stderr) == (1, f"octoflow: There is no job '{job}'.\n")
    assert [done.returncode for done in (listed, shown, cancelled, followed, after, whole, deleted)] == [0] * 7


def test_both_ways_list_the_same(data, octoflow, start):
    flow(data, "f.yml", "name: f\nsteps:\n  - {name: s, type: set_fact, set_fact: {value: 1}}\n")
    service = start(TIMEZONE="Europe/Berlin")
    service.run("f.yml", {"a": 1})
    service.run("f.yml")

    over_http = octoflow("jobs", "list", "--json", OCTOFLOW_URL=service.url, API_TOKEN=TOKEN)
    on_the_folder = octoflow("jobs", "list", "--json", TIMEZONE="Europe/Berlin")

    assert json.loads(over_http.stdout) == json.loads(on_the_folder.stdout) == service.get("/api/jobs").json()["jobs"]


def test_a_wrong_token_and_a_dead_service_are_one_sentence(octoflow, start):
    service = start()
    refused = octoflow("jobs", "list", OCTOFLOW_URL=service.url, OCTOFLOW_TOKEN="wrong")
    service.stop()
    dead = octoflow("jobs", "list", OCTOFLOW_URL=service.url)

    assert refused.stderr.startswith(f"octoflow: The service at {service.url} refuses the token; set OCTOFLOW_TOKEN: ")
    assert dead.stderr == f"octoflow: The service at {service.url} cannot be reached: Connection refused.\n"
    assert (refused.returncode, dead.returncode) == (1, 1)


def test_a_reader_that_has_enough_is_no_error(data, octoflow):
    flow(data, "f.yml", "name: f\nsteps:\n  - {name: s, type: set_fact, set_fact: {value: 1}}\n")
    octoflow("run", "f.yml")
    environment = {"PATH": f"{BIN}:/usr/bin:/bin", "DATA_PATH": str(data)}

    with subprocess.Popen(
        [BIN / "octoflow", "jobs", "list"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        errors = process.stderr.read()

    assert errors == b""


def test_validate_says_what_is_wrong_before_anybody_launches_it(data, octoflow):
    flow(data, "good.yml", "name: good\nsteps:\n  - {name: s, type: set_fact, set_fact: {value: 1}}\n")
    flow(data, "bad.yml", "name: bad\nsteps:\n  - {name: s, type: set_fact, set_fact: {valeu: 1}}\n")

    good, bad, usage = (
        octoflow("validate", "good.yml"),
        octoflow("validate", "data/flows"),
        octoflow("validate", "no.yml"),
    )

    assert [done.returncode for done in (good, bad, usage)] == [0, 1, 2]
    assert "data/flows/bad.yml:3:" in bad.stdout
    assert "did you mean 'value'?" in bad.stdout
    assert not list(data.glob("jobs.sqlite*"))


def test_config_shows_what_would_be_used(octoflow):
    done = octoflow("config", API_TOKEN=TOKEN, GRACE_SECONDS="3")

    assert done.returncode == 0
    assert any(line.split()[:3] == ["GRACE_SECONDS", "3", "GRACE_SECONDS"] for line in done.stdout.splitlines())
    assert TOKEN not in done.stdout


@pytest.mark.parametrize("is_remote", [True, False])
def test_a_launch_waits_for_the_job_that_a_service_runs_and_a_repeat_is_that_job(data, octoflow, start, is_remote):
    flow(data, "f.yml", "name: f\nsteps:\n  - {name: s, type: set_fact, set_fact: {value: 1}}\n")
    service = start()
    place = {"OCTOFLOW_URL": service.url, "OCTOFLOW_TOKEN": TOKEN} if is_remote else {}

    ends = [octoflow("jobs", "launch", "f.yml", "--wait", "--json", "--idempotency-key", "k", **place) for _ in "12"]

    assert [end.returncode for end in ends] == [0, 0], ends[0].stderr
    [id] = {json.loads(end.stdout)["id"] for end in ends}
    assert [job["id"] for job in service.get("/api/jobs").json()["jobs"]] == [id]
