"""`rest` against a real server on the loopback interface, well-behaved and not."""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import subprocess
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import Any

import pytest
from pydantic import ValidationError

from engine.errors import StepFailed

SECRETS = {
    "snow": {"type": "credential", "username": "ann", "password": "p:ä"},
    "awx": {"type": "token", "token": "t0ken"},
    "key": {"type": "api-key", "key": "X-Api-Key", "value": "k3y"},
}


@dataclass
class Seen:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    client: tuple[str, int]


@dataclass
class Peer:
    """A server whose answers a test chooses, and what it was asked."""

    url: str
    answer: Callable[[BaseHTTPRequestHandler], None] = lambda handler: send(handler, 200, b"{}", "application/json")
    seen: list[Seen] = field(default_factory=list)
    closing: Event = field(default_factory=Event)


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", type: str = "", **headers: str) -> None:
    handler.send_response(status)
    if type:
        handler.send_header("Content-Type", type)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def serve(
    make_server: Callable[[type[BaseHTTPRequestHandler]], ThreadingHTTPServer], scheme: str = "http"
) -> Iterator[Peer]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            made.seen.append(Seen(self.command, self.path, dict(self.headers), body, self.client_address))
            with suppress(OSError):
                made.answer(self)

        do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = do_GET

        def log_message(self, *args: Any) -> None:
            pass

    server = make_server(Handler)
    server.daemon_threads = True
    server.block_on_close = False
    made = Peer(f"{scheme}://127.0.0.1:{server.server_address[1]}")
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.closing.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def peer() -> Iterator[Peer]:
    yield from serve(lambda handler: ThreadingHTTPServer(("127.0.0.1", 0), handler))


@pytest.fixture
def other_peer() -> Iterator[Peer]:
    yield from serve(lambda handler: ThreadingHTTPServer(("127.0.0.1", 0), handler))


@pytest.fixture
def call(fake_run: Any, read_step: Any) -> Callable[..., Any]:
    """Runs a `rest` step over some data."""

    def call(uri: str, data: dict[str, Any] | None = None, *, remaining: float = float("inf"), **options: Any) -> Any:
        run = fake_run(data, secrets=SECRETS, remaining=remaining)
        return read_step("rest", uri=uri, **options).options.run(run)

    return call


def answering(
    status: int, body: bytes = b"", type: str = "", **headers: str
) -> Callable[[BaseHTTPRequestHandler], None]:
    return lambda handler: send(handler, status, body, type, **headers)


# The request


def test_uri_query_and_headers_are_rendered(peer: Peer, call: Any) -> None:
    call(
        peer.url + "/{{ table }}?a=1#top",
        {"table": "ticket", "text": "x & y", "yes": True, "none": None},
        query={"q": "{{ text }}", "flag": "{{ yes }}", "n": 5, "ids": [1, 2], "gone": "{{ none }}"},
        headers={"X-Text": "{{ text }}", "X-Number": 5, "X-Gone": None},
    )

    assert peer.seen[0].path == "/ticket?a=1&q=x%20%26%20y&flag=true&n=5&ids=1&ids=2"
    assert peer.seen[0].headers["X-Text"] == "x & y"
    assert peer.seen[0].headers["X-Number"] == "5"
    assert "X-Gone" not in peer.seen[0].headers


def test_headers_may_be_a_json_text(peer: Peer, call: Any) -> None:
    call(peer.url, {"v": 1}, headers='{"X-A": "{{ v }}"}')
    call(peer.url, headers='{"X-A": "plain"}')

    assert [seen.headers["X-A"] for seen in peer.seen] == ["1", "plain"]


@pytest.mark.parametrize("headers", ["not json", "[1]", 5])
def test_headers_that_are_no_object_are_refused(read_step: Any, headers: Any) -> None:
    with pytest.raises(ValidationError):
        read_step("rest", uri="http://x", headers=headers)


@pytest.mark.parametrize("method", ["get", "POST", "Put", "delete", "PATCH", "head", "options"])
def test_methods_are_written_in_any_case(peer: Peer, call: Any, method: str) -> None:
    call(peer.url, method=method)

    assert peer.seen[0].method == method.upper()


