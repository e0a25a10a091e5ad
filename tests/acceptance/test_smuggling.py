"""Requests that two readers could read in two ways: the server takes none of them, and nothing behind them either."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from services import TOKEN, Service, answers, start_service, until

INNER = "POST /api/tick HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\n\r\n"
HEAD = "POST /api/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    data = tmp_path_factory.mktemp("smuggling") / "data"
    (data / "flows").mkdir(parents=True)
    started = start_service(data)
    try:
        until(lambda: answers(started, "/healthz"), 30, started.text)
        yield started
    finally:
        started.session.close()
        started.kill()


def answers_to(service: Service, request: bytes) -> list[str]:
    """The first line of each answer to exactly these bytes."""
    with socket.create_connection(("127.0.0.1", int(service.url.rpartition(":")[2])), timeout=20) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        try:
            while piece := connection.recv(65536):
                received += piece
        except ConnectionResetError:
            pass  # It was closed while something of ours was still unread, which is one way of taking none of it.
    return [line for line in received.decode("latin-1").splitlines() if line.startswith("HTTP/1.")]


def with_inner(head: str, body: str = "") -> bytes:
    return (HEAD + head + "\r\n" + body + INNER).replace("{token}", TOKEN).encode("latin-1")


def test_two_requests_in_a_row_are_two_answers(service: Service) -> None:
    found = answers_to(service, with_inner("Content-Length: 2\r\n", "{}"))

    assert [line.split()[1] for line in found] == ["400", "200"]


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"),
        ("Content-Length: 2\r\nContent-Length: 0\r\n", "{}"),
        ("Content-Length: +2\r\n", "{}"),
        ("Content-Length: 0x2\r\n", "{}"),
        ("Content-Length: 2, 0\r\n", "{}"),
        ("Content-Length: -2\r\n", "{}"),
        ("Content-Length: ２\r\n".encode().decode("latin-1"), "{}"),
        ("Content-Length : 2\r\n", "{}"),
        ("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n"),
        ("X-A: b\r\n folded\r\nContent-Length: 2\r\n", "{}"),
        ("X-A: b\rContent-Length: 2\r\n", "{}"),
        ("X-A: b\0c\r\n", ""),
        ("Transfer-Encoding: chunked\r\n", "2;\n\r\n{}\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "0x2\r\n{}\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "-2\r\n{}\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "2 \r\n{}XX0\r\n\r\n"),
    ],
)
def test_a_request_of_two_readings_is_refused_and_ends_the_connection(service: Service, head: str, body: str) -> None:
    found = answers_to(service, with_inner(head, body))

    assert "HTTP/1.1 200 OK" not in found, "the request behind it was served"
    assert [line.split()[1] for line in found] in ([], ["400"], ["501"])
    assert service.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    "line",
    ["GET  /healthz HTTP/1.1", "GET /healthz HTTP/1.1 x", "GET /healthz", "get\t/healthz HTTP/1.1",
     "GET /healthz HTTP/2.0", "GET /healthz\r HTTP/1.1", "G\0ET /healthz HTTP/1.1", "PRI * HTTP/2.0"],
)  # fmt: skip
def test_a_first_line_that_is_none_is_refused(service: Service, line: str) -> None:
    found = answers_to(service, f"{line}\r\nHost: x\r\n\r\n".encode("latin-1"))

    assert [each.split()[1] for each in found] in ([], ["400"], ["405"], ["505"])
