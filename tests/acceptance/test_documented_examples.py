"""Every example of the documents runs as it is printed, against a peer that plays its hosts.

`examples/printed` holds the YAML blocks as they stand there, `examples/curls.yml` the commands. A step that is printed
alone runs behind the steps that make the data it names. `examples/options` has a flow for each step type that gives
every option of it once, and what comes of it. The older document prints no commands for its endpoints, only one body.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest
import requests
import yaml
from services import BIN, TOKEN, Service, answers, free_port, until
from stub_peer import ISSUES, TICKETS, VAULT_TOKEN, StubPeer, stub_peer

from engine.checking.structure import check_flow
from engine.clock import id_floor
from engine.secrets.file import SecretFile
from engine.steps import step_types

EXAMPLES = Path(__file__).parent / "examples"
CURLS = yaml.safe_load((EXAMPLES / "curls.yml").read_text())
OPTION_FLOWS = sorted(path.stem for path in (EXAMPLES / "options").glob("*.yml") if ".expected" not in path.name)
LAUNCHED = {
    "go": True,
    "n": 2,
    "list": [{"a": 1}, {"a": 2}],
    "quote": 'say "hi"',
    "target": "there",
    "book": {"owner": "Ada", "numbers": [3, 5]},
}
"""What the flows of `examples/options` are launched with."""
MISSING = "nothing is there"

GET_TICKETS = """
- name: tickets
  type: rest
  rest:
    uri: https://dev.service-now.com/api/now/table/ticket
    authentication: {type: basic, secret: snow_credential}
  jq_expression: .result
"""
TICKET_DATA = f"""
{GET_TICKETS}
- name: ticket_data
  type: jq
  jq:
    expression: ".tickets[0] | {{number, short_description}}"
"""


@dataclass
class Stage:
    """A service whose data folder holds the examples, and the peer that they call."""

    service: Service
    peer: StubPeer
    data: Path

    def run(self, steps: str, data: Any = None) -> dict[str, Any]:
        """The ended job of a flow with these steps."""
        text = "name: example\nsteps:\n" + indent(self.peer.plays(steps), "  ")
        (self.data / "flows" / "example.yml").write_text(text)
        return self.service.run("example.yml", data)

    def logs(self, job: dict[str, Any]) -> list[str]:
        return [line["message"] for line in self.service.get(f"/api/jobs/{job['id']}/logs").json()["logs"]]

    def moved(self, job: dict[str, Any], start: datetime, end: datetime) -> str:
        """Let the job have been queued and run at another time; its id, which begins with that time."""
        times = [int(moment.timestamp()) * 1_000_000 for moment in (start, start, end)]
        id = id_floor(start) + job["id"][13:]
        with closing(sqlite3.connect(self.data / "jobs.sqlite", timeout=10)) as database, database:
            values = (id, *times, job["id"])
            database.execute(
                "UPDATE jobs SET id = ?, queued_time = ?, start_time = ?, end_time = ? WHERE id = ?", values
            )
            for table in ("steps", "logs"):
                database.execute(f"UPDATE {table} SET job_id = ? WHERE job_id = ?", (id, job["id"]))
        return id

    def due_now(self, schedule_id: str) -> None:
        """Let the schedule wait for a tick since this hour began."""
        hour = 3_600_000_000
        due = int(datetime.now(UTC).timestamp() * 1_000_000) // hour * hour
        with closing(sqlite3.connect(self.data / "jobs.sqlite", timeout=10)) as database, database:
            values = (due - hour, due, schedule_id)
            database.execute("UPDATE schedules SET last_due = ?, next_due = ? WHERE id = ?", values)

    def active(self) -> list[str]:
        jobs = self.service.get("/api/jobs?limit=500").json()["jobs"]
        return [job["path"] for job in jobs if job["state"] != "finished"]


def printed(name: str) -> str:
    return (EXAMPLES / "printed" / f"{name}.yml").read_text()


@pytest.fixture(scope="module")
def service_and_peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stub_peer() as peer:
        data = tmp_path_factory.mktemp("examples") / "data"
        shutil.copytree(EXAMPLES, data, ignore=shutil.ignore_patterns("printed", "options", "*.expected.yml"))
        shutil.copytree(EXAMPLES / "options" / "parts", data / "flows" / "parts")
        shutil.copy(EXAMPLES / "printed" / "process_snow_tickets.yml", data / "flows")
        for flow in (data / "flows").glob("*.yml"):
            flow.write_text(peer.plays(flow.read_text()))
        port = free_port()
        environment = {
            "PATH": f"{BIN}:/usr/bin:/bin",
            "DATA_PATH": str(data),
            "API_TOKEN": TOKEN,
            "API_PORT": str(port),
            "HASHICORP_VAULT_TOKEN": VAULT_TOKEN,
        }
        service = Service(data, [str(BIN / "octoflow"), "serve"], port, environment)
        try:
            until(lambda: answers(service, "/healthz"), 30, service.text)
            yield Stage(service, peer, data)
        finally:
            peer.held.set()
            service.session.close()
            service.kill()


@pytest.fixture
def stage(service_and_peer: Stage) -> Iterator[Stage]:
    """The module's service, as if it were new."""
    peer, data = service_and_peer.peer, service_and_peer.data
    peer.reset()
    shutil.copy(EXAMPLES / "secrets.yml", data / "secrets.yml")
    shutil.rmtree(data / "output", ignore_errors=True)
    yield service_and_peer
    peer.held.set()
    until(lambda: not service_and_peer.active())
    service_and_peer.service.session.delete(f"{service_and_peer.service.url}/api/jobs?state=finished", timeout=20)


