"""Faults of what is said to the service and what it says, by their numbers: secrets, logs, results, bodies, tokens."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any
from urllib.parse import quote

import pytest
import requests
from peers import Handler, send
from services import TOKEN

PASSWORD, KEY = "canary/pass word+1&", 'canary"key\\3'
BASIC = b64encode(f"canary-user:{PASSWORD}".encode()).decode()
KINDS = {"basic": "basic", "bearer": "token", "key": "api-key"}
VALUE = {"name": "v", "type": "set_fact", "set_fact": {"value": 1}}


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    return {"LOG_LEVEL": "DEBUG", "MAX_RESULT_BYTES": "1000000"}


def echo(handler: Handler) -> None:
    """Answers with everything it was told, and with every secret in other spellings."""
    spelled = [PASSWORD, quote(PASSWORD, safe=""), json.dumps(KEY), BASIC, quote(BASIC), BASIC[3:], KEY.encode().hex()]
    said = {"headers": dict(handler.headers), "spelled": spelled, f"key {PASSWORD}": 1}
    send(handler, 500 if handler.path == "/broken" else 200, said)


# Secrets: what none of these tests looks for itself, the fixture does after each.


@pytest.mark.parametrize("path", ["/fine", "/broken"])
@pytest.mark.parametrize(
    "then",
    [
        {"name": "then", "type": "debug", "debug": {}},
        {"name": "then", "type": "debug", "debug": {"type": "json"}},
        {"name": "then", "type": "jq", "jq": {"expression": "error(tostring)"}},
        {"name": "then", "type": "jq", "jq": {"expression": "tostring | @uri, @base64, @json, @html, @sh"}},
        {"name": "then", "type": "exit", "exit": {"message": "{{ call | default(__errors__) }}"}},
        {"name": "then", "type": "set_fact", "set_fact": {"value": "{{ nope[call | default('x') | string] }}"}},
        {"name": "{{ then }}", "type": "file", "file": {"path": "{{ call | default('x') | string }}"}},
        {
            "name": "then",
            "type": "rest",
            "rest": {"uri": "http://127.0.0.1:1/{{ call | default(1) | string | urlencode }}"},
        },
        {"name": "then", "type": "goto", "goto": {"step_name": "{{ call | default('x') | string }}"}},
    ],
    ids=lambda step: f"{step['type']}" if isinstance(step, dict) else None,
)
def test_row_81_no_secret_is_in_any_byte_that_stays(other, run, service, path, then):
    other.answer = echo
    options = [{"uri": other.url + path, "authentication": {"type": KINDS[name], "secret": name}} for name in KINDS]
    calls = [
        {"name": f"call {number}", "type": "rest", "rest": each, "result_key": "call", "ignore_errors": [".*"]}
        for number, each in enumerate(options)
    ]

    job = run(*calls, then)

    service.get(f"/api/jobs/{job['id']}/logs")
    service.get("/api/jobs")
    assert len(other.asked) == len(KINDS)
    assert "***" in json.dumps(job)


# Logs


@pytest.mark.parametrize(
    "text", ["a\nb", 'x"}\n{"level": "INFO", "message": "forged"}', "\x1b[31mred", "a\r\nb", "\u2028", "\0"]
)
@pytest.mark.parametrize("place", ["path", "data", "query", "header", "address"])
def test_row_82_nobody_forges_a_line_of_the_log(service, run, text, place):
    before = service.text().count("\n")
    match place:
        case "path":
            service.post("/api/jobs", {"path": text})
        case "data":
            run({"name": "show", "type": "debug", "debug": {"data_key": "__input__", "type": "text"}}, data=text)
        case "query":
            service.get("/api/jobs", params={"path": text, "state": text})
        case "header":
            service.get("/api/jobs", headers={"X-Forwarded-For": quote(text), "User-Agent": repr(text)})
        case "address":
            service.get(f"/api/jobs/{quote(text, safe='')}")

    lines = service.text().split("\n")[before:-1]
    assert lines
    for line in lines:
        assert json.loads(line)["message"] != "forged"
        assert "\x1b" not in line


def test_row_82_the_log_of_a_job_keeps_what_was_written_as_one_line(service, run):
    job = run(
        {"name": "show", "type": "debug", "debug": {"data_key": "__input__", "type": "text"}}, data="a\nb\x1b[31m"
    )

    lines = service.get(f"/api/jobs/{job['id']}/logs").json()["logs"]
    assert len([line for line in lines if line["step"] == "show"]) == 1


# Results


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("{{ 'x' * 600000 }}", "limit"),
        ("{{ _none | default('x' * 400000) }}", None),
        ("{{ 1e308 * 10 }}", "step_error"),
        ("{{ {1: 2, none: 3} }}", "step_error"),
        ("{{ range(3) }}", None),
        ("{{ namespace(a=1) }}", "step_error"),
        ({"a": ["é", "\U0001f600", "\u2028", ""]}, None),
        (12345678901234567890123, None),
    ],
)
def test_row_83_a_result_that_is_no_json_or_too_large_never_loses_the_status(run, value, reason):
    again = {"name": "again", "type": "set_fact", "set_fact": {"value": "{{ v }}"}}

    job = run({"name": "v", "type": "set_fact", "set_fact": {"value": value}}, again)

    if reason == "step_error":
        assert (job["status"], job["reason"]) == ("failed", "step_error")
    else:
        assert (job["status"], job["reason"]) == ("success", reason)
        assert (job["result"] is None) == (reason == "limit")


@pytest.mark.parametrize(
    "expression", ["nan", "infinite", "-infinite", "[nan]", "{a: infinite}", "[limit(3; repeat(nan))]"]
)
def test_row_83_numbers_that_json_has_not_do_not_get_into_a_result(run, expression):
    job = run({"name": "v", "type": "jq", "jq": {"expression": expression}})

    assert job["state"] == "finished"
    json.dumps(job, allow_nan=False)  # Python reads such numbers, and would write them again.


# Bodies

NO_OBJECT = [
    b"", b"{", b"[]", b'"x"', b"null", b"true", b"12", b"\xff\xfe", b"{} x", b"{'path': 'x'}",
    b'{"path": "a", "path": "b"}',
    b'{"path": "a", "data": NaN}', b'{"path": "a", "data": 1e999}', b'{"path": "a", "data": ' + b"[" * 40_000,
    b'{"path": "a", "data": ' + b"1" * 5_000 + b"}", b"path=a.yml", b"<xml/>", '{"path": "a"}'.encode("utf-16"),
]  # fmt: skip
WRONG: list[dict[str, Any]] = [
    {}, {"path": None}, {"path": 3}, {"path": ""}, {"path": []}, {"path": "x" * 2_000}, {"path": "a", "colour": "red"},
    *({"path": "a.yml", "timeout_seconds": value} for value in ("abc", "5", True, None, 0, -1, 1e9, [], {})),
    *({"path": "a.yml", "priority": value} for value in ("high", 1.5, 10**30, None)),
    *({"path": "a.yml", "cron": value} for value in (5, [], "", "61 99 * * *", "x" * 10_000)),
    *({"path": "a.yml", "every_seconds": value} for value in ("x", 0, -5, 1.5, True, 10**12)),
    {"text": 5}, {"name": "x" * 10_000, "role": "king"}, {"flows": 7},
]  # fmt: skip


def posts(service: Any) -> list[str]:
    """Every path that takes a body, as the service's own description has it."""
    description = service.get("/api/openapi.json").json()
    return sorted(path for path, methods in description["paths"].items() if "requestBody" in methods.get("post", {}))