def test_an_object_is_sent_as_json(peer: Peer, call: Any) -> None:
    call(peer.url, {"n": 5, "t": 'a "quoted" é'}, method="post", body={"n": "{{ n }}", "t": ["{{ t }}", None]})

    assert json.loads(peer.seen[0].body) == {"n": 5, "t": ['a "quoted" é', None]}
    assert peer.seen[0].headers["Content-Type"] == "application/json"


def test_no_value_breaks_a_text_that_is_json(peer: Peer, call: Any) -> None:
    call(peer.url, {"t": '", "admin": "true'}, method="post", body='{"a": "{{ t }}"}\n')

    assert json.loads(peer.seen[0].body) == {"a": '", "admin": "true'}


def test_a_text_that_is_json_once_rendered_is_sent_as_it_is(peer: Peer, call: Any) -> None:
    call(peer.url, {"items": [1]}, method="post", body='{"items":   {{ items | tojson }}}')

    assert peer.seen[0].body == b'{"items":   [1]}'
    assert peer.seen[0].headers["Content-Type"] == "application/json"


def test_a_body_that_is_one_expression_is_sent_as_its_value(peer: Peer, call: Any) -> None:
    call(peer.url, {"payload": {"a": 1}}, method="post", body="{{ payload }}")

    assert json.loads(peer.seen[0].body) == {"a": 1}


def test_another_text_is_sent_as_text(peer: Peer, call: Any) -> None:
    call(peer.url, {"n": "é"}, method="post", body="hello {{ n }}")

    assert peer.seen[0].body.decode() == "hello é"
    assert peer.seen[0].headers["Content-Type"] == "text/plain; charset=utf-8"


def test_a_text_that_should_be_json_and_is_not_is_an_error(peer: Peer, call: Any) -> None:
    with pytest.raises(StepFailed, match="the body is to be application/json, and is rendered to what is not JSON"):
        call(
            peer.url, {"t": 'a"b'}, method="post", body='{"a": {{ t }} }', headers={"content-type": "application/json"}
        )

    assert peer.seen == []


def test_data_wins_over_the_body_and_is_not_rendered(peer: Peer, call: Any) -> None:
    call(peer.url, {"ticket": {"a": "{{ x }}"}}, method="post", body={"b": 1}, data_key="ticket")

    assert json.loads(peer.seen[0].body) == {"a": "{{ x }}"}


def test_a_text_made_before_is_sent_as_it_is(peer: Peer, call: Any) -> None:
    call(peer.url, {"t": '{"a":1}'}, method="post", data_key="t", headers={"Content-Type": "application/json"})

    assert peer.seen[0].body == b'{"a":1}'


def test_an_object_is_a_form_when_the_header_says_so(peer: Peer, call: Any) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    call(peer.url, {"s": "a b"}, method="post", headers=form, body={"scope": "{{ s }}", "n": [1, 2], "gone": None})

    assert peer.seen[0].body == b"scope=a+b&n=1&n=2"


# Authentication


@pytest.mark.parametrize(
    ("authentication", "header", "value"),
    [
        ({"type": "basic", "secret": "snow"}, "Authorization", "Basic " + b64encode("ann:p:ä".encode()).decode()),
        ({"type": "token", "secret": "awx"}, "Authorization", "Bearer t0ken"),
        ({"type": "token", "secret": "awx", "bearer": "GenieKey"}, "Authorization", "GenieKey t0ken"),
        ({"type": "token", "secret": "awx", "bearer": ""}, "Authorization", "t0ken"),
        ({"type": "api-key", "secret": "key"}, "X-Api-Key", "k3y"),
        ({"type": "api_key", "secret": "key"}, "X-Api-Key", "k3y"),
    ],
)
def test_a_secret_becomes_a_header(peer: Peer, call: Any, authentication: Any, header: str, value: str) -> None:
    call(peer.url, authentication=authentication, headers={header.lower(): "given by hand"})

    assert peer.seen[0].headers[header] == value


@pytest.mark.parametrize(
    ("type", "secret", "message"),
    [
        ("basic", "awx", r"secret 'awx' \(type token\) has no username and no password"),
        ("token", "snow", r"secret 'snow' \(type credential\) has no token, which authentication 'token' needs"),
        ("api-key", "awx", r"secret 'awx' \(type token\) has no key and no value"),
        ("basic", "nope", "secret 'nope' is not in secrets.yml"),
    ],
)
def test_a_secret_that_does_not_fit_is_an_error(peer: Peer, call: Any, type: str, secret: str, message: str) -> None:
    with pytest.raises(StepFailed, match=message):
        call(peer.url, authentication={"type": type, "secret": secret})


