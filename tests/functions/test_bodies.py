"""What a POST may carry."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import RequestInvalid, TooLarge
from functions._body import Body, take_body
from functions._json import DEEPEST, read_object, to_bytes

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def test_a_launch_passes_on_what_the_body_says(client, engine):
    body = {"path": "a/b.yml", "data": {"n": [1, None]}, "timeout_seconds": 2.5, "priority": -3}

    answer = client.post("/api/jobs", json=body)

    assert (answer.status_code, answer.json) == (202, {"job_id": "job-new"})
    assert engine.asked[-1] == ("launch", "a/b.yml", {"n": [1, None]}, {"timeout_seconds": 2.5, "priority": -3})


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_the_content_type_does_not_matter(client, engine, content_type):
    answer = client.post("/api/jobs", data=b'{"path": "a.yml"}', content_type=content_type)

    assert answer.status_code == 202


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "is empty, and a JSON object is expected: {} "),
        (b"  \n", "is empty"),
        (b"{", "not JSON"),
        (b"{} x", "not JSON"),
        (b"[]", "must be a JSON object, not an array"),
        (b'"x"', "not a string"),
        (b"null", "not null"),
        (b"true", "not a boolean"),
        (b"12", "not a number"),
        (b"\xff\xfe", "not UTF-8 (at byte 0)"),
        ('{"path": "a"}'.encode("utf-16"), "not UTF-8"),
        (b'{"path": "a", "data": NaN}', "holds NaN"),
        (b'{"path": "a", "data": [-Infinity]}', "holds -Infinity"),
        (b'{"path": "a", "data": 1e999}', "the number 1e999, which is too large"),
        (b'{"path": "a", "data": ' + b"1" * 5000 + b"}", "too many digits"),
        (b'{"path": "a", "path": "b"}', "the key 'path' twice"),
        (b'{"path": "a", "data": {"k": 1, "k": 1}}', "the key 'k' twice"),
        (b'{"path": "a", "data": ' + b"[" * 40_000 + b"]" * 39_999 + b"}", "nested deeper"),
        (b'{"path": "a", "data": ' + b"[" * 40_000 + b"]" * 40_000 + b"}", "nested deeper"),
        (b'{"path": "a", "data": ' + b"[" * DEEPEST + b"]" * DEEPEST + b"}", "nested deeper"),
    ],
)
def test_a_body_that_is_no_strict_json_object_is_refused(client, body, words):
    answer = client.post("/api/jobs", data=body)

    assert answer.status_code == 400
    assert answer.json["code"] == "request_invalid"
    assert words in answer.json["error"]


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({}, "path", "is required"),
        ({"path": None}, "path", "must be text, not null"),
        ({"path": 3}, "path", "must be text, not a number"),
        ({"path": ""}, "path", "must not be empty"),
        ({"path": "x" * 256}, "path", "must have at most 255 characters, not 256"),
        ({"path": "\ud800"}, "path", "must be text that UTF-8 can carry"),
        ({"path": "a", "timeout_seconds": "abc"}, "timeout_seconds", "must be a number from 1 to 2 592 000, not 'abc'"),
        ({"path": "a", "timeout_seconds": "5"}, "timeout_seconds", "not '5'"),
        ({"path": "a", "timeout_seconds": True}, "timeout_seconds", "2 592 000, not true"),
        ({"path": "a", "timeout_seconds": 0}, "timeout_seconds", "must be a number from 1 to 2 592 000, not 0"),
        ({"path": "a", "timeout_seconds": -1}, "timeout_seconds", "2 592 000, not -1"),
        ({"path": "a", "timeout_seconds": 1e9}, "timeout_seconds", "2 592 000, not 1000000000.0"),
        ({"path": "a", "timeout_seconds": 10**400}, "timeout_seconds", f"not 1{'0' * 49}..."),
        ({"path": "a", "priority": 1.5}, "priority", "must be a whole number from -1 000 000 to 1 000 000, not 1.5"),
        ({"path": "a", "priority": 10**30}, "priority", "to 1 000 000, not 1000000000000000000000000000000"),
        ({"path": "a", "priority": None}, "priority", "to 1 000 000, not null"),
        ({"path": "a", "timeout": 5}, "timeout", "is not known here (known: path, data, timeout_seconds, priority)"),
        ({"path": "a", "\ud800": 5}, "\ud800", "is not known here"),
    ],
)
def test_a_wrong_field_is_named_with_what_is_expected(client, body, field, words):
    answer = client.post("/api/jobs", data=json.dumps(body))

    assert answer.status_code == 400
    assert [each["field"] for each in answer.json["details"]] == [field]
    assert words in answer.json["details"][0]["message"]
    assert f"`{field}` {answer.json['details'][0]['message']}" in answer.json["error"]


def test_all_wrong_fields_are_told_at_once(client):
    answer = client.post("/api/jobs", json={"timeout_seconds": 0, "priority": "x", "colour": "red"})

    assert {each["field"] for each in answer.json["details"]} == {"path", "timeout_seconds", "priority", "colour"}


def test_a_thousand_unknown_fields_make_a_short_answer(client):
    answer = client.post("/api/jobs", json={"path": "a"} | {f"field{n}": n for n in range(1000)})

    assert len(answer.json["details"]) == 20
    assert "and 980 more" in answer.json["error"]


def test_data_may_hold_whatever_json_may(client, engine):
    body = (
        rb'{"path": "a", "data": {"nul": "\u0000", "lone": "\ud800", "deep": [[[1e-9]]], "big": 123456789012345678901}}'
    )

    answer = client.post("/api/jobs", data=body)

    assert answer.status_code == 202
    assert engine.asked[-1][2] == {"nul": "\0", "lone": "\ud800", "deep": [[[1e-9]]], "big": 123456789012345678901}


def test_a_lone_surrogate_comes_back_as_it_went_in(client, engine):
    from dataclasses import replace

    engine.held["job-1"] = replace(engine.held["job-1"], data={"lone": "\ud800", "é": "ü"})

    answer = client.get("/api/jobs/job-1")

    assert json.loads(answer.data)["data"] == {"lone": "\ud800", "é": "ü"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(body=st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_body_breaks_anything(client, body):
    assert client.post("/api/jobs", data=body).status_code in (202, 400)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(value=st.fixed_dictionaries({"path": JSON}, optional={"timeout_seconds": JSON, "priority": JSON, "data": JSON}))
def test_no_value_breaks_anything(client, value):
    assert client.post("/api/jobs", json=value).status_code in (202, 400)


@given(value=st.dictionaries(st.text(), JSON))
def test_what_we_write_we_can_read(value):
    assert read_object(to_bytes(value)) == value


def test_a_body_of_the_limit_is_taken_and_one_byte_more_is_not(client, engine):
    limit = engine.settings.max_content_length
    body = b'{"path": "a", "data": "' + b"x" * (limit - 25) + b'"}'

    assert len(body) == limit
    assert client.post("/api/jobs", data=body).status_code == 202
    refused = client.post("/api/jobs", data=body + b" ")

    assert refused.status_code == 413
    assert refused.json == {
        "error": "The body is larger than 100000 bytes (MAX_CONTENT_LENGTH).",
        "code": "too_large",
    }


def test_a_body_of_unknown_length_is_read_up_to_the_limit():
    endless = Endless()
    environ = {"wsgi.input": endless, "wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}

    with pytest.raises(TooLarge):
        Body(environ).read(1_000_000)

    assert endless.given < 1_200_000


def test_a_body_that_is_said_to_be_too_long_is_not_read():
    endless = Endless()

    with pytest.raises(TooLarge):
        Body({"wsgi.input": endless, "CONTENT_LENGTH": "1000001"}).read(1_000_000)

    assert endless.given == 0


def test_throwing_away_ends():
    body = Body({"wsgi.input": Endless(), "wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"})

    assert body.discard() is False


def test_a_body_that_ends_early_is_refused():
    with pytest.raises(RequestInvalid, match="ended after 3 of 10 bytes"):
        Body({"wsgi.input": io.BytesIO(b"abc"), "wsgi.input_terminated": True, "CONTENT_LENGTH": "10"}).read(100)


def test_a_request_without_a_body_reads_nothing():
    body = Body({"wsgi.input": None})

    assert body.read(10) == b""
    assert body.discard() is True


def test_everybody_else_sees_an_empty_body():
    environ = {"wsgi.input": io.BytesIO(b"abc"), "CONTENT_LENGTH": "3"}

    body = take_body(environ)

    assert environ["wsgi.input"].read() == b""
    assert take_body(environ).read(10) == b"abc"
    assert take_body(environ) is body


class Endless(io.RawIOBase):
    """A client that never stops sending."""

    given = 0

    def read(self, size: int = -1) -> bytes:
        assert size > 0, "the whole of an endless body was asked for"
        self.given += size
        return b"x" * size