@pytest.mark.parametrize(
    "body", [*NO_OBJECT, *(json.dumps(each).encode() for each in WRONG)], ids=lambda body: repr(body[:40])
)
def test_row_84_a_body_that_makes_no_sense_is_refused_wherever_it_is_sent(service, body):
    paths = posts(service)
    assert "/api/jobs" in paths

    for path in paths:
        answer = service.session.post(service.url + path.replace("{id}", "x"), data=body, timeout=20)

        assert answer.status_code in (400, 404, 413), (path, answer.text)
        assert set(answer.json()) >= {"error", "code"}


@pytest.mark.parametrize("path", ["/api/jobs", "/api/schedules", "/api/flows/add", "/api/flows/launch", "/api/keys"])
def test_row_84_a_body_over_the_limit_is_refused_unread(service, path):
    answer = service.session.post(service.url + path, data=b'{"path": "' + b"x" * 11_000_000 + b'"}', timeout=20)

    assert answer.status_code == 413
    assert answer.json()["code"] == "too_large"


@pytest.mark.parametrize(
    "query",
    [
        "limit=-1", "limit=0", "limit=501", "limit=abc", "limit=1&limit=2", "limit=1e3", "limit=٣",
        "offset=-1", "offset=99999999999999999999", "state=nonsense", "status=nonsense", "start_time_from=nonsense",
        "colour=red", "start_time_from=99999999999999999", "count=maybe", "start_time_from=0000-00-00", "path=%00",
        "schedule_id=%ff",
    ],
)  # fmt: skip
def test_row_84_a_query_that_makes_no_sense_is_refused(service, query):
    answer = service.get(f"/api/jobs?{query}")

    assert answer.status_code in (200, 400), answer.text
    assert answer.status_code == 400 or query.startswith(("path", "schedule_id"))