def test_cookies_of_one_call_are_not_sent_with_the_next(peer: Peer, fake_run: Any, read_step: Any) -> None:
    peer.answer = answering(200, b"{}", "application/json", Set_Cookie="session=1; Path=/")
    run = fake_run()

    for _ in range(2):
        read_step("rest", uri=peer.url).options.run(run)

    assert "Cookie" not in peer.seen[1].headers


def test_calls_of_a_job_share_a_connection(peer: Peer, fake_run: Any, read_step: Any) -> None:
    run = fake_run()

    for _ in range(3):
        read_step("rest", uri=peer.url).options.run(run)

    assert len({seen.client for seen in peer.seen}) == 1


# The answer


@pytest.mark.parametrize(
    ("type", "body", "value"),
    [
        ("application/json", b'{"a": [1, null]}', {"a": [1, None]}),
        ("application/problem+json; charset=utf-8", "é".join('""').encode(), "é"),
        ("application/json", b"\xef\xbb\xbf1", 1),
        ("application/json; charset=latin-1", b'"\xe9"', "é"),
        ("text/plain", b'{"a": 1}', '{"a": 1}'),
        ("text/html; charset=ISO-8859-1", b"\xe9", "é"),
        ("text/plain; charset=nonsense", "é".encode(), "é"),
        ("", b"hello", "hello"),
        ("application/json", b"", None),
        ("text/plain", b"", None),
    ],
)
def test_the_value_is_what_the_peer_says_it_is(peer: Peer, call: Any, type: str, body: bytes, value: Any) -> None:
    peer.answer = answering(200, body, type)

    assert call(peer.url) == value


def test_parse_wins_over_what_the_peer_says(peer: Peer, call: Any) -> None:
    peer.answer = answering(200, b'{"a": 1}', "text/html")
    assert call(peer.url, parse="json") == {"a": 1}

    peer.answer = answering(200, b'{"a": 1}', "application/json")
    assert call(peer.url, parse="text") == '{"a": 1}'


def test_no_content_is_null(peer: Peer, call: Any) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(204)
        handler.end_headers()

    peer.answer = answer

    assert call(peer.url) is None


def test_a_compressed_answer_is_read(peer: Peer, call: Any) -> None:
    peer.answer = answering(
        200, gzip.compress(b'{"a": ') + gzip.compress(b"1}"), "application/json", Content_Encoding="gzip"
    )

    assert call(peer.url) == {"a": 1}


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"NaN",
        b'{"a": Infinity}',
        b"1e999",
        b'{"a": 1, "a": 2}',
        b"[" * 200_000,
        b"<html>Log in</html>",
        b'"\xff"',
    ],
)
def test_an_answer_that_is_not_the_json_it_says_is_an_error(peer: Peer, call: Any, body: bytes) -> None:
    peer.answer = answering(200, body, "application/json")

    with pytest.raises(
        StepFailed, match=r"GET 127.0.0.1:\d+ answered 200 with application/json, which cannot be read as JSON"
    ):
        call(peer.url)


@pytest.mark.parametrize("status", [300, 400, 404, 500, 503])
def test_what_is_not_2xx_is_an_error_that_can_be_searched(peer: Peer, call: Any, status: int) -> None:
    peer.answer = answering(status, b"x" * 300 + b" the reason\n" + b"y" * 20_000, "text/plain")

    with pytest.raises(StepFailed) as raised:
        call(peer.url + "/secret-path?token=t", method="put")

    message, text = str(raised.value), raised.value.text
    assert f"answered {status} " in message
    assert message.startswith(f"PUT {peer.url.removeprefix('http://')}")
    assert message.endswith(": " + "x" * 200 + "...")
    assert "token" not in message
    assert f"\n{status}\n" in text
    assert "the reason" in text
    assert len(text) < 11_000


# Redirects


def test_a_redirect_is_an_error_by_default(peer: Peer, call: Any) -> None:
    peer.answer = answering(302, Location="https://login.example.com/in?token=t")

    with pytest.raises(
        StepFailed, match=r"answered 302 Found, a redirect to 'https://login.example.com/in'; follow_redirects"
    ):
        call(peer.url)

    assert len(peer.seen) == 1


