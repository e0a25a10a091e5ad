"""The API described by itself: complete, true, and reachable behind a proxy."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from inspect import signature
from urllib.parse import urljoin

import pytest
from described import answer_of, check, description, operations
from jsonschema import Draft202012Validator, ValidationError
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from engine import errors
from engine.models import requests
from engine.settings import Settings
from functions import _engine, _http
from functions._openapi import describe
from functions._openapi.errors import leaves_of
from functions._openapi.parameters import names_in_path
from functions.docs import FILES

INSIDE_A_JOB = {"secret_not_found", "secret_unavailable"}
"""Errors that no request meets, since only jobs ask for secrets."""
ELSEWHERE = {"setting_invalid"}
"""Errors of a start, which a request meets as `not_ready`, and of the description itself."""


def leaves(kind: type[errors.OctoflowError] = errors.OctoflowError) -> Iterator[type[errors.OctoflowError]]:
    below = [each for each in kind.__subclasses__() if each.__module__ in ("engine.errors", "functions._engine")]
    yield from [kind] if not below else (leaf for each in below for leaf in leaves(each))


def codes_of(described) -> dict[str, set[str]]:
    """The words that `code` can be, by status."""
    found = {}
    for status in described["responses"]:
        schema = answer_of(described, int(status)).get("content", {}).get("application/json", {}).get("schema", {})
        if "allOf" in schema:
            found[status] = set(schema["allOf"][1]["properties"]["code"]["enum"])
    return found


def test_it_is_openapi_3_1():
    assert [error.message for error in OPENAPI_31_VALIDATOR.iter_errors(description())] == []


def test_every_operation_is_described():
    assert set(operations()) == {each.name for each in _http.OPERATIONS}


def test_headings_are_words_and_are_not_said_twice():
    for tag in description()["tags"]:
        assert re.fullmatch("[A-Z][a-z ]+", tag["name"])
        assert not tag["description"].startswith(tag["name"])


@pytest.mark.parametrize("operation", _http.OPERATIONS, ids=lambda each: each.name)
def test_what_is_said_of_an_operation(operation):
    described = operations()[operation.name]

    assert described["summary"]
    assert not described["summary"].endswith(".")
    assert "`" not in described["summary"]  # Readers show it as it stands.
    assert ("security" in described, described.get("security", [])) == (operation.role is None, [])
    assert [each["name"] for each in described["parameters"] if each["in"] == "path"] == names_in_path(operation.path)
    assert all(each["description"] for each in described["parameters"])
    assert ("requestBody" in described) is (operation.body_model is not None)
    assert {"401", "403", "400"} <= set(described["responses"]) or operation.role is None
    assert "500" in described["responses"]
    assert any(status[0] in "23" for status in described["responses"])


@pytest.mark.parametrize("operation", _http.OPERATIONS, ids=lambda each: each.name)
def test_every_error_that_an_operation_names_is_described_with_its_status(operation):
    codes = codes_of(operations()[operation.name])

    for leaf in leaves_of(operation):
        assert leaf.code in codes[str(_http.status_of_leaf(leaf))]


def test_every_error_that_a_request_can_meet_is_an_answer_of_some_operation():
    described = {code for each in operations().values() for codes in codes_of(each).values() for code in codes}

    assert {leaf.code for leaf in leaves()} - described == INSIDE_A_JOB


def test_the_members_of_every_error_are_described():
    known = set(description()["components"]["schemas"]["Error"]["properties"])
    own = [
        leaf
        for leaf in leaves()
        if "__init__" in vars(leaf) and leaf not in (errors.DocumentInvalid, errors.InputsInvalid)
    ]
    made = [leaf(*["x"] * (len(signature(leaf.__init__).parameters) - 1)) for leaf in own]

    fields = {name for error in made for name in error.fields}

    assert "job_id" in fields
    assert fields <= known


def test_a_tag_stands_for_a_file_of_operations_and_the_older_ones_are_deprecated():
    older = {name for name, each in operations().items() if each.get("deprecated")}

    assert {tag["name"] for tag in description()["tags"]} == {each["tags"][0] for each in operations().values()}
    assert older == {name for name, each in operations().items() if each["tags"] == ["The first version"]}
    assert "launch_flow" in older


def test_nothing_beside_what_is_described_is_in_an_answer_or_taken_in_a_body():
    schemas = description()["components"]["schemas"]
    objects = {name: schema for name, schema in schemas.items() if schema.get("type") == "object"}

    assert {"Job", "Error", "LaunchJob", "Schedule"} <= set(objects)
    is_open = [name for name, schema in objects.items() if schema.get("additionalProperties") is not False]
    assert is_open == ["GivenInputs"]  # Its document says what it takes.


def test_an_object_is_called_by_its_own_name():
    assert all(name.isalnum() for name in description()["components"]["schemas"])


def test_a_text_with_a_nul_in_a_query_is_refused_as_it_is_described(client):
    texts = [
        (path, each)
        for path, methods in description()["paths"].items()
        for each in methods.get("get", {}).get("parameters", ())
        if each["in"] == "query" and "maxLength" in each["schema"]
    ]

    assert {"before", "q", "glob", "actor", "path", "schedule_id"} <= {each["name"] for _, each in texts}
    for path, each in texts:
        answer = client.get(path.replace("{id}", "1"), query_string={each["name"]: "a\0b"})
        assert answer.status_code == 400
        assert [error.validator for error in Draft202012Validator(each["schema"]).iter_errors("a\0b")] == ["pattern"]


def test_what_is_said_of_a_parameter_is_said_of_this_operation():
    about = {
        name: each["description"]
        for name in ("list_jobs", "get_schedule_slots")
        for each in operations()[name]["parameters"]
        if each["name"] == "before"
    }

    assert "due time" not in about["list_jobs"]
    assert "job" not in about["get_schedule_slots"]


def test_members_that_an_answer_has_from_another_are_explained_like_there():
    schemas = description()["components"]["schemas"]

    assert schemas["Job"]["properties"]["reason"] == schemas["JobSummary"]["properties"]["reason"]
    assert "worker_lost" in schemas["Job"]["properties"]["reason"]["description"]


@pytest.mark.parametrize("name", ["LaunchJob", "AddFlow", "CreateSchedule", "CreateKey"])
def test_the_examples_of_a_body_are_taken(name):
    schema = description()["components"]["schemas"][name]

    assert schema["examples"]
    for example in schema["examples"]:
        getattr(requests, name).read(example)
        Draft202012Validator({**schema, "components": description()["components"]}).validate(example)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("CreateSchedule", {"path": "a.yml"}),
        ("CreateSchedule", {"path": "a.yml", "cron": "@daily", "every_seconds": 60}),
        ("AddFlow", {"path": "a.yml", "cron": "@daily", "every_seconds": 60}),
        ("CreateKey", {"name": "a", "role": "admin", "flows": "x/*"}),
        ("CreateKey", {"name": "-", "role": "viewer"}),
    ],
)
def test_what_a_body_may_not_say_at_once_is_refused_by_its_schema_too(name, body):
    schema = {**description()["components"]["schemas"][name], "components": description()["components"]}

    with pytest.raises(ValidationError):
        Draft202012Validator(schema).validate(body)
    with pytest.raises(errors.RequestInvalid):
        getattr(requests, name).read(body)


def test_a_launch_says_where_to_go_on():
    links = operations()["launch_job"]["responses"]["202"]["links"]

    assert set(links) == {"get_job", "get_job_logs", "cancel_job", "delete_job"}
    assert links["get_job"]["parameters"] == {"id": "$response.body#/job_id"}


def test_no_example_holds_a_secret():
    text = json.dumps(describe(Settings(api_token="a-secret-of-the-test", hashicorp_vault_token="another-secret")))

    assert "a-secret-of-the-test" not in text
    assert "another-secret" not in text
    assert "default_token" not in text


def test_the_schemes_and_the_port_of_the_settings_are_in_the_servers():
    by_name = describe(Settings(api_protocol="https, http", api_port=8443))["servers"][1]

    assert by_name["url"] == "{protocol}://{host}"
    assert by_name["variables"]["protocol"] == {"enum": ["https", "http"], "default": "https"}
    assert by_name["variables"]["host"] == {"default": "localhost:8443"}


@pytest.mark.parametrize("path", ["/api/openapi.json", "/api/v1/openapi.json", "/api/openapi.json/"])
def test_the_description_needs_neither_a_token_nor_an_engine(app_of, process, monkeypatch, path):
    monkeypatch.setattr(process, "get", lambda: pytest.fail("asked for an engine"))
    monkeypatch.setattr(process, "start_soon", lambda: None)

    answer = app_of("api").test_client().get(path)

    assert answer.status_code == 200
    assert answer.mimetype == "application/json"
    assert answer.json["openapi"] == "3.1.0"
    assert urljoin(f"https://host/prefix{path}", answer.json["servers"][0]["url"]) == "https://host/prefix/"


def test_who_has_the_description_already_is_told_so(client):
    first = client.get("/api/openapi.json")

    again = client.get("/api/openapi.json", headers={"If-None-Match": first.headers["ETag"]})
    changed = client.get("/api/openapi.json", headers={"If-None-Match": '"of-another-version"'})

    assert (again.status_code, again.data) == (304, b"")
    assert (changed.status_code, changed.data) == (200, first.data)
    assert first.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("path", ["/api/docs/", "/api/v1/docs/"])
def test_the_page_takes_nothing_from_elsewhere(client, path):
    page = client.get(path)

    policy = page.headers["Content-Security-Policy"]
    assert page.status_code == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert re.findall(r"(?:src|href)=\"(?:https?:|/)", page.text) == []


def test_every_file_that_the_page_loads_is_there(client):
    page = client.get("/api/docs/")

    loaded = re.findall(r"(?:src|href)=\"([^\".?]+\.(?:css|js|png))", page.text)
    answers = {name: client.get(f"/api/docs/{name}") for name in loaded}

    assert sorted(loaded) == sorted(FILES)
    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(loaded, 200)
    assert {name: answer.mimetype for name, answer in answers.items()} == FILES


def test_a_file_whose_address_names_its_version_is_kept_by_browsers(client):
    page = client.get("/api/docs/")

    address = re.search(r"swagger-ui\.css\?[0-9.]+(?=\")", page.text)[0]
    assert "immutable" in client.get(f"/api/docs/{address}").headers["Cache-Control"]
    assert client.get("/api/docs/start.js").headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("file", ["index.html", "..%2Fdocs.py", "%2e%2e", "swagger-ui.js", "swagger-ui.css%00", "."])
def test_no_other_file_is_there(client, file):
    answer = client.get(f"/api/docs/{file}")

    assert answer.status_code == 404
    assert answer.json["code"] in ("file_not_found", "not_found")


@pytest.mark.parametrize("path", ["/api/docs", "/api/v1/docs", "/apidocs", "/apidocs/"])
def test_other_names_lead_to_the_page_also_behind_a_prefix(client, path):
    answer = client.get(path)

    place = urljoin(f"https://host/prefix{path}", answer.headers["Location"])
    assert answer.status_code == 308
    assert place in ("https://host/prefix/api/docs/", "https://host/prefix/api/v1/docs/")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extra": 1}, "Additional properties"),
        ({"state": "lost"}, "is not one of"),
        ({"queued_time": None}, "is not of type 'string'"),
    ],
)
def test_an_answer_that_is_not_as_described_is_found(client, change, message):
    answer = client.get("/api/jobs/job-1")
    answer.set_data(json.dumps({**answer.json, **change}))

    with pytest.raises(ValidationError, match=message):
        check(answer)


def test_a_status_that_is_not_described_is_found(client):
    answer = client.get("/api/jobs")
    answer.status_code = 418

    with pytest.raises(AssertionError, match="list_jobs answers 418"):
        check(answer)


def test_a_path_that_the_framework_does_not_know_is_answered_as_json(client):
    answer = client.get("/api/jobs/a%0Ab")

    assert (answer.status_code, answer.json["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [("/api/flows/add", "POST"), ("/api/schedules/forecast", "GET, HEAD"), ("/api/jobs/forecast", "DELETE, GET, HEAD")],
)
def test_what_is_allowed_at_a_path_is_what_its_own_operations_are(client, path, allowed):
    assert client.open(path, method="PUT").headers["Allow"] == allowed


def test_not_ready_is_told_as_described(app_of, process, monkeypatch):
    def refuse():
        raise _engine.NotReady("No database.")

    monkeypatch.setattr(process, "get", refuse)

    answer = app_of("api").test_client().get("/api/jobs")

    assert (answer.status_code, answer.json["code"]) == (503, "not_ready")
