"""Every operation with every role, with a key that is limited to some flows, and in the audit; over a real engine."""

from __future__ import annotations

import inspect
import json
import logging
from types import SimpleNamespace

import pytest
from clocks import TestClock
from flows import QUICK
from stores import upgraded_sqlite

from engine.models.access import Role
from engine.models.audit import Action, AuditFilter
from engine.models.job import JobFilter, State
from engine.models.schedule import ScheduleFilter
from engine.orchestrator import Orchestrator
from engine.orchestrator.limited import Limited
from engine.settings import Settings
from functions import _http, main

assert main.api  # Every operation is defined by now.

ROLES = {
    "add_flow": "editor",
    "cancel_job": "operator",
    "create_key": "admin",
    "create_schedule": "editor",
    "delete_flow": "editor",
    "delete_job": "admin",
    "delete_jobs": "admin",
    "delete_schedule": "editor",
    "forecast_schedules": "viewer",
    "get_document": "viewer",
    "get_flow": "viewer",
    "get_job": "viewer",
    "get_job_logs": "viewer",
    "get_schedule": "viewer",
    "get_schedule_slots": "viewer",
    "launch_document": "operator",
    "launch_flow": "operator",
    "launch_job": "operator",
    "list_audit": "admin",
    "list_documents": "viewer",
    "list_flows": "viewer",
    "list_jobs": "viewer",
    "list_keys": "admin",
    "list_locks": "viewer",
    "list_schedules": "viewer",
    "metrics": "viewer",
    "pause_schedule": "operator",
    "release_lock": "operator",
    "release_locks": "operator",
    "resume_schedule": "operator",
    "revoke_key": "admin",
    "run_tick": "tick",
    "validate_document": "viewer",
}
"""What each operation takes. A new one is to be thought about, and written here."""

GUARDED = {each.name: each for each in _http.OPERATIONS if each.role is not None}
LADDER = ["viewer", "operator", "editor", "admin"]
OWN = "a-token-of-its-own-that-is-long"
QUERIES = {"delete_jobs": "status=cancelled"}


class World:
    """A service with two teams' flows, each with a job that waits and a schedule, and a key for each role."""

    def __init__(self, engine, client):
        self.engine, self.client, self.clock = engine, client, engine.clock
        self.teams = {team: self._team(team) for team in ("mine", "others")}
        self.tokens = {role.value: engine.create_key(f"the-{role}", role)[1] for role in Role}
        self.limited = engine.create_key("limited", Role.EDITOR, flows="mine/*")[1]

    def _team(self, team):
        job = self.engine.launch(f"{team}/quick.yml")
        schedule = self.engine.create_schedule(f"{team}/quick.yml", every_seconds=3600).id
        return SimpleNamespace(name=team, job=job, schedule=schedule, key=self.engine.create_key(team, Role.VIEWER)[0])

    def missing(self):
        id = "00000000-0000-7000-8000-000000000000"
        return SimpleNamespace(name="nobody", job=id, schedule=id, key=SimpleNamespace(id=id))

    def ask(self, operation, token, team, body=None):
        """The operation on what this team has."""
        if operation.path.startswith(("/api/schedules", "/api/flows")):
            id = team.schedule
        else:
            id = team.key.id if operation.path.startswith("/api/keys") else team.job
        path = operation.path.replace("<id>", id)
        for part in ("<path:flow>", "<path:path>", "<document:path>"):
            file = "free.yml" if operation.name == "launch_document" else "quick.yml"
            path = path.replace(part, f"{team.name}/{file}")
        return self.client.open(
            path,
            method=operation.method,
            json=body,
            query_string=QUERIES.get(operation.name, ""),
            headers={"Authorization": f"Bearer {token}"},
        )

    def body(self, operation, team):
        """A body that the operation takes."""
        match operation.name:
            case "launch_job" | "launch_flow":
                return {"path": f"{team.name}/free.yml"}
            case "validate_document":
                return {"path": f"{team.name}/free.yml", "text": QUICK}
            case "create_schedule" | "add_flow":
                return {"path": f"{team.name}/free.yml", "every_seconds": 60}
            case "create_key":
                return {"name": "new", "role": "viewer"}
            case "launch_document":
                return {"name": "Ada"}
            case _:
                return None

    def audit(self):
        return [row.change for row in self.engine.audit(AuditFilter(limit=500))]


