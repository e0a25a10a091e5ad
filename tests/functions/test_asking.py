"""How a request says that it would wait, and that it may be sent twice."""

from __future__ import annotations

import json

import pytest

from engine.models.requests import LaunchJob

LAUNCH = {"path": "hello.yml", "data": {"a": 1, "b": [2]}}
WHEN = {"path": "hello.yml", "every_seconds": 60}
KEY = {"Idempotency-Key": "3f2c"}
MAKING = [
    ("/api/jobs", LAUNCH, "launch"),
    ("/api/flows/launch", LAUNCH, "launch"),
    ("/api/schedules", WHEN, "create_schedule"),
    ("/api/flows/add", WHEN, "add_flow"),
]


def asked(engine, verb):
    return sum(each[0] == verb for each in engine.asked)


# Waiting


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("wait=20", 20),
        ("wait=60", 60),
        ("wait=61", 60),
        ("wait=999999999", 60),
        ("WAIT = 5", 5),
        ('wait="7"', 7),
        ("respond-async, wait=3", 3),
        ("wait=4; x=y, wait=9", 4),
        ("return=minimal;a=b , wait=2", 2),
        ('x="a, wait=9", wait=8', 8),
        ('x; y="a, wait=9"; z, wait=8', 8),
        ('x="a\\", wait=9", wait=8', 8),
        ('wait=8; y="a, wait=9"', 8),
        ('x="a, wait=9', 0),
        ('"wait=9"', 0),
        ("x; wait=9", 0),
        ("wait=0", 0),
        ("wait", 0),
        ("wait=", 0),
        ("wait=-1", 0),
        ("wait=1.5", 0),
        ("wait=a", 0),
        ("wait=1e3", 0),
        ("wait=\u0663".encode().decode("latin-1"), 0),
        ("wait=9999999999999999999999", 60),
        ("waiting=5", 0),
        ("x=wait=5", 0),
        ("", 0),
        (",;=," * 5000, 0),
    ],
)
@pytest.mark.parametrize("path", ["/api/jobs", "/api/flows/launch"])
def test_a_launch_waits_as_long_as_is_preferred_and_says_so(client, engine, path, header, seconds):
    answer = client.post(path, json=LAUNCH, headers={"Prefer": header})

    assert answer.status_code == 202
    assert engine.waited == [seconds]
    assert answer.headers.get("Preference-Applied") == (f"wait={seconds}" if seconds else None)


def test_what_is_no_launch_waits_for_nothing(client):
    answer = client.get("/api/jobs", headers={"Prefer": "wait=20"})

    assert answer.status_code == 200
    assert "Preference-Applied" not in answer.headers


# Once


@pytest.mark.parametrize(("path", "body", "verb"), MAKING)
def test_the_same_request_under_the_same_key_is_answered_as_at_first_and_makes_nothing(
    client, engine, path, body, verb
):
    first = client.post(path, json=body, headers=KEY)
    second = client.post(path, data=json.dumps(dict(reversed(body.items())), indent=3), headers=KEY)

    assert (first.status_code, first.json) == (second.status_code, second.json)
    assert first.headers.get("Location") == second.headers.get("Location")
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert asked(engine, verb) == 1
    assert len(engine.recorded) == 1


@pytest.mark.parametrize(("path", "body", "verb"), MAKING)
def test_without_a_key_each_request_makes_something(client, engine, path, body, verb):
    for _ in range(2):
        assert client.post(path, json=body).status_code in (201, 202)

    assert asked(engine, verb) == 2


@pytest.mark.parametrize("body", [{**LAUNCH, "data": {"a": 1, "b": [3]}}, {**LAUNCH, "priority": 1}, {"path": "b.yml"}])
def test_another_body_under_the_key_is_a_conflict(client, engine, body):
    client.post("/api/jobs", json=LAUNCH, headers=KEY)

    answer = client.post("/api/jobs", json=body, headers=KEY)

    assert (answer.status_code, answer.json["code"]) == (409, "idempotency_key_reused")
    assert "take a new key" in answer.json["error"]
    assert asked(engine, "launch") == 1


def test_another_operation_under_the_key_is_a_conflict(client):
    client.post("/api/jobs", json=LAUNCH, headers=KEY)

    assert client.post("/api/flows/launch", json=LAUNCH, headers=KEY).status_code == 409


def test_a_default_that_is_written_out_is_the_same_request(client):
    client.post("/api/jobs", json={"path": "hello.yml"}, headers=KEY)

    answer = client.post("/api/v1/jobs", json={"path": "hello.yml", "data": None, "priority": 0}, headers=KEY)

    assert answer.headers["Idempotent-Replayed"] == "true"


def test_a_default_that_has_changed_makes_no_other_request_of_what_was_sent_without_it():
    class Changed(LaunchJob):
        priority: int = 5

    before, after = (model.read({"path": "hello.yml", "data": {"a": 1}}) for model in (LaunchJob, Changed))

    assert dict(before) != dict(after)
    assert before.chosen() == after.chosen() == {"path": "hello.yml", "data": {"a": 1}}


def test_keys_of_two_callers_are_two_keys(client, engine):
    for role in ("operator", "admin"):
        answer = client.post("/api/jobs", json=LAUNCH, headers={**KEY, "Authorization": f"Bearer {role}"})
        assert answer.status_code == 202

    assert asked(engine, "launch") == 2


@pytest.mark.parametrize("key", ["", " ", "a b", "k\tk", "k" * 256, "schl\u00fcssel"])
def test_a_key_that_cannot_be_one_is_refused_before_anything_is_made(client, engine, key):
    answer = client.post("/api/jobs", json=LAUNCH, headers={"Idempotency-Key": key})

    assert (answer.status_code, answer.json["code"]) == (400, "request_invalid")
    assert "1 to 255 visible ASCII characters" in answer.json["error"]
    assert asked(engine, "launch") == 0


def test_the_longest_key_is_taken(client):
    assert client.post("/api/jobs", json=LAUNCH, headers={"Idempotency-Key": "~" * 255}).status_code == 202