@pytest.mark.parametrize(
    ("status", "method", "body"),
    [(302, "GET", b""), (303, "GET", b""), (307, "POST", b'{"a": 1}'), (308, "POST", b'{"a": 1}')],
)
def test_a_redirect_is_followed_as_its_status_says(
    peer: Peer, call: Any, status: int, method: str, body: bytes
) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.path == "/old":
            send(handler, status, b"moved", Location="/new")
        else:
            send(handler, 200, b'"there"', "application/json")

    peer.answer = answer
    authentication = {"type": "token", "secret": "awx"}

    value = call(peer.url + "/old", method="POST", body={"a": 1}, follow_redirects=True, authentication=authentication)

    assert value == "there"
    assert (peer.seen[1].method, peer.seen[1].path, peer.seen[1].body) == (method, "/new", body)
    assert peer.seen[1].headers["Authorization"] == "Bearer t0ken"


@pytest.mark.parametrize("authentication", [{"type": "basic", "secret": "snow"}, {"type": "api-key", "secret": "key"}])
def test_credentials_do_not_go_to_another_host(peer: Peer, other_peer: Peer, call: Any, authentication: Any) -> None:
    peer.answer = answering(302, Location=other_peer.url + "/x")
    headers = {"Cookie": "c=1", "X-Other-Key": "k", "Accept": "application/json"}

    call(peer.url, follow_redirects=True, authentication=authentication, headers=headers)

    assert {"Authorization", "X-Api-Key", "Cookie", "X-Other-Key"} & set(other_peer.seen[0].headers) == set()
    assert other_peer.seen[0].headers["Accept"] == "application/json"


def test_credentials_that_were_dropped_do_not_come_back(peer: Peer, other_peer: Peer, call: Any) -> None:
    peer.answer = lambda handler: (
        send(handler, 302, Location=other_peer.url) if handler.path == "/" else send(handler, 200)
    )
    other_peer.answer = answering(302, Location=peer.url + "/back")

    call(peer.url, follow_redirects=True, authentication={"type": "token", "secret": "awx"})

    assert peer.seen[1].path == "/back"
    assert "Authorization" not in peer.seen[1].headers


def test_redirects_without_end_are_refused(peer: Peer, call: Any) -> None:
    peer.answer = answering(302, Location="/again")

    with pytest.raises(StepFailed, match="more than 5 redirects"):
        call(peer.url, follow_redirects=True)

    assert len(peer.seen) == 6


def test_a_redirect_to_a_file_is_refused(peer: Peer, call: Any) -> None:
    peer.answer = answering(302, Location="file:///etc/passwd")

    with pytest.raises(StepFailed, match="is not an address"):
        call(peer.url, follow_redirects=True)


def test_the_body_of_a_redirect_is_not_read(peer: Peer, call: Any) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", "/new")
        handler.end_headers()
        peer.closing.wait(10)

    peer.answer = answer

    with pytest.raises(StepFailed, match="a redirect to '/new'"):
        call(peer.url, timeout_seconds=5)


# Peers that misbehave


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b"x" * 65_536)


def test_an_answer_without_end_is_cut(peer: Peer, call: Any) -> None:
    peer.answer = endless

    with pytest.raises(StepFailed, match="the answer is over 10000000 bytes"):
        call(peer.url)


def test_a_small_answer_that_unpacks_to_a_large_one_is_cut(peer: Peer, call: Any) -> None:
    peer.answer = answering(200, gzip.compress(b"0" * 50_000_000), "text/plain", Content_Encoding="gzip")

    with pytest.raises(StepFailed, match="the answer is over 10000000 bytes"):
        call(peer.url)


@pytest.mark.parametrize(
    ("body", "encoding", "message"),
    [
        (gzip.compress(b"hello", mtime=0)[:-4], "gzip", "ends in the middle"),
        (b"not gzip", "gzip", "incorrect header check"),
        (b"x", "br", "encoded as 'br', and gzip was asked for"),
    ],
)
def test_an_encoding_that_cannot_be_read_is_an_error(
    peer: Peer, call: Any, body: bytes, encoding: str, message: str
) -> None:
    peer.answer = answering(200, body, "text/plain", Content_Encoding=encoding)

    with pytest.raises(StepFailed, match=message):
        call(peer.url)