@pytest.fixture
def world(tmp_path, process, app_of):
    for team in ("mine", "others"):
        (tmp_path / "flows" / team).mkdir(parents=True)
        (tmp_path / "flows" / team / "quick.yml").write_text(QUICK)
        (tmp_path / "flows" / team / "free.yml").write_text(QUICK)
    (tmp_path / "jobs.sqlite").write_bytes(upgraded_sqlite())
    settings = Settings(data_path=tmp_path, flow_max_workers=0, api_token=OWN)
    engine = Orchestrator(settings, TestClock())
    process.use(engine)
    made = World(engine, app_of("api").test_client())
    made.clock.pass_by(1)
    return made


# Roles


def test_the_role_of_every_operation_is_written_down():
    assert {name: str(each.role) for name, each in GUARDED.items()} == ROLES


@pytest.mark.parametrize("held", [*LADDER, "tick"])
def test_every_operation_is_open_to_its_role_and_those_above_it(world, held):
    for name, operation in GUARDED.items():
        if ROLES[name] == "tick":
            is_open = held != "viewer"
        else:
            is_open = held != "tick" and LADDER.index(held) >= LADDER.index(ROLES[name])

        answer = world.ask(operation, world.tokens[held], world.missing())

        assert (answer.status_code != 403) is is_open, (name, answer.text)
        assert answer.status_code not in (401, 500), (name, answer.text)
        if not is_open:
            reason = f"This needs the role {ROLES[name]}, and the key 'the-{held}' has the role {held}."
            assert answer.json["error"] == reason


def test_no_operation_is_open_to_a_token_that_was_one(world):
    world.engine.revoke_key("the-admin")

    for name, operation in GUARDED.items():
        assert world.ask(operation, world.tokens["admin"], world.missing()).status_code == 401, name


# A key that is limited to some flows

CLOSED = {"metrics", "run_tick"}
"""What an editor may do, and a key that is limited may not: it concerns all flows."""
FOR_EDITORS = {name: each for name, each in GUARDED.items() if Role.EDITOR.reaches(each.role)}


@pytest.mark.parametrize("name", FOR_EDITORS)
def test_what_a_limited_key_may_not_reach_is_as_if_it_were_not_there(world, name):
    operation, others, nobody = GUARDED[name], world.teams["others"], world.missing()

    answer = world.ask(operation, world.limited, others, world.body(operation, others))
    elsewhere = world.ask(operation, world.limited, nobody, world.body(operation, nobody))

    if name in CLOSED:
        assert answer.status_code == 403
    elif "<" in operation.path or operation.body_model:
        as_nobody = answer.text.replace(others.job, nobody.job).replace(others.schedule, nobody.schedule)
        assert (answer.status_code, elsewhere.status_code) == (404, 404)
        assert as_nobody.replace("others/", "nobody/") == elsewhere.text
    else:
        assert answer.status_code == 200
        assert "others/" not in answer.text
        assert others.job not in answer.text
        assert others.schedule not in answer.text


def test_nothing_of_others_is_changed_by_a_limited_key(world):
    others = world.teams["others"]

    for operation in GUARDED.values():
        world.ask(operation, world.limited, others, world.body(operation, others))

    jobs = world.engine.jobs(JobFilter(), "others/*")
    assert [(job.id, job.state) for job in jobs] == [(others.job, State.PENDING)]
    schedules = world.engine.schedules(ScheduleFilter(), "others/*")
    assert [(each.id, each.is_paused) for each in schedules] == [(others.schedule, False)]


@pytest.mark.parametrize("name", FOR_EDITORS)
def test_what_a_limited_key_may_reach_is_there(world, name):
    operation, mine = GUARDED[name], world.teams["mine"]

    answer = world.ask(operation, world.limited, mine, world.body(operation, mine))

    if name in CLOSED:
        assert answer.status_code == 403
        assert answer.json["code"] == "forbidden"
    else:
        assert 200 <= answer.status_code < 300, answer.text


@pytest.mark.parametrize("place", ["/api/jobs?count=true", "/api/schedules?count=true"])
def test_others_are_not_even_counted(world, place):
    answer = world.client.get(place, headers={"Authorization": f"Bearer {world.limited}"})

    assert answer.json["total"] == 1