@pytest.mark.parametrize(
    "id",
    [
        "x",
        "..",
        "%2e%2e",
        "a%0Ab",
        "%00",
        "a%2Fb",
        "'; DROP TABLE jobs; --",
        "x" * 5_000,
        "%ff",
        "é",
        "{{ 7*7 }}",
        "%E2%80%A8",
    ],
    ids=lambda id: id[:20],
)
def test_row_84_an_id_that_nobody_has_is_not_found(service, id):
    for place in ["/api/jobs/{}", "/api/jobs/{}/logs", "/api/schedules/{}", "/api/flows/{}", "/api/locks/{}"]:
        method = "DELETE" if "locks" in place else "GET"

        answer = service.session.request(method, service.url + place.format(id), timeout=20)

        assert answer.status_code in (400, 404, 405, 414), (place, answer.text)
        assert answer.status_code == 414 or "error" in answer.json(), place


# Tokens

AUTHORIZATIONS = [
    None, "", "Bearer", "Bearer ", "Bearer  ", "Bearer wrong", "Bearer default_token", f"Basic {TOKEN}", TOKEN,
    f"Bearer {TOKEN.upper()}", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x", f"Bearer '{TOKEN}'", f"Token {TOKEN}",
    f"Bearer {TOKEN},Bearer x", "Bearer \u00e9", "Bearer \xff\xfe", f"Bearer{TOKEN}", "Bearer null", "Bearer octo_x_y",
    "Bearer " + "x" * 4_000,
]  # fmt: skip
PLACES = [
    ("GET", "/api/jobs"), ("POST", "/api/jobs"), ("GET", "/api/jobs/x"), ("DELETE", "/api/jobs"), ("POST", "/api/tick"),
    ("GET", "/api/schedules"), ("POST", "/api/keys"), ("GET", "/api/audit"), ("DELETE", "/api/locks"),
    ("GET", "/api/v1/jobs"),
]  # fmt: skip


@pytest.mark.parametrize("authorization", AUTHORIZATIONS, ids=lambda value: repr(value)[:40])
def test_row_85_without_a_known_token_the_answer_is_the_same_everywhere(service, authorization):
    headers = {} if authorization is None else {"Authorization": authorization.encode("latin-1")}

    with requests.Session() as session:
        answers = [session.request(method, service.url + path, headers=headers, timeout=20) for method, path in PLACES]

    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1
    assert {answer.headers["WWW-Authenticate"] for answer in answers} == {"Bearer"}


def test_row_85_a_header_of_two_hundred_kilobytes_is_refused_and_others_are_served(service):
    with requests.Session() as session:
        try:
            status = session.get(
                f"{service.url}/api/jobs", headers={"Authorization": "Bearer " + "x" * 200_000}, timeout=20
            )
            assert status.status_code in (400, 401, 431)
        except requests.ConnectionError:
            pass  # Closed while we were still sending.

    assert service.get("/api/jobs").status_code == 200


@pytest.mark.parametrize(
    "authorization", [f"bearer {TOKEN}", f"BEARER {TOKEN}", f"Bearer  {TOKEN}", f"Bearer {TOKEN} "]
)
def test_row_85_the_scheme_is_read_in_any_case(service, authorization):
    assert (
        requests.get(f"{service.url}/api/jobs", headers={"Authorization": authorization}, timeout=20).status_code == 200
    )


@pytest.mark.parametrize(
    "path", ["/static/../api/jobs", "/api/jobs/configs", "//api/jobs", "/api//jobs", "/healthz/../api/jobs"]
)
def test_row_85_no_spelling_of_a_path_goes_around_the_token(service, path):
    with requests.Session() as session:
        prepared = session.prepare_request(requests.Request("GET", service.url))
        prepared.url = service.url + path
        answer = session.send(prepared, timeout=20, allow_redirects=False)

    assert answer.status_code in (401, 404, 308), answer.text
