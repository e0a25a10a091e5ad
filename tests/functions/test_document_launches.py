"""Launching a document at its own address, and the description of that for each document that declares inputs."""

from __future__ import annotations

import json
from urllib.parse import urljoin

import pytest
from described import description
from jsonschema import Draft202012Validator
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from engine.errors import InputsInvalid
from engine.models.flow import FlowInputs
from engine.models.inputs import Input, Kind
from functions._openapi.launches import operation_id

INPUTS = (
    Input("host", description="Where to", pattern="^[a-z]+$"),
    Input("size", Kind.INTEGER, default=3, enum=(3, 4), is_required=False),
    Input("word", is_secret=True),
)


def declared(path, inputs=INPUTS):
    return FlowInputs(path, f"The {path}", "Does it.", inputs, f"digest of {path}", 100)


def launches(client, **options):
    """The operations that are described only with a token, by their path."""
    paths = client.get("/api/openapi.json", **options).json["paths"]
    return {path: methods["post"] for path, methods in paths.items() if path not in description()["paths"]}


@pytest.mark.parametrize("path", ["hello.yml", "deep/er/hello.yml"])
def test_the_body_is_the_inputs_and_the_address_the_document(client, engine, path):
    address = f"/api/documents/{path}/launch"

    answer = client.post(f"{address}?timeout_seconds=5&priority=-3", json={"path": "x", "data": 1, "_values": 2})

    assert answer.status_code == 202
    assert engine.asked[-1] == (
        "launch", path, {"path": "x", "data": 1, "_values": 2}, {"timeout_seconds": 5.0, "priority": -3},
    )  # fmt: skip
    assert urljoin(address, answer.headers["Location"]) == "/api/jobs/job-new"
    assert (engine.recorded[-1].action, engine.recorded[-1].target) == ("launch_document", path)


@pytest.mark.parametrize(
    ("address", "jobs"),
    [
        ("/api/documents/deep/hello.yml/launch", "/api/jobs/"),
        ("/api/documents/deep/hello.yml/launch/", "/api/jobs/"),
        ("/api/v1/documents/deep/hello.yml/launch/", "/api/v1/jobs/"),
        ("/api/documents/deep%2Fhello.yml/launch", "/api/jobs/"),
        ("/api/v1/documents/very%2fdeep%2Fhello.yml/launch?priority=1", "/api/v1/jobs/"),
        ("/api/documents/de%20ep/./hello.yml/launch?priority=1", "/api/jobs/"),
        ("/api/jobs/", "/api/jobs/"),
        ("/api/v1/jobs", "/api/v1/jobs/"),
        ("/api/flows/launch/", "/api/jobs/"),
    ],
)
def test_the_job_is_found_from_wherever_it_was_launched(client, address, jobs):
    answer = client.post(address, json={"path": "hello.yml"})

    assert answer.status_code == 202
    place = urljoin(f"http://host/prefix{address.replace('/./', '/x/')}", answer.headers["Location"])
    assert place == f"http://host/prefix{jobs}job-new"


def test_other_inputs_under_the_same_idempotency_key_are_another_request(client):
    header = {"Idempotency-Key": "k1"}

    answers = [
        client.post("/api/documents/hello.yml/launch", json={"host": host}, headers=header)
        for host in ("web", "web", "db")
    ]

    assert [answer.status_code for answer in answers] == [202, 202, 409]


@pytest.mark.parametrize(
    ("query", "body", "word"),
    [
        ("?timeout_seconds=0", {}, "timeout_seconds"),
        ("?priority=1.5", {}, "priority"),
        ("?host=web", {}, "host"),
        ("", [], "object"),
        ("", None, "empty"),
    ],
)
def test_what_cannot_be_used_is_named(client, query, body, word):
    text = "" if body is None else json.dumps(body)

    answer = client.post(f"/api/documents/hello.yml/launch{query}", data=text)

    assert (answer.status_code, answer.json["code"]) == (400, "request_invalid")
    assert word in answer.json["error"]


def test_inputs_that_do_not_fit_are_a_400_with_each_of_them(client, engine):
    engine.error = InputsInvalid("hello.yml", [("host", "is required"), ("size", "must be text")])

    answer = client.post("/api/documents/hello.yml/launch", json={})

    assert (answer.status_code, answer.json["code"]) == (400, "inputs_invalid")
    assert answer.json["details"] == [
        {"field": "host", "message": "is required"},
        {"field": "size", "message": "must be text"},
    ]