@pytest.mark.parametrize(
    "path",
    [
        "others/quick.yml", "./others/quick.yml", "mine/../others/quick.yml", "mine/link.yml", "others/nothing.yml",
        "others", "../flows/others/quick.yml", "mine/quick.yml/../../others/quick.yml", "mine/nothing.yml", "\0",
    ],
)  # fmt: skip
def test_no_spelling_of_a_path_leads_to_others(world, path):
    flows = world.engine.settings.flows_path
    (flows / "mine" / "link.yml").symlink_to(flows / "others" / "quick.yml")
    (flows / "others" / "link.yml").symlink_to(flows / "mine" / "quick.yml")
    header = {"Authorization": f"Bearer {world.limited}"}

    for place in ("/api/jobs", "/api/flows/launch"):
        answer = world.client.post(place, json={"path": path}, headers=header)

        assert (answer.status_code, answer.json["code"]) == (404, "flow_not_found")
        assert "quick.yml" not in answer.json["error"].replace(repr(path), "")


def test_a_limited_key_is_told_of_a_mistake_in_its_own_flow(world):
    (world.engine.settings.flows_path / "mine" / "bad.yml").write_text("name: bad\n")

    answer = world.client.post("/api/jobs", json={"path": "mine/bad.yml"}, headers=bearer(world.limited))

    assert (answer.status_code, answer.json["code"]) == (400, "document_invalid")


def test_a_schedule_that_cannot_be_read_is_not_there_for_a_limited_key(world):
    schedule = world.teams["others"].schedule
    with world.engine._database.write() as connection:
        connection.exec_driver_sql("UPDATE schedules SET overlap = 'broken' WHERE id = ?", (schedule,))

    answer = world.client.get(f"/api/schedules/{schedule}", headers=bearer(world.limited))

    assert answer.status_code == 404


def test_a_verb_that_nobody_has_thought_about_is_closed_to_limited_keys(world):
    world.engine.new_verb = lambda: "everything"
    limited = world.engine.limited_to("mine/*")

    with pytest.raises(Exception, match="limited to the flows 'mine/\\*'"):
        limited.new_verb()


def test_the_verbs_of_the_limited_engine_are_called_as_those_of_the_whole():
    def parameters(verb):
        return [(each.name, each.kind) for each in inspect.signature(verb).parameters.values()]

    for name, verb in vars(Limited).items():
        if not name.startswith("_"):
            whole = parameters(getattr(Orchestrator, name))
            here = [each for each in parameters(verb) if each[1] is not inspect.Parameter.VAR_KEYWORD]
            assert here == whole[: len(here)], name


# The audit


@pytest.mark.parametrize("name", GUARDED)
def test_each_change_and_nothing_else_is_written_down_once(world, name):
    operation, mine = GUARDED[name], world.teams["mine"]
    if name in ("delete_job", "delete_jobs"):
        world.engine.cancel(mine.job)

    answer = world.ask(operation, world.tokens["admin"], mine, world.body(operation, mine))

    assert 200 <= answer.status_code < 300, answer.text
    written = world.audit()
    if operation.method == "GET" or name in ("run_tick", "validate_document"):
        assert written == []
    else:
        assert [(row.actor, row.role, row.action, row.address) for row in written] == [
            ("the-admin", Role.ADMIN, name, "127.0.0.1")
        ]


@pytest.mark.parametrize("name", [name for name, each in GUARDED.items() if each.method != "GET"])
def test_what_is_refused_is_not_written_down(world, name):
    operation, nobody = GUARDED[name], world.missing()

    for token in ("wrong", world.tokens["viewer"], world.limited):
        world.ask(operation, token, nobody, world.body(operation, nobody))

    done = {"release_locks"} & {name}  # What there is to release is released, nothing included.
    assert {row.action for row in world.audit()} == done


@pytest.mark.parametrize(
    ("token", "reason"),
    [("viewer", "the key 'the-viewer' has the role viewer"), ("nobody", "with a token that is known")],
)
def test_what_is_refused_is_in_the_service_log_without_the_token(world, caplog, token, reason):
    token = world.tokens.get(token, "octo_00000000_" + "x" * 43)

    with caplog.at_level(logging.INFO):
        world.client.post("/api/jobs", headers={**bearer(token), "X-Forwarded-For": "203.0.113.7"})

    (line,) = [record.getMessage() for record in caplog.records if "is refused" in record.getMessage()]
    assert line.startswith("POST '/api/jobs' from 127.0.0.1 for 203.0.113.7 is refused: ")
    assert reason in line
    assert token not in caplog.text


