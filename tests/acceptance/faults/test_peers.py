"""Faults of peers, by their numbers: what they answer, when and whether at all, and what becomes of the job."""

from __future__ import annotations

import gzip
import socket
from base64 import b64encode
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any

import pytest
from peers import Handler, Peer, peer, send
from vault_server import self_signed

from engine.steps.rest.answer import SHOWN

PASSWORD = "canary/pass word+1&"
SENT = {
    "basic": ("Authorization", f"Basic {b64encode(f'canary-user:{PASSWORD}'.encode()).decode()}"),
    "bearer": ("Authorization", "Bearer canary-bearer-2"),
    "key": ("X-Api-Key", 'canary"key\\3'),
}
"""The header that each secret of the service is sent in."""
KINDS = {"basic": "basic", "bearer": "token", "key": "api-key"}
CHANGES = ["POST", "PUT", "PATCH", "DELETE"]


@pytest.fixture
def call(run: Any) -> Callable[..., dict[str, Any]]:
    """Runs one `rest` step; the job."""

    def call(uri: str, **options: Any) -> dict[str, Any]:
        return run({"name": "call", "type": "rest", "rest": {"uri": uri, **options}})

    return call


@pytest.fixture
def fails(call: Any) -> Callable[..., str]:
    """The same for a step that must fail; its sentence."""

    def fails(uri: str, **options: Any) -> str:
        job = call(uri, **options)
        assert (job["status"], job["reason"]) == ("failed", "step_error"), job
        (error,) = job["errors"]
        return str(error["error"])

    return fails


def answering(handler_bytes: bytes) -> Callable[[Handler], None]:
    """Sends these bytes as they are and closes."""

    def answer(handler: Handler) -> None:
        handler.close_connection = True
        handler.connection.sendall(handler_bytes)

    return answer


# Slow ones


@pytest.mark.parametrize("method", ["GET", *CHANGES])
@pytest.mark.parametrize("length", ["", "Content-Length: 999999\r\n", "Transfer-Encoding: chunked\r\n"])
def test_row_53_a_dripping_body_ends_at_the_deadline(other, fails, method, length):
    begin = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n{length}\r\n".encode()
    piece = b"1\r\nx\r\n" if "chunked" in length else b"x"
    other.answer = lambda handler: other.drip(handler, begin, piece)
    begun = monotonic()

    error = fails(other.url, method=method, timeout_seconds=0.2)

    assert monotonic() - begun < 5
    assert "no complete answer within 0.2 s" in error
    assert error.endswith("whether it took effect is unknown") == (method != "GET")


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\nX-", b"a"),
        (b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"", b""),
    ],
    ids=["status line", "one header", "headers", "continue", "nothing"],
)
def test_row_54_dripping_headers_end_at_the_deadline(other, fails, begin, piece):
    other.answer = lambda handler: other.drip(handler, begin, piece)
    begun = monotonic()

    error = fails(other.url, timeout_seconds=0.2)

    assert monotonic() - begun < 5
    assert "no complete answer within 0.2 s" in error or "header" in error, error


def test_row_54_a_peer_that_never_answers_is_left_at_the_jobs_deadline(other, run):
    other.answer = lambda handler: other.drip(handler, b"", b"")

    job = run({"name": "call", "type": "rest", "rest": {"uri": other.url}}, timeout_seconds=1)

    assert (job["status"], job["reason"]) in [("failed", "timeout"), ("failed", "step_error")]
    assert job["duration_seconds"] < 5


# Large ones


def flood(head: str, piece: bytes) -> Callable[[Handler, int], None]:
    """Sends the piece again and again until the other side goes away."""

    def answer(handler: Handler, status: int) -> None:
        handler.close_connection = True
        handler.connection.sendall(f"HTTP/1.1 {status} So\r\n{head}\r\n\r\n".encode())
        while True:
            handler.connection.sendall(piece)

    return answer


def bomb(handler: Handler, status: int) -> None:
    send(handler, status, gzip.compress(bytes(200_000_000), 1), Content_Encoding="gzip")


ENDLESS = {
    "chunked": flood("Transfer-Encoding: chunked", b"10000\r\n" + b"x" * 65_536 + b"\r\n"),
    "declared": flood("Content-Length: 10000000000", b"x" * 65_536),
    "until the end": flood("Connection: close", b"x" * 65_536),
    "bomb": bomb,
}


