"""What holds for every operation: routes, tokens, roles, errors."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from engine.errors import (
    DatabaseBusy,
    FlowNotFound,
    FlowRunning,
    JobActive,
    OctoflowError,
    PathRefused,
    SettingInvalid,
    TooLarge,
)
from functions import _http, main
from functions._caller import bearer_token, is_loopback


def leaves(kind: type[OctoflowError] = OctoflowError) -> Iterator[type[OctoflowError]]:
    assert main.api  # every operation and error is imported by now
    below = [each for each in kind.__subclasses__() if each.__module__ in ("engine.errors", "functions._engine")]
    if not below:
        yield kind
    for each in below:
        yield from leaves(each)


@pytest.mark.parametrize("leaf", list(leaves()))
def test_every_error_has_a_status(leaf):
    error = leaf.__new__(leaf)

    assert 400 <= _http.status_of(error) <= 503
    assert _http.status_of(error) != 500


def test_no_two_errors_share_a_code():
    codes = [leaf.code for leaf in leaves()]

    assert len(codes) == len(set(codes))


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (FlowNotFound("No flow 'x.yml'."), 404, "flow_not_found"),
        (JobActive("The job runs."), 409, "job_active"),
        (PathRefused("'../x' leads outside."), 400, "path_refused"),
        (TooLarge("Too large."), 413, "too_large"),
        (DatabaseBusy("Busy."), 503, "database_busy"),
        (SettingInvalid("API_PORT='x' must be a whole number."), 503, "setting_invalid"),
    ],
)
def test_an_error_is_answered_with_its_status_sentence_and_code(client, engine, error, status, code):
    engine.error = error

    answer = client.get("/api/jobs")

    assert answer.status_code == status
    assert answer.json == {"error": str(error), "code": code}
    assert answer.headers.get("Retry-After") == ("1" if status == 503 else None)


def test_fields_and_details_of_an_error_are_in_the_answer(client, engine):
    engine.error = FlowRunning("job-7")
    engine.error.details = [{"field": "path"}]

    answer = client.post("/api/jobs", json={"path": "hello.yml"})

    assert answer.status_code == 409
    assert answer.json == {
        "error": "A job for this flow is already running.",
        "code": "flow_running",
        "job_id": "job-7",
        "details": [{"field": "path"}],
    }


def test_an_unexpected_error_is_logged_and_not_shown(client, engine, caplog):
    engine.error = RuntimeError("password=hunter2")

    with caplog.at_level(logging.ERROR):
        answer = client.get("/api/jobs")

    assert answer.status_code == 500
    assert answer.json["code"] == "internal"
    assert "hunter2" not in answer.text
    logged = next(record for record in caplog.records if record.name == "functions._http")
    assert logged.getMessage().split("(")[1].strip(")") in answer.json["error"]
    assert logged.exc_info[1] is engine.error


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic admin", "admin", "Bearer ADMIN"]
)
def test_without_a_known_token_the_answer_is_always_the_same(app_of, engine, header):
    client = app_of("api").test_client()

    answer = client.get("/api/jobs", headers={} if header is None else {"Authorization": header})

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json == {"error": "A token that is known, please.", "code": "unauthenticated"}


@pytest.mark.parametrize(
    "operation", [each for each in _http.OPERATIONS if each.role is not None], ids=lambda o: o.name
)
def test_every_operation_but_the_open_ones_asks_for_a_token_first(app_of, engine, operation):
    client = app_of("api").test_client()

    answer = client.open(
        operation.path.replace("<id>", "job-1"), method=operation.method, data="no JSON", query_string="a=b"
    )

    assert answer.status_code == 401
    assert [what for what, *_ in engine.asked] == ["is_allowed"]


def test_only_these_operations_are_open():
    health = {"healthz", "healthz_tick", "readyz"}
    description = {"apidocs", "docs_file", "docs_page", "flow_schema", "openapi_json"}

    assert {each.name for each in _http.OPERATIONS if each.role is None} == health | description


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer abc", "abc"),
        ("BEARER  abc ", "abc"),
        ("Bearer a b", "a b"),
        ("Bearer schl\u00c3\u00bcssel", "schlüssel"),
        ("Bearer \u00fc", "\u00fc"),
        ("Token abc", ""),
        ("", ""),
    ],
)
def test_the_token_of_a_header(header, token):
    assert bearer_token(header) == token


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("::ffff:127.0.0.1", True),
        ("10.0.0.1", False), ("::ffff:10.0.0.1", False), ("0.0.0.0", False), ("", False), ("localhost", False),
    ],
)  # fmt: skip
def test_which_addresses_are_loopback(address, expected):
    assert is_loopback(address) is expected


@pytest.mark.parametrize(
    ("address", "headers", "is_local"),
    [
        ("127.0.0.1", {}, True),
        ("10.1.2.3", {}, False),
        ("127.0.0.1", {"X-Forwarded-For": "127.0.0.1"}, False),
        ("127.0.0.1", {"Forwarded": ""}, False),
        ("127.0.0.1", {"X-Real-IP": "1.2.3.4"}, False),
        ("127.0.0.1", {"Via": "1.1 proxy"}, False),
        ("127.0.0.1", {"X-Forwarded-Port": "443"}, False),
        ("127.0.0.1", {"True-Client-IP": "1.2.3.4"}, False),
        ("127.0.0.1", {"X-Client-IP": "1.2.3.4"}, False),
        ("127.0.0.1", {"CF-Connecting-IP": "1.2.3.4"}, False),
        ("127.0.0.1", {"X-Forwarding-Is-Not-Meant": "1"}, True),
        ("127.0.0.1", {"Host": "127.0.0.1:5000"}, True),
        ("::1", {"Host": "[::1]:5000"}, True),
        ("::1", {"Host": "[::1]"}, True),
        ("127.0.0.1", {"Host": "rebound.example:5000"}, False),
    ],
)
def test_whether_a_caller_is_on_this_machine(client, engine, address, headers, is_local):
    client.get("/api/jobs", headers=headers, environ_base={"REMOTE_ADDR": address})

    assert engine.asked[0] == ("is_allowed", "admin", is_local)


def test_http_1_0_is_what_a_proxy_speaks_that_says_nothing_of_itself(client, engine):
    client.get("/api/jobs", environ_overrides={"SERVER_PROTOCOL": "HTTP/1.0"})

    assert engine.asked[0] == ("is_allowed", "admin", False)


@pytest.mark.parametrize(
    ("role", "method", "path", "status"),
    [
        ("viewer", "GET", "/api/jobs", 200),
        ("viewer", "POST", "/api/jobs", 403),
        ("viewer", "POST", "/api/tick", 403),
        ("operator", "POST", "/api/jobs/job-1/cancel", 202),
        ("operator", "DELETE", "/api/jobs/job-1", 403),
        ("operator", "POST", "/api/tick", 200),
        ("editor", "DELETE", "/api/jobs/job-1", 403),
        ("admin", "DELETE", "/api/jobs/job-1", 200),
        ("tick", "POST", "/api/tick", 200),
        ("tick", "GET", "/api/jobs", 403),
    ],
)
def test_roles(client, role, method, path, status):
    answer = client.open(path, method=method, headers={"Authorization": f"Bearer {role}"})

    assert answer.status_code == status
    if status == 403:
        assert answer.json["code"] == "forbidden"
        assert f"has the role {role}" in answer.json["error"]


@pytest.mark.parametrize("path", ["/api/jobs", "/api/v1/jobs", "/api/jobs/", "/api/v1/jobs/"])
def test_a_list_has_several_spellings(client, path):
    assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/", "/api", "/api/nothing", "/api/jobs/%00", "/api/v2/jobs", "/v1/healthz"])
def test_an_unknown_path_is_not_found_and_needs_no_token(app_of, engine, path):
    answer = app_of("api").test_client().get(path)

    assert answer.status_code == 404
    assert answer.json["code"] == "not_found"
    assert answer.json["error"].endswith("what there is, `/api/docs/` shows.")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "OPTIONS", "TRACE"])
def test_another_method_is_refused_with_those_that_are_possible(client, method):
    answer = client.open("/api/jobs", method=method)

    assert answer.status_code == 405
    assert answer.headers["Allow"] == "DELETE, GET, HEAD, POST"
    assert answer.json["code"] == "method_not_allowed"


def test_head_is_get_without_the_body(client):
    head, get = client.head("/api/jobs"), client.get("/api/jobs")

    assert head.status_code == 200
    assert head.data == b""
    assert head.headers["Content-Length"] == get.headers["Content-Length"]


def test_answers_are_compact_json_that_nobody_stores(client):
    answer = client.get("/api/jobs?limit=1")

    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert b'"limit":1,"offset":0' in answer.data


def test_an_operation_alone_answers_at_its_full_path_only(app_of, engine):
    client = app_of("launch_job").test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = "Bearer admin"

    launched = client.post("/api/v1/jobs", json={"path": "hello.yml"})
    elsewhere = client.get("/api/jobs/job-1")
    otherwise = client.get("/api/jobs")

    assert (launched.status_code, launched.json) == (202, {"job_id": "job-new"})
    assert elsewhere.status_code == 404
    assert (otherwise.status_code, otherwise.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize("name", [each.name for each in _http.OPERATIONS])
def test_every_operation_can_be_served_alone(app_of, engine, name):
    answer = app_of(name).test_client().get("/nowhere")

    assert answer.json["code"] == "not_found"