def test_who_takes_the_change_is_one_who_makes_one():
    assert [each.name for each in _http.OPERATIONS if each.takes("change") and not each.is_change] == []


@pytest.mark.parametrize(
    ("name", "target", "made"),
    [
        ("launch_job", "mine/free.yml", "job_id"),
        ("launch_flow", "mine/free.yml", "job_id"),
        ("create_schedule", "mine/free.yml", "schedule_id"),
        ("add_flow", "mine/free.yml", "schedule_id"),
        ("create_key", "new", "key_id"),
        ("cancel_job", "{job}", None),
        ("pause_schedule", "mine/quick.yml", "schedule_id"),
        ("resume_schedule", "mine/quick.yml", "schedule_id"),
        ("delete_schedule", "{schedule}", None),
        ("release_lock", "mine/quick.yml", None),
        ("release_locks", None, None),
        ("delete_jobs", "status=cancelled", None),
    ],
)
def test_the_audit_says_what_it_was_about_and_what_was_made(world, name, target, made):
    operation, mine = GUARDED[name], world.teams["mine"]

    answer = world.ask(operation, OWN, mine, world.body(operation, mine))

    (row,) = world.audit()
    wanted = target and target.format(job=mine.job, schedule=mine.schedule)
    assert (row.actor, row.target) == ("API_TOKEN", wanted)
    assert row.result_id == (answer.json[made] if made else None)


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ({}, "10.1.2.3"),
        ({"X-Forwarded-For": "203.0.113.7"}, "10.1.2.3 for 203.0.113.7"),
        ({"Forwarded": "for=203.0.113.7"}, "10.1.2.3 for for=203.0.113.7"),
        ({"X-Real-Ip": "203.0.113.7", "X-Forwarded-For": ""}, "10.1.2.3 for 203.0.113.7"),
        ({"X-Forwarded-For": "1" * 5000}, "10.1.2.3 for " + "1" * 100),
    ],
)
def test_the_audit_says_from_where(world, headers, address):
    world.client.post(
        "/api/jobs",
        json={"path": "mine/free.yml"},
        headers={**bearer(OWN), **headers},
        environ_base={"REMOTE_ADDR": "10.1.2.3"},
    )

    assert [row.address for row in world.audit()] == [address]


def test_the_audit_is_found_by_who_what_and_when_in_pages(world):
    for token in (OWN, world.tokens["operator"]):
        for operation in (GUARDED["launch_job"], GUARDED["release_locks"]):
            world.ask(operation, token, world.teams["mine"], world.body(operation, world.teams["mine"]))
            world.clock.pass_by(1)

    def found(query):
        page = world.client.get(f"/api/audit?{query}", headers=bearer(OWN)).json
        return [(row["actor"], row["action"]) for row in page["audit"]], page["next"]

    assert len(found("")[0]) == 4
    assert found("actor=the-operator&limit=1") == ([("the-operator", "release_locks")], 1)
    assert found("actor=the-operator&limit=1&offset=1") == ([("the-operator", "launch_job")], None)
    assert found("action=release_locks&actor=API_TOKEN") == ([("API_TOKEN", "release_locks")], None)
    assert found("time_from=2026-03-15T12:00:05Z") == ([], None)
    assert found("time_from=2026-03-15T12:00:02Z&time_to=2026-03-15T12:00:03Z") == (
        [("API_TOKEN", "release_locks")],
        None,
    )
    assert world.client.get("/api/audit?actor=a&who=b", headers=bearer(OWN)).status_code == 400


def test_the_audits_actions_are_the_operations_that_change_something(world):
    assert {each.name for each in _http.OPERATIONS if each.is_change} == {*Action}

    refused = world.client.get("/api/audit?action=launch", headers=bearer(OWN))

    assert refused.status_code == 400
    assert refused.json["details"][0]["message"].startswith("must be one of launch_job, ")