# The description


def test_with_a_token_the_description_has_an_operation_for_each_document(client, engine):
    engine.declared = [declared("hello.yml"), declared("a b/{x}.yml")]

    found = launches(client)

    assert list(found) == ["/api/documents/hello.yml/launch", "/api/documents/a%20b/%7Bx%7D.yml/launch"]
    one = found["/api/documents/hello.yml/launch"]
    assert (one["operationId"], one["summary"]) == (operation_id("hello.yml"), "Launch The hello.yml")
    assert "Needs the role `operator`." in one["description"]
    assert [each["name"] for each in one["parameters"]] == ["timeout_seconds", "priority", "Prefer", "Idempotency-Key"]
    assert {"202", "400", "409"} <= set(one["responses"])


def test_it_says_what_the_inputs_are(client, engine):
    engine.declared = [declared("hello.yml")]

    [one] = launches(client).values()
    schema = one["requestBody"]["content"]["application/json"]["schema"]

    assert schema["required"] == ["host", "word"]
    assert schema["properties"]["host"] == {
        "type": "string", "description": "Where to", "pattern": "^[a-z]+$", "maxLength": 10_000,
    }  # fmt: skip
    assert schema["properties"]["size"] == {"type": "integer", "default": 3, "enum": [3, 4]}
    assert schema["properties"]["word"]["writeOnly"] is True
    assert schema["properties"]["word"]["format"] == "password"
    validator = Draft202012Validator(schema)
    assert validator.is_valid({"host": "web", "word": "hunter2"})
    assert not validator.is_valid({"host": "web", "word": "hunter2", "more": 1})


def test_it_is_openapi_with_these_too(client, engine):
    engine.declared = [declared("hello.yml"), declared("a b/{x}.yml")]

    described = client.get("/api/openapi.json").json

    assert [error.message for error in OPENAPI_31_VALIDATOR.iter_errors(described)] == []


def test_strangers_are_not_told_what_documents_there_are(client, engine):
    engine.declared = [declared("hello.yml")]
    client.environ_base.pop("HTTP_AUTHORIZATION")

    answer = client.get("/api/openapi.json")

    assert answer.json == description() | {"servers": answer.json["servers"]}
    assert engine.asked == []
    assert answer.headers["Vary"] == "Authorization"


@pytest.mark.parametrize(("token", "status", "count"), [("viewer", 200, 1), ("tick", 200, 0), ("nobody", 401, None)])
def test_who_is_told(client, engine, token, status, count):
    engine.declared = [declared("hello.yml")]
    header = {"Authorization": f"Bearer {token}"}

    answer = client.get("/api/openapi.json", headers=header)

    assert answer.status_code == status
    if count is not None:
        assert len(launches(client, headers=header)) == count


def test_a_change_of_a_document_changes_the_description_and_its_tag(client, engine):
    engine.declared = [declared("hello.yml")]
    first = client.get("/api/openapi.json")
    same = client.get("/api/openapi.json", headers={"If-None-Match": first.headers["ETag"]})
    engine.declared = [declared("hello.yml"), declared("new.yml")]
    changed = client.get("/api/openapi.json", headers={"If-None-Match": first.headers["ETag"]})

    assert (same.status_code, changed.status_code) == (304, 200)
    assert "new.yml" in changed.text


def test_no_two_documents_share_an_operation_id_and_none_depends_on_others():
    paths = ["a-b.yml", "a_b.yml", "a/b.yml", "a.b.yml", "A-b.yml", "ä.yml", "ö.yml", "x" * 300, "x" * 301]

    ids = [operation_id(path) for path in paths]

    assert len(set(ids)) == len(paths)
    assert operation_id("reports/daily.yml") == "launch_reports_daily_yml_1b3d9620"
    assert all(id.isascii() and id.isidentifier() for id in ids)


def test_documents_that_say_a_lot_are_still_json(client, engine):
    engine.declared = [declared(f"{number}.yml") for number in range(1_000)]

    answer = client.get("/api/openapi.json")

    assert len(json.loads(answer.data)["paths"]) == len(description()["paths"]) + 1_000


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["hello.yml", "deep/er/hello.yml"])
def test_the_address_of_a_launch_is_no_document(client, method, path):
    for end in ("launch", "launch/"):
        answer = client.open(f"/api/documents/{path}/{end}", method=method)

        assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