@pytest.mark.parametrize("length", [None, 1000])
def test_a_dripping_body_ends_at_the_deadline(peer: Peer, call: Any, length: int | None) -> None:
    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(length)) if length else None
        handler.end_headers()
        while not peer.closing.wait(0.05):
            handler.wfile.write(b"x")

    peer.answer = drip
    begun = monotonic()

    with pytest.raises(StepFailed, match=r"no complete answer within 0.3 s"):
        call(peer.url, timeout_seconds=0.3)

    assert monotonic() - begun < 2


def test_a_silent_peer_is_left_at_the_deadline_of_the_job(peer: Peer, call: Any) -> None:
    peer.answer = lambda handler: (peer.closing.wait(10), None)[1]

    with pytest.raises(
        StepFailed, match=r"POST 127.0.0.1:\d+: no complete answer within 0.2 s; whether it took effect is unknown"
    ):
        call(peer.url, method="post", remaining=0.2)


def test_no_call_is_made_when_no_time_is_left(peer: Peer, call: Any) -> None:
    with pytest.raises(StepFailed, match="no complete answer within 0 s"):
        call(peer.url, remaining=-1)

    assert peer.seen == []


def test_a_body_that_ends_early_is_an_error(peer: Peer, call: Any) -> None:
    def short(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b"x")
        handler.close_connection = True

    peer.answer = short

    with pytest.raises(StepFailed, match="IncompleteRead"):
        call(peer.url)


def test_a_reset_names_the_host_and_nothing_that_is_secret(call: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        thread = Thread(target=lambda: listener.accept()[0].close())
        thread.start()

        with pytest.raises(StepFailed) as raised:
            call(f"http://user:pass@127.0.0.1:{port}/p?token=t", authentication={"type": "token", "secret": "awx"})

        thread.join()
    assert str(raised.value).startswith(f"GET 127.0.0.1:{port}: ")
    assert not {"pass", "token", "t0ken"} & set(str(raised.value).replace("=", " ").split())


def test_a_refused_connection_says_so(call: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(StepFailed, match=rf"GET 127.0.0.1:{port}: Connection refused$"):
        call(f"http://127.0.0.1:{port}/p?token=t")


@pytest.mark.parametrize(
    "uri", ["ftp://x/a", "/relative", "x", "http://", "https://user:secret@/x?token=t", "http://h:99999/", "http://[::"]
)
def test_what_is_no_address_is_an_error_without_its_query(call: Any, uri: str) -> None:
    with pytest.raises(StepFailed, match=r"not an address") as raised:
        call(uri)

    assert "token" not in str(raised.value)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("host", ["a.\ud800", "a" * 70 + ".b", "*"])
def test_a_host_that_cannot_be_is_an_error(call: Any, host: str) -> None:
    with pytest.raises(StepFailed, match=r"not an address that can be called|label empty or too long"):
        call("http://{{ host }}/", {"host": host})


@pytest.mark.parametrize("value", ["a\r\nB: c", "a\0", "漢"])
def test_a_header_that_cannot_be_sent_is_an_error_without_its_value(peer: Peer, call: Any, value: str) -> None:
    with pytest.raises(StepFailed, match=r"the value of header 'X-A' has characters that a header cannot hold$"):
        call(peer.url, {"v": value}, headers={"X-A": "{{ v }}"})

    assert peer.seen == []


@pytest.mark.parametrize("name", ["X A", "", "X:A"])
def test_a_header_needs_a_name_that_can_be_sent(peer: Peer, call: Any, name: str) -> None:
    with pytest.raises(StepFailed, match="cannot be the name of a header"):
        call(peer.url, headers={name: "a"})


# TLS


@pytest.fixture
def secure_peer(tmp_path: Path) -> Iterator[Peer]:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)

    def make(handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        return server

    yield from serve(make, "https")


def test_a_certificate_is_verified(secure_peer: Peer, call: Any) -> None:
    with pytest.raises(StepFailed, match="the TLS certificate is refused: self-signed certificate"):
        call(secure_peer.url)


def test_not_verifying_is_logged(secure_peer: Peer, fake_run: Any, read_step: Any) -> None:
    run = fake_run()

    assert read_step("rest", uri=secure_peer.url, verify=False).options.run(run) == {}
    assert [level for level, _ in run.logged] == ["warning"]
    assert "is not verified" in run.logged[0][1]