@pytest.mark.parametrize("answer", ENDLESS)
@pytest.mark.parametrize("status", [200, 500])
def test_row_55_an_answer_without_end_is_cut(other, fails, answer, status):
    other.answer = lambda handler: ENDLESS[answer](handler, status)

    assert fails(other.url).endswith("the answer is over 10000000 bytes")


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "deflate", "x-unknown"])
def test_row_55_an_encoding_that_was_not_asked_for_is_not_unpacked(other, fails, encoding):
    other.answer = lambda handler: send(handler, 200, gzip.compress(b"{}"), Content_Encoding=encoding)

    assert f"encoded as {encoding!r}" in fails(other.url)


@pytest.mark.parametrize("content", [b"no gzip at all", gzip.compress(b"{}" * 1000)[:-9]], ids=["none", "cut"])
def test_row_55_a_broken_compression_is_an_error(other, fails, content):
    other.answer = lambda handler: send(handler, 200, content, Content_Encoding="gzip")

    assert "GET 127.0.0.1" in fails(other.url)


# Addresses

METADATA = [
    "http://169.254.169.254/latest/meta-data/",
    "http://[::ffff:169.254.169.254]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://2852039166/",
    "http://0xA9FEA9FE/",
    "http://0251.0376.0251.0376/",
    "http://169.254.43518/",
    "http://[fe80::1]/",
    "http://[fd00:ec2::254]/",
    "http://0.0.0.0/",
    "http://[::]/",
    "http://224.0.0.1/",
    "http://100.100.100.200/",
]
NO_ADDRESS = ["file:///etc/passwd", "gopher://127.0.0.1/", "ftp://127.0.0.1/x", "//", "http://", "http:///x", "data:,x"]


@pytest.mark.parametrize("uri", METADATA)
def test_row_56_an_address_that_nobody_should_reach_is_refused(fails, uri):
    begun = monotonic()

    error = fails(uri, authentication={"type": "basic", "secret": "basic"})

    assert "not allowed" in error or "cannot be called" in error, error
    assert monotonic() - begun < 5


@pytest.mark.parametrize("uri", METADATA)
def test_row_56_so_is_a_redirect_to_it(other, fails, uri):
    other.answer = lambda handler: send(handler, 302, Location=uri)

    error = fails(other.url, follow_redirects=True)

    assert "not allowed" in error or "cannot be called" in error, error
    assert len(other.asked) == 1


@pytest.mark.parametrize("uri", NO_ADDRESS)
def test_row_56_what_is_no_http_address_is_refused(fails, uri):
    assert "http" in fails(uri) or "address" in fails(uri)


@pytest.mark.parametrize("uri", ["file:///etc/passwd", "gopher://127.0.0.1/", "ftp://127.0.0.1/x"])
def test_row_56_a_redirect_to_what_is_none_is_refused(other, fails, uri):
    other.answer = lambda handler: send(handler, 302, Location=uri)

    assert "address" in fails(other.url, follow_redirects=True)
    assert len(other.asked) == 1


# Redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_row_57_a_redirect_is_not_followed_unless_the_step_says_so(other, fails, status):
    other.answer = lambda handler: send(handler, status, Location=f"{other.url}/there?token=1")

    error = fails(other.url, method="POST")

    assert f"answered {status}" in error
    assert "follow_redirects" in error
    assert "token=1" not in error
    assert len(other.asked) == 1


@pytest.mark.parametrize("secret", SENT)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_row_57_no_credential_goes_to_another_host(other, call, secret, status):
    elsewhere = other.url.replace("127.0.0.1", "localhost")
    other.answer = lambda handler: (
        send(handler, status, Location=f"{elsewhere}/there") if handler.path == "/here" else send(handler, 200, {})
    )

    job = call(
        f"{other.url}/here",
        follow_redirects=True,
        headers={"X-Own-Token": "own", "Cookie": "a=b"},
        authentication={"type": KINDS[secret], "secret": secret},
    )

    assert job["status"] == "success", job["errors"]
    here, there = (asked.headers for asked in other.asked)
    name, value = SENT[secret]
    assert here[name] == value
    assert not {name, "X-Own-Token", "Cookie"} & set(there)


def test_row_57_redirects_in_a_circle_end(other, fails):
    other.answer = lambda handler: send(handler, 302, Location=f"{other.url}/again")

    assert fails(other.url, follow_redirects=True).endswith("more than 5 redirects")


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
