"""Faults of peers, by their numbers: what they answer, whether at all, and data that looks like an order."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest
from certificates import self_signed
from peers import Handler, Peer, peer, send

from engine.steps.rest.answer import SHOWN

CHANGES = ["POST", "PUT", "PATCH", "DELETE"]


def answering(handler_bytes: bytes) -> Callable[[Handler], None]:
    """Sends these bytes as they are and closes."""

    def answer(handler: Handler) -> None:
        handler.close_connection = True
        handler.connection.sendall(handler_bytes)

    return answer


# Contents


@pytest.mark.parametrize(
    ("status", "type", "body", "value"),
    [
        (204, "application/json", b"", None),
        (200, "application/json", b"", None),
        (200, "application/json", b"\xef\xbb\xbf" + b'{"a": 1}', {"a": 1}),
        (200, "application/problem+json; charset=latin-1", '{"a": "é"}'.encode("latin-1"), {"a": "é"}),
        (200, "text/plain; charset=latin-1", "é".encode("latin-1"), "é"),
        (200, "text/plain; charset=undefined", "é".encode(), "é"),
        (200, "text/html", b"<html>login</html>", "<html>login</html>"),
        (200, "", b'{"a": 1}', '{"a": 1}'),
        (200, "application/json", b"1e400000"[:3], 1e40 / 1e36),
        (200, "application/json", b"[1, 2]", [1, 2]),
        (200, "application/json", b'"text"', "text"),
        (200, "application/json", b"null", None),
        (200, "application/octet-stream", b"\xff\xfe\x00", "\ufffd\ufffd\x00"),
        (200, "application/json", b'{"a": "\\ud83d\\ude00"}', {"a": "😀"}),
    ],
)
def test_row_58_the_value_is_what_the_peer_says_it_is(other, call, status, type, body, value):
    other.answer = lambda handler: send(handler, status, body, type)

    job = call(other.url)

    assert job["status"] == "success", job["errors"]
    assert job["result"]["call"] == value


@pytest.mark.parametrize(
    "body",
    [
        b"<html>Please log in</html>",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": 1, "a": 2}',
        b"[" * 200_000 + b"]" * 200_000,
        b'{"a": ' * 5_000 + b"1" + b"}" * 5_000,
        b'{"a": 1',
        b"{'a': 1}",
        b'{"a": 1} {"b": 2}',
        b'"\xff"',
        b"\xff\xfe\x00\x00",
        b"9" * 5_000,
    ],
)
def test_row_58_what_says_json_and_is_none_is_an_error_with_its_beginning(other, fails, body):
    other.answer = lambda handler: send(handler, 200, body)

    error = fails(other.url)

    assert "answered 200 with application/json, which cannot be read as JSON" in error
    assert len(error) < SHOWN + 400


@pytest.mark.parametrize("status", [300, 304, 400, 401, 403, 404, 405, 409, 418, 422, 429, 500, 502, 503, 504, 599])
def test_row_58_what_is_not_2xx_is_an_error_with_status_and_beginning(other, fails, status):
    other.answer = lambda handler: send(handler, status, {"error": f"canary/pass word+1& {'x' * 1_000}"})

    error = fails(other.url)

    assert f"GET 127.0.0.1:{other.url.rsplit(':')[-1]} answered {status}" in error
    assert "***" in error or status == 304
    assert len(error) < SHOWN + 200


# Connections


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x15\x03\x01\x00\x02\x02\x50",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nab",
    ],
    ids=["nothing", "short", "chunk missing", "chunk bad", "status", "ssh", "tls", "headers", "line", "minus", "two"],
)
def test_row_59_an_answer_that_breaks_off_or_is_no_http_is_a_sentence_with_the_host(other, call, content):
    other.answer = answering(content)

    job = call(other.url)

    if job["status"] == "success":  # No length and a close is an answer that ends there.
        assert b"-5" in content or b"1, 2" in content
    else:
        assert "GET 127.0.0.1:" in job["errors"][0]["error"]
        assert len(job["errors"][0]["error"]) < 500


def test_row_59_a_port_where_nobody_listens_is_a_sentence(fails):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert f"GET 127.0.0.1:{port}: Connection refused" in fails(f"http://127.0.0.1:{port}/x?secret=1")


@pytest.mark.parametrize("host", ["nowhere.invalid", "a..b", "x" * 64 + ".example"])
def test_row_59_a_name_that_nobody_has_is_a_sentence(fails, host):
    error = fails(f"http://{host}/")

    assert host in error or "address" in error


def test_row_59_plain_http_where_tls_was_expected_is_a_sentence(other, fails):
    error = fails(other.url.replace("http:", "https:"))

    assert "GET 127.0.0.1" in error


@pytest.fixture(scope="module")
def unknown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    """A peer whose certificate nobody knows."""
    context, _ = self_signed(tmp_path_factory.mktemp("unknown"))
    with peer(tls=context) as each:
        yield each


def test_row_59_a_certificate_that_cannot_be_believed_is_refused_before_anything_is_sent(unknown, fails):
    unknown.asked.clear()

    error = fails(unknown.url, authentication={"type": "basic", "secret": "basic"})

    assert "the TLS certificate is refused" in error
    assert unknown.asked == []


def test_row_59_or_is_not_looked_at_when_the_step_says_so_which_is_logged(unknown, call, service):
    job = call(unknown.url, verify=False)

    assert job["status"] == "success", job["errors"]
    logs = service.get(f"/api/jobs/{job['id']}/logs").json()["logs"]
    assert any(line["level"] == "warning" and "is not verified" in line["message"] for line in logs)


# Outcomes that nobody knows


@pytest.mark.parametrize("method", CHANGES)
def test_row_60_a_change_that_was_answered_too_late_is_sent_once_and_said_to_be_unknown(other, fails, method):
    other.answer = lambda handler: other.over.wait(1) or send(handler, 201, {})

    error = fails(other.url, method=method, body={"a": 1}, timeout_seconds=0.2)

    assert error.endswith("no complete answer within 0.2 s; whether it took effect is unknown")
    assert len(other.asked) == 1


def test_row_60_a_key_of_job_and_step_lets_the_peer_know_a_repetition(other, call):
    job = call(other.url, method="POST", body={}, headers={"Idempotency-Key": "{{ __job_id__ }}:call"})

    assert [asked.headers["Idempotency-Key"] for asked in other.asked] == [f"{job['id']}:call"]


@pytest.mark.parametrize("method", ["GET", *CHANGES])
def test_row_60_a_connection_that_is_cut_after_the_request_is_not_tried_again(other, fails, method):
    other.answer = answering(b"")

    assert f"{method} 127.0.0.1:" in fails(other.url, method=method)
    assert len(other.asked) == 1


# Data that looks like an order


@pytest.mark.parametrize(
    "body",
    [
        {"goto": "danger"},
        {"step_name": "danger"},
        {"goto": {"step_name": "danger"}},
        {"exit": True, "message": "stop here"},
        {"type": "goto", "goto": {"step_name": "danger"}},
        {"type": "exit", "exit": {"message": "x"}},
        {"__errors__": [{"step": "x"}], "__job_id__": "y", "__input__": 1, "__flow_path__": "danger.yml"},
        {"kind": "result", "status": "success"},
        {"kind": "secret", "name": "basic"},
        "{{ 7 * 7 }}",
        "{% raw %}{{ x }}",
        ["goto", "danger"],
    ],
)
def test_row_64_no_data_steers_a_flow(other, run, body):
    other.answer = lambda handler: send(handler, 200, body)

    job = run(
        {"name": "call", "type": "rest", "rest": {"uri": other.url}},
        {"name": "copy", "type": "set_fact", "set_fact": {"value": "{{ call }}"}},
        {"name": "after", "type": "set_fact", "set_fact": {"value": "here"}},
        {"name": "end", "type": "goto", "goto": {"step_name": "__end__"}},
        {"name": "danger", "type": "set_fact", "set_fact": {"value": "there"}},
    )

    assert job["status"] == "success", job["errors"]
    assert [step["name"] for step in job["steps"]] == ["call", "copy", "after", "end"]
    assert job["result"]["call"] == job["result"]["copy"] == body
    assert job["result"]["__errors__"] == []
    assert job["result"]["__job_id__"] == job["id"]
