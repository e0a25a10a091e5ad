"""The endpoints of the first version: what they ask of the engine and how they answer."""

from __future__ import annotations

from urllib.parse import urljoin

import pytest
from fake_schedules import NOON

from engine.errors import FlowRunning, LockAmbiguous, RequestInvalid
from engine.models.job import State
from engine.models.lock import Lock


def test_a_flow_is_added_at_the_times_that_are_given(client, engine):
    answer = client.post("/api/flows/add", json={"path": "flow1.yml", "every_seconds": 60, "timeout_seconds": 5})

    assert (answer.status_code, answer.json) == (201, {"flow_id": "schedule-new", "schedule_id": "schedule-new"})
    name, path, fields = engine.asked[-1]
    assert (name, path) == ("add_flow", "flow1.yml")
    assert (fields["cron"], fields["every_seconds"], fields["timeout_seconds"]) == (None, 60, 5)


def test_a_flow_is_added_with_its_path_alone(client, engine):
    answer = client.post("/api/flows/add", json={"path": "flow1.yml"})

    assert answer.status_code == 201
    assert (engine.asked[-1][2]["cron"], engine.asked[-1][2]["every_seconds"]) == (None, None)


def test_a_flow_without_times_of_its_own_is_refused(client, engine):
    engine.error = RequestInvalid("flow1.yml has no schedule: give cron or every_seconds.")

    answer = client.post("/api/flows/add", json={"path": "flow1.yml"})

    assert (answer.status_code, answer.json["error"]) == (400, str(engine.error))


@pytest.mark.parametrize("every_seconds", [-5, 0, True, 1e12, 10**12, 1.5])
def test_a_flow_is_not_added_at_times_that_cannot_be(client, every_seconds):
    answer = client.post("/api/flows/add", json={"path": "flow1.yml", "every_seconds": every_seconds})

    assert (answer.status_code, answer.json["details"][0]["field"]) == (400, "every_seconds")


def test_a_launch_is_the_launch_of_a_job(client, engine):
    answer = client.post("/api/flows/launch", json={"path": "flow1.yml"})

    assert (answer.status_code, answer.json) == (202, {"job_id": "job-new"})
    assert urljoin("http://host/api/flows/launch", answer.headers["Location"]) == "http://host/api/jobs/job-new"
    assert engine.asked[-1] == ("launch", "flow1.yml", None, {"timeout_seconds": None, "priority": 0})


def test_a_launch_of_a_flow_that_runs_is_refused(client, engine):
    engine.error = FlowRunning("job-1")

    answer = client.post("/api/flows/launch", json={"path": "flow1.yml"})

    assert (answer.status_code, answer.json["job_id"]) == (409, "job-1")


def test_the_added_flows_are_the_schedules(client):
    flows = client.get("/api/flows").json
    one = client.get("/api/flows/schedule-2").json
    schedule = client.get("/api/schedules/schedule-2").json

    assert [flow["flow_id"] for flow in flows["flows"]] == ["schedule-1", "schedule-2", "schedule-3"]
    assert flows["next"] is None
    assert one == flows["flows"][1] == {"flow_id": "schedule-2", **schedule}


def test_added_flows_come_in_pages(client):
    page = client.get("/api/flows?limit=2").json

    assert (len(page["flows"]), page["next"]) == (2, 2)
    assert len(client.get("/api/flows?limit=2&offset=2").json["flows"]) == 1


def test_a_flow_is_removed_once(client, engine):
    removed = client.delete("/api/flows/schedule-1")
    again = client.delete("/api/flows/schedule-1")

    assert (removed.status_code, removed.json) == (200, {"flow_id": "schedule-1", "deleted": True})
    assert (again.status_code, again.json["code"]) == (404, "schedule_not_found")
    assert client.get("/api/flows/schedule-1").status_code == 404


def test_locks_are_listed_with_their_jobs(client, engine):
    engine.held_locks.append(Lock("b.yml", "b", "job-2", State.PENDING, NOON, None))

    answer = client.get("/api/locks")

    time = "2026-03-15T13:00:00.000+01:00"
    assert answer.json == {
        "locks": [
            {
                "path": "a/hello.yml",
                "name": "hello",
                "job_id": "job-1",
                "state": "running",
                "queued_time": time,
                "start_time": time,
            },
            {
                "path": "b.yml",
                "name": "b",
                "job_id": "job-2",
                "state": "pending",
                "queued_time": time,
                "start_time": None,
            },
        ]
    }


@pytest.mark.parametrize(
    ("place", "flow"),
    [
        ("hello", "hello"),
        ("a/hello.yml", "a/hello.yml"),
        ("a%2Fhello.yml", "a/hello.yml"),
        ("My%20flow", "My flow"),
        ("./a/../a/hello.yml", "./a/../a/hello.yml"),
    ],
)
@pytest.mark.parametrize("root", ["/api/locks", "/api/v1/locks"])
def test_a_lock_is_released_by_whatever_its_flow_is_called(client, engine, root, place, flow):
    answer = client.delete(f"{root}/{place}")

    assert (answer.status_code, answer.json) == (200, {"released": ["job-1"]})
    assert engine.asked[-1] == ("release_lock", flow)


@pytest.mark.parametrize("path", ["/api/locks/", "/api/v1/locks/"])
def test_a_flow_without_a_name_is_not_all_flows(client, path):
    """As a script sends it whose variable is empty."""
    answer = client.delete(path)

    assert (answer.status_code, answer.json["code"]) == (405, "method_not_allowed")
    assert "DELETE" not in answer.headers["Allow"]
    assert client.get(path).status_code == 200


def test_a_lock_that_nobody_holds(client):
    answer = client.delete("/api/locks/nothing")

    assert (answer.status_code, answer.json["code"]) == (404, "lock_not_found")


def test_a_name_that_several_locked_flows_have_is_refused_with_their_paths(client, engine):
    engine.error = LockAmbiguous("hello", ["a/hello.yml", "b/hello.yml"])

    answer = client.delete("/api/locks/hello")

    assert answer.status_code == 409
    assert answer.json["paths"] == ["a/hello.yml", "b/hello.yml"]
    assert "'hello' can be each of a/hello.yml, b/hello.yml: give the path." in answer.json["error"]


@pytest.mark.parametrize("place", ["/api/locks", "/api/v1/locks"])
def test_all_locks_are_released(client, place):
    answer = client.delete(place)

    assert (answer.status_code, answer.json) == (200, {"released": ["job-1", "job-2"]})


@pytest.mark.parametrize("target", ["add_flow", "launch_flow", "release_lock", "list_flows"])
def test_each_is_a_target_of_its_own(app_of, engine, target):
    client = app_of(target).test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = "Bearer admin"
    method, path = {
        "add_flow": ("POST", "/api/flows/add"),
        "launch_flow": ("POST", "/api/flows/launch"),
        "release_lock": ("DELETE", "/api/locks/a/hello.yml"),
        "list_flows": ("GET", "/api/flows"),
    }[target]

    assert client.open(path, method=method, json={"path": "a.yml"}).status_code in (200, 201, 202)
    assert client.get("/api/jobs").status_code in (404, 405)