PRINTED_STEPS = sorted(path.stem for path in (EXAMPLES / "printed").glob("*.yml") if "secrets" not in path.name)


@pytest.mark.parametrize("block", PRINTED_STEPS)
def test_the_printed_blocks_have_no_error_and_one_has_a_warning(block: str) -> None:
    text = printed(block)
    whole = text if text.startswith("name:") else "name: example\nsteps:\n" + indent(text, "  ")

    flow, problems = check_flow("example.yml", whole)

    assert flow is not None
    assert [(problem.severity, problem.code) for problem in problems] == (
        [("warning", "many_values")] if block == "jq" else []
    )


@pytest.mark.parametrize(
    ("block", "names"),
    [("secrets", ["secretX", "servicenow"]), ("secrets_of_the_older_document", ["secretX", "secretY"])],
)
def test_the_printed_secrets_have_no_problem(block: str, names: list[str]) -> None:
    file = SecretFile(EXAMPLES / "printed" / f"{block}.yml")

    assert (file.names(), file.problems()) == (names, [])


# The flow that is printed whole


def test_the_printed_flow_sends_each_ticket_on_and_writes_all_it_has(stage: Stage) -> None:
    job = stage.service.run("process_snow_tickets.yml")
    result = job["result"]
    written = stage.data / "output" / f"result_{result['__timestamp__']}.yml"
    sent = [call.body["extra_vars"] for call in stage.peer.to("POST", "/api/v2/job_templates/42/launch/")]

    assert (job["status"], job["name"]) == ("success", "Process snow tickets")
    assert result["tickets"] == TICKETS
    assert [item["awx_job"] for item in result["flow_loop"]] == [{"job": 1042, "status": "pending"}] * 3
    assert sorted(sent, key=lambda item: item["position"]) == [
        {"ticket": ticket["number"], "summary": ticket["short_description"], "position": place}
        for place, ticket in enumerate(TICKETS, 1)
    ]
    assert result["file_content"] == {"owner": "Ada", "numbers": [3, 5, 4]}
    assert yaml.safe_load(written.read_text()) == {
        key: value for key, value in result.items() if key != "write output file"
    }
    outer = [(step["name"], step["is_finally"]) for step in job["steps"] if step["parent"] is None]
    assert outer[-1] == ("write output file", True)