def test_a_row_of_the_audit_as_it_is_answered(world):
    launched = world.client.post("/api/jobs", json={"path": "mine/free.yml"}, headers=bearer(world.tokens["editor"]))

    (row,) = world.client.get("/api/audit", headers=bearer(OWN)).json["audit"]

    assert row.pop("id")
    assert row == {
        "time": "2026-03-15T12:00:01.000+00:00",
        "actor": "the-editor",
        "role": "editor",
        "action": "launch_job",
        "target": "mine/free.yml",
        "result_id": launched.json["job_id"],
        "address": "127.0.0.1",
    }


# Keys over HTTP


def test_a_key_is_made_used_listed_and_revoked(world):
    fields = {"name": "ci", "role": "operator", "flows": "mine/*", "expires": "90d"}
    made = world.client.post("/api/keys", json=fields, headers=bearer(OWN))
    token = made.json.pop("token")
    world.client.get("/api/jobs", headers=bearer(token))
    listed = world.client.get("/api/keys?offset=8", headers=bearer(OWN)).json
    revoked = world.client.delete(f"/api/keys/{made.json['key_id']}", headers=bearer(OWN))

    shown = {
        "key_id": made.json["key_id"],
        "name": "ci",
        "role": "operator",
        "prefix": token[:13],
        "flows": "mine/*",
        "state": "active",
        "created_time": "2026-03-15T12:00:01.000+00:00",
        "expires_time": "2026-06-13T12:00:01.000+00:00",
        "last_used_time": None,
        "revoked_time": None,
    }
    now = "2026-03-15T12:00:01.000+00:00"
    assert (made.status_code, {k: v for k, v in made.json.items() if k != "token"}) == (201, shown)
    assert listed == {"keys": [shown | {"last_used_time": now}], "limit": 50, "offset": 8, "next": None}
    assert (revoked.status_code, revoked.json) == (
        200,
        shown | {"state": "revoked", "last_used_time": now, "revoked_time": now},
    )
    assert world.client.get("/api/jobs", headers=bearer(token)).status_code == 401


def test_keys_are_listed_in_pages(world):
    first = world.client.get("/api/keys?limit=5", headers=bearer(OWN)).json
    rest = world.client.get("/api/keys?limit=5&offset=5", headers=bearer(OWN)).json

    assert (len(first["keys"]), first["next"], len(rest["keys"]), rest["next"]) == (5, 5, 3, None)
    assert all(set(key).isdisjoint({"token", "digest"}) for key in first["keys"])


def test_a_key_is_revoked_by_its_name(world):
    answer = world.client.delete("/api/keys/the-viewer", headers=bearer(OWN))

    assert (answer.status_code, answer.json["name"]) == (200, "the-viewer")
    assert world.client.get("/api/jobs", headers=bearer(world.tokens["viewer"])).status_code == 401
    assert world.client.delete("/api/keys/the-viewer", headers=bearer(OWN)).status_code == 404


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["name", "role"]),
        ({"name": "x", "role": "root"}, ["role"]),
        ({"name": "x", "role": None}, ["role"]),
        ({"name": "a b", "role": "viewer"}, ["name"]),
        ({"name": 7, "role": "viewer"}, ["name"]),
        ({"name": "x", "role": "admin", "flows": "*"}, ["flows"]),
        ({"name": "x", "role": "tick", "flows": "*"}, ["flows"]),
        ({"name": "x", "role": "viewer", "flows": ""}, ["flows"]),
        ({"name": "x", "role": "viewer", "flows": "a\0"}, ["flows"]),
        ({"name": "x", "role": "viewer", "expires": "soon"}, ["expires"]),
        ({"name": "x", "role": "viewer", "expires": 90}, ["expires"]),
        ({"name": "x", "role": "viewer", "token": "octo_mine"}, ["token"]),
    ],
)
def test_what_a_key_cannot_be_is_told_field_by_field(world, body, fields):
    answer = world.client.post("/api/keys", data=json.dumps(body), headers=bearer(OWN))

    assert answer.status_code == 400
    assert [detail["field"] for detail in answer.json["details"]] == fields


def test_a_name_that_is_taken_is_a_conflict(world):
    answer = world.client.post("/api/keys", json={"name": "the-viewer", "role": "viewer"}, headers=bearer(OWN))

    assert (answer.status_code, answer.json["code"]) == (409, "key_exists")


def bearer(token):
    return {"Authorization": f"Bearer {token}"}
