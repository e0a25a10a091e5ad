"""`rest` and the addresses it may reach, the hosts of a secret, and peers that drip."""

from __future__ import annotations

import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import Any

import pytest
from certificates import self_signed
from urllib3.util.connection import HAS_IPV6

from engine.egress import Egress, adapter
from engine.egress.adapter import GuardedSession
from engine.errors import StepFailed

SECRETS = {
    "awx": {"type": "token", "token": "t0ken", "hosts": "awx.example.com,*.example.org,127.0.0.1"},
    "elsewhere": {"type": "credential", "username": "ann", "password": "canary", "hosts": "snow.example.com:8443"},
    "agent": {"type": "api-key", "key": "User-Agent", "value": "canary"},
}


@pytest.fixture
def call(fake_run: Any, read_step: Any) -> Iterator[Callable[..., Any]]:
    """Runs a `rest` step with the session that jobs have."""
    sessions = []

    def call(uri: str, egress: Egress = Egress(), ca_file: object = "", **options: Any) -> Any:  # noqa: B008
        run = fake_run(secrets=SECRETS)
        run.session.close()
        run.session = GuardedSession(egress, str(ca_file))
        sessions.append(run.session)
        return read_step("rest", uri=uri, **options).options.run(run)

    yield call
    for session in sessions:
        session.close()


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Names with the address that each resolves to, once."""
    names: dict[str, str] = {}
    resolve = socket.getaddrinfo

    def stub(host: str, *rest: Any) -> Any:
        return resolve(names.pop(host, host), *rest)

    monkeypatch.setattr(socket, "getaddrinfo", stub)
    return names


@pytest.fixture
def no_connection(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is connected to beyond loopback; it is written down, and refused."""
    tried: list[Any] = []
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if address[0] not in ("127.0.0.1", "127.0.0.2", "::1"):
            tried.append(address)
            raise ConnectionRefusedError(111, "Connection refused")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    monkeypatch.setattr(adapter, "allowed_gai_family", lambda: socket.AF_UNSPEC)  # Also where there is no IPv6.
    return tried


class Peer:
    """Answers as a test says, one answer for each path."""

    def __init__(self, host: str = "127.0.0.1", context: ssl.SSLContext | None = None) -> None:
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.answers: dict[str, bytes] = {}
        self.drip = b""
        self.closing = Event()
        peer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                peer.seen.append((self.path, dict(self.headers)))
                with suppress(OSError):
                    self.wfile.write(peer.answers.get(self.path, b"HTTP/1.1 204 No Content\r\n\r\n"))
                    while peer.drip and not peer.closing.wait(0.05):
                        self.wfile.write(peer.drip)

            do_POST = do_GET

            def log_message(self, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *args: Any) -> None:
                """A client that leaves in the middle of the handshake is what some tests are about."""

        self.server = Server((host, 0), Handler)
        if context is not None:
            self.server.socket = context.wrap_socket(
                self.server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = self.server.server_address[1]
        self.thread = Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def close(self) -> None:
        self.closing.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def peer() -> Iterator[Peer]:
    made = Peer()
    yield made
    made.close()


def redirect(location: str) -> bytes:
    return f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()


# Addresses


def test_a_refused_address_is_named_with_method_host_and_reason(call: Any, resolved: Any, no_connection: Any) -> None:
    resolved["example.com"] = "169.254.169.254"

    with pytest.raises(StepFailed) as raised:
        call("https://user:pass@example.com/latest?token=t")

    assert str(raised.value) == "GET example.com: the address 169.254.169.254 is not allowed (link-local)"
    assert no_connection == []


@pytest.mark.parametrize(
    ("egress", "reason"),
    [
        (Egress.of("127.0.0.0/8", ""), r"\(in 127.0.0.0/8, EGRESS_DENY\)"),
        (Egress.of("", "10.0.0.0/8"), r"\(not in EGRESS_ALLOW\)"),
    ],
)
def test_a_setting_that_refuses_is_named(peer: Peer, call: Any, egress: Egress, reason: str) -> None:
    with pytest.raises(StepFailed, match=rf"POST 127.0.0.1:\d+: the address 127.0.0.1 is not allowed {reason}"):
        call(f"http://127.0.0.1:{peer.port}/", egress, method="post", body={"a": 1})

    assert peer.seen == []


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:169.254.169.254]/",
        "http://2852039166/",
        "//0xa9fea9fe/",
        "http://0.0.0.0/",
        "http://127.0.0.2/",
    ],
)
def test_fault_56_a_redirect_to_a_refused_address_is_not_followed(
    peer: Peer, call: Any, no_connection: Any, target: str
) -> None:
    peer.answers["/"] = redirect(target)

    with pytest.raises(StepFailed, match="is not allowed"):
        call(f"http://127.0.0.1:{peer.port}/", Egress.of("127.0.0.2", ""), follow_redirects=True)

    assert len(peer.seen) == 1
    assert no_connection == []