def test_the_printed_flow_leaves_the_loop_out_when_there_are_no_tickets(stage: Stage) -> None:
    stage.peer.tables["x_xxxx"] = []

    job = stage.service.run("process_snow_tickets.yml")

    assert job["status"] == "success"
    assert {step["name"]: step["status"] for step in job["steps"]}["loop tickets"] == "skipped"
    assert "flow_loop" not in job["result"]
    assert stage.peer.to("POST", "/api/v2/job_templates/42/launch/") == []


def test_the_printed_flow_writes_its_file_even_if_it_fails(stage: Stage) -> None:
    stage.peer.is_down = True

    job = stage.service.run("process_snow_tickets.yml")
    written = yaml.safe_load((stage.data / "output" / f"result_{job['result']['__timestamp__']}.yml").read_text())

    assert job["status"] == "failed"
    assert job["errors"][0]["step"] == "get tickets"
    assert "503" in job["errors"][0]["error"]
    assert [error["step"] for error in written["__errors__"]] == ["get tickets"]
    assert "file_content" not in written


def test_the_second_flow_renders_both_templates(stage: Stage) -> None:
    for _ in range(2):
        job = stage.service.run("flow2.yml")

    assert job["result"]["text"].strip() == "Ada has 3 numbers"
    assert job["result"]["facts"] == {"owner": "Ada", "largest": 5}
    assert job["result"]["more"] == {"sum": 12}
    lines = (stage.data / "output" / "flow2.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"owner": "Ada", "largest": 5}] * 2


# The steps that are printed alone


def test_the_printed_sleep_takes_its_five_seconds(stage: Stage) -> None:
    job = stage.run(printed("sleep"))

    assert job["status"] == "success"
    assert 5 <= job["steps"][0]["duration_seconds"] < 15
    assert "sleep before processing" not in job["result"]


def test_the_printed_exit_ends_a_flow_without_tickets(stage: Stage) -> None:
    stage.peer.tables["ticket"] = []

    job = stage.run(GET_TICKETS + printed("exit") + "- {name: later, type: set_fact, set_fact: {value: 1}}\n")

    assert (job["status"], job["errors"]) == ("exit", [])
    assert job["message"] == job["result"]["exit_info"] == "No data to process, exiting early."
    assert "later" not in job["result"]


def test_the_printed_exit_lets_a_flow_with_tickets_go_on(stage: Stage) -> None:
    job = stage.run(GET_TICKETS + printed("exit") + "- {name: later, type: set_fact, set_fact: {value: 1}}\n")

    assert job["status"] == "success"
    assert job["result"]["later"] == 1
    assert "exit_info" not in job["result"]


def test_the_printed_get_keeps_the_whole_answer(stage: Stage) -> None:
    job = stage.run(printed("rest_get"))

    assert job["result"]["tickets"] == {"result": TICKETS}
    assert len(stage.peer.to("GET", "/api/now/table/x_xxxx")) == 1


def test_the_printed_get_with_a_query_keeps_what_jq_selects(stage: Stage) -> None:
    job = stage.run(printed("rest_query"))

    assert job["result"]["tickets"] == [TICKETS[0]]
    assert stage.peer.to("GET", "/api/now/table/ticket")[0].query == {"status": ["open"], "limit": ["10"]}


def test_the_printed_body_is_sent_and_no_value_breaks_it(stage: Stage) -> None:
    summary = 'He said "no",\nthen \\ left", "admin": "true'
    facts = "- {name: issue_details, type: set_fact, set_fact: {value: 'seen by {{ who }}'}}\n"

    job = stage.run(facts + printed("rest_body"), {"issue_summary": summary, "who": "Ada"})

    sent = stage.peer.to("POST", "/api/now/table/ticket")[0]
    assert sent.body == {"short_description": summary, "description": "seen by Ada"}
    assert sent.headers["Content-Type"] == "application/json"
    assert job["result"]["ticket_response"] == {"result": {"sys_id": "id-4", **sent.body}}


def test_the_printed_data_key_is_sent_as_it_is(stage: Stage) -> None:
    job = stage.run(TICKET_DATA + printed("rest_data_key"))

    wanted = {"number": "INC1", "short_description": TICKETS[0]["short_description"]}
    assert stage.peer.to("POST", "/api/now/table/ticket")[0].body == wanted
    assert job["result"]["ticket_response"]["result"] == {"sys_id": "id-4", **wanted}


def test_the_printed_template_shows_the_tickets(stage: Stage) -> None:
    job = stage.run(GET_TICKETS + printed("jinja"))

    lines = [line for line in job["result"]["summary"].splitlines() if line]
    assert lines == ["- INC1 (high)", "- INC2 (low)", "- INC3 (high)", "3 tickets"]


@pytest.mark.parametrize(("left", "found"), [(3, [TICKETS[0], TICKETS[2]]), (2, TICKETS[0]), (0, None)])
def test_the_printed_filter_gives_what_jq_gives(stage: Stage, left: int, found: Any) -> None:
    stage.peer.tables["ticket"] = TICKETS[:left]

    job = stage.run(GET_TICKETS + printed("jq"))

    assert job["status"] == "success"
    assert job["result"]["high_priority_tickets"] == found


def test_the_printed_sub_flow_gets_the_ticket_as_its_input(stage: Stage) -> None:
    ticket = "- {name: ticket, type: jq, jq: {expression: '.tickets[1]'}}\n"

    job = stage.run(GET_TICKETS + ticket + printed("flow"))

    value = job["result"]["ticket_result"]
    assert (value["urgent"], value["line"]) == (False, "INC2: The small one does not")
    assert value["__flow_path__"] == "process_ticket.yml"
    assert "__input__" not in value


def test_the_printed_loop_gives_results_in_the_order_of_the_tickets(stage: Stage) -> None:
    tickets_list = "- {name: tickets_list, type: jq, jq: {expression: '.tickets | reverse'}}\n"

    job = stage.run(GET_TICKETS + tickets_list + printed("flow_loop"))

    assert [(item["urgent"], item["__loop_index__"]) for item in job["result"]["ticket_results"]] == [
        (True, 1),
        (False, 2),
        (True, 3),
    ]
    assert job["result"]["ticket_results"][0]["line"] == "INC3: Nobody can log in"


@pytest.mark.parametrize("expand", ["names", "nothing"])
def test_the_printed_merge_needs_the_names_that_jira_was_asked_for(stage: Stage, expand: str) -> None:
    search = f"""
- name: tickets_raw
  type: rest
  rest:
    uri: https://jira.example.com/rest/api/2/search
    query: {{jql: project = OPS, expand: {expand}}}
    authentication: {{type: api-key, secret: jira_key}}
"""
    job = stage.run(search + printed("jira_names_merge"))

    assert stage.peer.to("GET", "/rest/api/2/search")[0].query == {"jql": ["project = OPS"], "expand": [expand]}
    if expand == "names":
        assert job["result"]["tickets"] == [{key: issue[key] for key in ("id", "key", "self")} for issue in ISSUES]
    else:
        assert job["status"] == "failed"
        assert "expand=names" in job["errors"][0]["error"]


def test_the_merge_without_its_jq_expression_gives_fields_their_names(stage: Stage) -> None:
    search = """
- name: tickets_raw
  type: rest
  rest:
    uri: https://jira.example.com/rest/api/2/search?expand=names
    authentication: {type: api-key, secret: jira_key}
"""
    merge, _, _ = printed("jira_names_merge").partition("  jq_expression")

    job = stage.run(search + merge)

    assert [issue["fields"] for issue in job["result"]["tickets"]] == [
        {"summary": "Printer", "story_points": 3},
        {"summary": "Login", "story_points": 5, "owner_team": "Ops-Team"},
    ]


def test_the_printed_debug_step_shows_the_ticket_in_the_log(stage: Stage) -> None:
    job = stage.run(TICKET_DATA + printed("debug"))

    assert yaml.safe_load(stage.logs(job)[-1]) == {key: TICKETS[0][key] for key in ("number", "short_description")}
    assert "debug ticket data" not in job["result"]


def test_the_printed_file_steps_turn_json_into_yaml(stage: Stage) -> None:
    job = stage.run(printed("file"))

    name = f"output/result_{job['result']['__timestamp__']}.yml"
    assert (stage.data / name).read_text() == "owner: Ada\nnumbers:\n- 3\n- 5\n- 4\n"
    assert job["result"]["write output file"]["path"] == name


# Secrets


@pytest.mark.parametrize(
    ("block", "name", "type", "address"),
    [
        ("secrets", "secretX", "basic", "https://dev.service-now.com/api/now/table/ticket"),
        ("secrets_of_the_older_document", "secretX", "basic", "https://dev.service-now.com/api/now/table/ticket"),
        ("secrets_of_the_older_document", "secretY", "token", "https://awx.example.com/api/v2/job_templates/7/launch/"),
    ],
)
def test_the_printed_secrets_open_what_they_are_for(
    stage: Stage, block: str, name: str, type: str, address: str
) -> None:
    (stage.data / "secrets.yml").write_text(stage.peer.plays(printed(block)))

    job = stage.run(f"""
- name: call
  type: rest
  rest:
    uri: {address}
    method: POST
    body: {{extra_vars: {{}}}}
    authentication: {{type: {type}, secret: {name}}}
""")

    assert job["status"] == "success", job["errors"]
    assert len(stage.peer.calls) == 1


def test_the_printed_vault_secret_is_fetched_and_opens_its_peer(stage: Stage) -> None:
    (stage.data / "secrets.yml").write_text(stage.peer.plays(printed("secrets")))

    job = stage.run(GET_TICKETS.replace("snow_credential", "servicenow"))

    assert job["status"] == "success", job["errors"]
    assert job["result"]["tickets"] == TICKETS
    assert len(stage.peer.to("GET", "/v1/test/data/servicenow")) == 1


# Commands


@pytest.fixture(params=["curl", "requests"])
def ask(request: pytest.FixtureRequest, stage: Stage) -> Any:
    """Sends a printed command, the token added where it is left out; the answer's status and JSON."""
    if request.param == "curl" and not shutil.which("curl"):
        pytest.skip("there is no curl here; the same command goes out by requests")
    send = by_curl if request.param == "curl" else by_requests

    def run(name: str, **placeholders: str) -> tuple[int, Any]:
        command = CURLS[name].replace("http://localhost:5000", stage.service.url)
        for key, value in placeholders.items():
            command = command.replace(f"<{key}>", value)
        if "Authorization" not in command:
            command = f'{command.rstrip()} -H "Authorization: Bearer $API_TOKEN"'
        return send(command)

    return run


def by_curl(command: str) -> tuple[int, Any]:
    command = f"{command.rstrip()} --silent --show-error --noproxy '*' --max-time 20 --write-out '\\n%{{http_code}}'"
    environment = {"PATH": os.environ["PATH"], "API_TOKEN": TOKEN}
    done = subprocess.run(["sh", "-c", command], env=environment, capture_output=True, text=True, check=True)
    body, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(body)


def by_requests(command: str) -> tuple[int, Any]:
    words = shlex.split(command.replace("\\\n", " ").replace("$API_TOKEN", TOKEN))
    options = list(pairwise(words))
    headers = dict(value.split(": ", 1) for option, value in options if option == "-H")
    given = {option: value for option, value in options if option in ("-X", "-d")}
    url = next(word for word in words if word.startswith("http"))
    with requests.Session() as session:
        session.trust_env = False
        answer = session.request(given["-X"], url, headers=headers, data=given.get("-d"), timeout=20)
    return answer.status_code, answer.json()


def test_the_printed_launch_starts_a_job_and_is_refused_while_it_runs(stage: Stage, ask: Any) -> None:
    stage.peer.held.clear()

    status, launched = ask("launch")
    again = ask("launch")
    stage.peer.held.set()
    job = stage.service.finished(launched["job_id"])

    assert (status, list(launched)) == (202, ["job_id"])
    assert again[0] == 409
    assert again[1]["error"] == "A job for this flow is already running."
    assert again[1]["job_id"] == launched["job_id"]
    assert (job["status"], job["timeout_seconds"], job["data"]) == ("success", 120, {"foo": "bar"})
    assert job["result"]["greeting"] == "foo is bar"
    assert ask("launch")[0] == 202


def test_the_printed_list_keeps_to_its_filters(stage: Stage, ask: Any) -> None:
    bound = datetime(2024, 5, 22, 22, tzinfo=UTC)
    before, at, late = (stage.service.run("flow2.yml") for _ in range(3))
    stage.moved(before, bound - timedelta(seconds=1), bound)
    exact = stage.moved(at, bound, bound)
    stage.peer.held.clear()
    stage.service.running_step(stage.service.launch("flow1.yml", {"foo": 1}), "wait for the peer")

    status, page = ask("list")

    assert status == 200
    assert [job["id"] for job in page["jobs"]] == [late["id"], exact]
    assert (page["limit"], page["offset"], page["next"]) == (10, 0, None)
    assert page["jobs"][1]["start_time"] == "2024-05-22T22:00:00.000+00:00"


def test_the_printed_get_shows_the_whole_job(stage: Stage, ask: Any) -> None:
    job = stage.service.run("flow2.yml")

    status, shown = ask("get", job_id=job["id"])

    assert (status, shown) == (200, job)
    assert [step["name"] for step in shown["steps"]] == ["input", "text", "facts", "more facts", "keep"]


def test_the_printed_delete_forgets_only_what_is_older(stage: Stage, ask: Any) -> None:
    now = datetime.now(UTC)
    one, other = stage.service.run("flow2.yml"), stage.service.run("flow2.yml")
    older = stage.moved(one, now - timedelta(days=31), now - timedelta(days=30, minutes=5))
    younger = stage.moved(other, now - timedelta(days=31), now - timedelta(days=30) + timedelta(minutes=5))

    answer = ask("delete")

    assert answer == (200, {"deleted": 1})
    assert stage.service.get(f"/api/jobs/{older}").status_code == 404
    assert stage.service.get(f"/api/jobs/{younger}").status_code == 200


def test_the_printed_schedule_is_made_listed_and_removed(stage: Stage, ask: Any) -> None:
    status, made = ask("schedule")
    again = ask("schedule")
    listed = ask("schedules")
    removed = ask("unschedule", schedule_id=made["schedule_id"])

    assert (status, list(made)) == (201, ["schedule_id"])
    assert (again[0], again[1]["schedule_id"]) == (409, made["schedule_id"])
    assert listed[0] == 200
    [schedule] = listed[1]["schedules"]
    assert (schedule["schedule_id"], schedule["path"], schedule["cron"]) == (
        made["schedule_id"],
        "flow1.yml",
        "0 * * * *",
    )
    assert schedule["next_run_time"].endswith(":00:00.000+00:00")
    assert removed == (200, {"schedule_id": made["schedule_id"], "deleted": True})
    assert ask("schedules")[1]["schedules"] == []
    assert ask("unschedule", schedule_id=made["schedule_id"])[0] == 404


def test_the_printed_schedule_runs_when_it_is_due(stage: Stage, ask: Any) -> None:
    _, made = ask("schedule")
    stage.due_now(made["schedule_id"])

    report = stage.service.post("/api/tick").json()
    [job] = stage.service.get(f"/api/jobs?schedule_id={made['schedule_id']}").json()["jobs"]
    [schedule] = ask("schedules")[1]["schedules"]
    ask("unschedule", schedule_id=made["schedule_id"])

    assert (report["fired"], report["errors"]) == (1, [])
    assert (job["path"], job["source"]) == ("flow1.yml", "schedule")
    assert (schedule["last_job_id"], schedule["last_slot"]["verdict"]) == (job["id"], "fired")


# The endpoints of the older document


def test_the_flow_of_the_older_document_is_added_listed_shown_and_removed(stage: Stage) -> None:
    service = stage.service

    added = service.post("/api/flows/add", {"path": "flow1.yml"})
    id = added.json()["flow_id"]
    flows = service.get("/api/flows").json()["flows"]
    shown = service.get(f"/api/flows/{id}")
    removed = service.session.delete(f"{service.url}/api/flows/{id}", timeout=20)

    assert added.status_code == 201
    assert [(flow["flow_id"], flow["path"], flow["cron"]) for flow in flows] == [(id, "flow1.yml", "0 6 * * *")]
    assert (shown.status_code, shown.json()) == (200, flows[0])
    assert removed.status_code == 200
    assert service.get(f"/api/flows/{id}").status_code == 404


@pytest.mark.parametrize("name", ["/flow1.yml", "/flow1", "/Flow 1", ""])
def test_the_locks_of_the_older_document_are_listed_and_removed(stage: Stage, name: str) -> None:
    service = stage.service
    stage.peer.held.clear()

    job_id = service.post("/api/flows/launch", {"path": "flow1.yml"}).json()["job_id"]
    service.running_step(job_id, "wait for the peer")
    locks = service.get("/api/locks").json()["locks"]
    removed = service.session.delete(f"{service.url}/api/locks{name}", timeout=20)
    stage.peer.held.set()

    assert [(lock["path"], lock["name"], lock["job_id"]) for lock in locks] == [("flow1.yml", "Flow 1", job_id)]
    assert (removed.status_code, removed.json()) == (200, {"released": [job_id]})
    assert service.finished(job_id)["status"] == "cancelled"
    assert service.get("/api/locks").json() == {"locks": []}


# Every option of every step type


@pytest.mark.parametrize("name", OPTION_FLOWS)
def test_every_option_does_what_the_table_says(stage: Stage, name: str) -> None:
    expected = yaml.safe_load((EXAMPLES / "options" / f"{name}.expected.yml").read_text())
    text = stage.peer.plays((EXAMPLES / "options" / f"{name}.yml").read_text())
    (stage.data / "flows" / f"option_{name}.yml").write_text(text)

    job = stage.service.run(f"option_{name}.yml", LAUNCHED)

    wanted = {"status": "success"} | expected.get("job", {})
    assert {key: job[key] for key in wanted} == wanted, job["errors"]
    assert {step["name"]: step["status"] for step in job["steps"]}.items() >= expected.get("steps", {}).items()
    found = {key: at(job["result"], key) for key in expected.get("result", {})}
    assert found == expected.get("result", {})
    assert [key for key in expected.get("absent", []) if at(job["result"], key) is not MISSING] == []
    files = expected.get("files", {})
    assert {file: (stage.data / file).read_text() for file in files} == files
    if "logs" in expected:
        assert stage.logs(job)[-len(expected["logs"]) :] == expected["logs"]


def at(value: Any, path: str) -> Any:
    """What is at a dotted path, MISSING when nothing is."""
    for key in path.split("."):
        try:
            value = value[int(key)] if isinstance(value, list) else value[key]
        except (KeyError, IndexError):
            return MISSING
    return value


def test_the_option_that_goes_into_headers_is_sent(stage: Stage) -> None:
    text = stage.peer.plays((EXAMPLES / "options" / "rest.yml").read_text())
    (stage.data / "flows" / "option_rest.yml").write_text(text)

    stage.service.run("option_rest.yml", LAUNCHED)

    sent = stage.peer.to("PUT", "/echo")[0].headers
    assert (sent["Authorization"], sent["X-Number"]) == ("Token awx-token-3", "2")
    assert stage.peer.to("PATCH", "/echo")[0].headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("kind", list(step_types()))
def test_the_flow_of_a_step_type_gives_every_option_of_it(kind: str) -> None:
    steps = yaml.safe_load((EXAMPLES / "options" / f"{kind}.yml").read_text())["steps"]

    given = {option for step in steps if step["type"] == kind for option in step.get(kind, {})}

    assert given == set(step_types()[kind].model_json_schema()["properties"])
