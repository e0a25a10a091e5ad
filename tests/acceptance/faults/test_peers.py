"""Faults of peers, by their numbers: slow answers, large ones, addresses that nobody should reach, redirects."""

from __future__ import annotations

import gzip
from base64 import b64encode
from collections.abc import Callable
from time import monotonic

import pytest
from peers import Handler, send

PASSWORD = "canary/pass word+1&"
SENT = {
    "basic": ("Authorization", f"Basic {b64encode(f'canary-user:{PASSWORD}'.encode()).decode()}"),
    "bearer": ("Authorization", "Bearer canary-bearer-2"),
    "key": ("X-Api-Key", 'canary"key\\3'),
}
"""The header that each secret of the service is sent in."""
KINDS = {"basic": "basic", "bearer": "token", "key": "api-key"}
CHANGES = ["POST", "PUT", "PATCH", "DELETE"]


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