def test_a_redirect_to_a_name_that_now_resolves_elsewhere_is_checked(
    peer: Peer, call: Any, resolved: Any, no_connection: Any
) -> None:
    resolved["peer.example"] = "127.0.0.1"
    resolved["other.example"] = "::ffff:169.254.169.254"
    peer.answers["/"] = redirect("http://other.example/")

    with pytest.raises(StepFailed, match=r"GET other.example: the address ::ffff:169.254.169.254 is not allowed"):
        call(f"http://peer.example:{peer.port}/", follow_redirects=True)

    assert no_connection == []


@pytest.mark.parametrize(
    "host",
    ["127.0.0.2", pytest.param("::1", marks=pytest.mark.skipif(not HAS_IPV6, reason="this machine has no IPv6"))],
)
def test_other_loopback_addresses_are_reached(call: Any, host: str) -> None:
    peer = Peer(host)
    try:
        assert call(f"http://{f'[{host}]' if ':' in host else host}:{peer.port}/") is None
    finally:
        peer.close()


def test_a_certificate_is_checked_by_the_name_not_by_the_address(
    tmp_path: Path, call: Any, resolved: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=x"]
    command += ["-addext", "subjectAltName=DNS:right.example", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    asked_for: list[str | None] = []
    context.sni_callback = lambda _, name, __: asked_for.append(name)
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(certificate))
    resolved |= {"right.example": "127.0.0.1", "wrong.example": "127.0.0.1"}
    peer = Peer(context=context)
    try:
        assert call(f"https://right.example:{peer.port}/") is None
        with pytest.raises(StepFailed, match="TLS certificate is refused: Hostname mismatch"):
            call(f"https://wrong.example:{peer.port}/")
    finally:
        peer.close()

    assert asked_for == ["right.example", "wrong.example"]
    assert [headers["Host"] for _, headers in peer.seen] == [f"right.example:{peer.port}"]


def test_certificates_of_an_authority_of_ones_own_are_believed_where_a_file_names_it(tmp_path: Path, call: Any) -> None:
    context, certificate = self_signed(tmp_path)
    peer = Peer(context=context)
    try:
        with pytest.raises(StepFailed, match="the TLS certificate is refused: self-signed certificate"):
            call(f"https://127.0.0.1:{peer.port}/")
        assert call(f"https://127.0.0.1:{peer.port}/", ca_file=certificate) is None
    finally:
        peer.close()


def test_fault_59_a_certificate_that_has_expired_is_refused_before_anything_is_sent(tmp_path: Path, call: Any) -> None:
    context, certificate = self_signed(tmp_path, days=-1)
    peer = Peer(context=context)
    try:
        with pytest.raises(StepFailed, match="the TLS certificate is refused: certificate has expired"):
            call(f"https://127.0.0.1:{peer.port}/", ca_file=certificate)
    finally:
        peer.close()

    assert peer.seen == []


def test_a_file_of_certificates_that_is_gone_is_named(tmp_path: Path, call: Any) -> None:
    with pytest.raises(StepFailed, match=r"127\.0\.0\.1.*gone\.pem"):
        call("https://127.0.0.1:1/", ca_file=tmp_path / "gone.pem")


# The hosts of a secret


def test_a_secret_travels_to_its_hosts(peer: Peer, call: Any, resolved: Any) -> None:
    resolved["a.example.org"] = "127.0.0.1"

    for host in ("127.0.0.1", "a.example.org"):
        call(f"http://{host}:{peer.port}/", authentication={"type": "token", "secret": "awx"})

    assert [headers["Authorization"] for _, headers in peer.seen] == ["Bearer t0ken"] * 2


@pytest.mark.parametrize(
    ("host", "secret", "said"),
    [
        ("localhost", "awx", "secret 'awx' may not travel to localhost:{} (its hosts: awx.example.com, *.example.org,"),
        ("127.0.0.1", "elsewhere", "may not travel to 127.0.0.1:{} (its hosts: snow.example.com:8443)"),
        ("snow.example.com", "elsewhere", "secret 'elsewhere' may not travel to snow.example.com:{}"),
        ("awx.example.com@localhost", "awx", "secret 'awx' may not travel to localhost:{}"),
        ("localhost\\@awx.example.com", "awx", "not"),
        ("awx.example.com.localhost", "awx", "secret 'awx' may not travel to awx.example.com.localhost:{}"),
        ("example.org", "awx", "secret 'awx' may not travel to example.org:{}"),
    ],
)  # fmt: skip
def test_a_secret_does_not_travel_elsewhere(
    peer: Peer, call: Any, no_connection: Any, host: str, secret: str, said: str
) -> None:
    kind = "token" if secret == "awx" else "basic"

    with pytest.raises(StepFailed) as raised:
        call(f"http://{host}:{peer.port}/", authentication={"type": kind, "secret": secret})

    assert said.format(peer.port) in str(raised.value)
    assert "canary" not in str(raised.value)
    assert (peer.seen, no_connection) == ([], [])


def test_a_redirect_leaves_the_secret_behind(peer: Peer, call: Any) -> None:
    peer.answers["/"] = redirect(f"http://localhost:{peer.port}/there")

    call(f"http://127.0.0.1:{peer.port}/", follow_redirects=True, authentication={"type": "token", "secret": "awx"})

    assert ["Authorization" in headers for _, headers in peer.seen] == [True, False]


def test_a_secret_in_a_harmless_header_is_left_behind_as_well(peer: Peer, call: Any) -> None:
    peer.answers["/"] = redirect(f"http://localhost:{peer.port}/there")

    call(f"http://127.0.0.1:{peer.port}/", follow_redirects=True, authentication={"type": "api-key", "secret": "agent"})

    assert [headers["User-Agent"] for _, headers in peer.seen] == ["canary", "octoflow"]


# Peers that drip


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\nX-A: ", b"x"),
        (b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-A: ", b"x"),
        (b"HTTP/1.1 204 No Content\r\nX-A: ", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-A: ", b"x"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
)
def test_fault_54_a_peer_that_drips_is_left_at_the_deadline(peer: Peer, call: Any, begin: bytes, piece: bytes) -> None:
    peer.answers["/"], peer.drip = begin, piece
    begun = monotonic()

    with pytest.raises(StepFailed, match=r"no complete answer within 0.5 s"):
        call(f"http://127.0.0.1:{peer.port}/", timeout_seconds=0.5)

    assert monotonic() - begun < 1.5


def test_fault_54_a_peer_that_drips_under_tls_is_left_at_the_deadline(tmp_path: Path, call: Any) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=x"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    peer = Peer(context=context)
    peer.answers["/"], peer.drip = b"HTTP/1.1 200 OK\r\nX-A: ", b"x"
    begun = monotonic()
    try:
        with pytest.raises(StepFailed, match=r"no complete answer within 0.5 s"):
            call(f"https://127.0.0.1:{peer.port}/", timeout_seconds=0.5, verify=False)
    finally:
        peer.close()

    assert monotonic() - begun < 1.5


def test_a_peer_that_does_not_read_is_left_at_the_deadline(call: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        begun = monotonic()
        with pytest.raises(StepFailed, match=r"no complete answer within 0.5 s; whether it took effect is unknown"):
            call(
                f"http://127.0.0.1:{listener.getsockname()[1]}/",
                timeout_seconds=0.5,
                method="post",
                body="x" * 9_000_000,
            )

    assert monotonic() - begun < 1.5
