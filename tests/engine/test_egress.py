"""Which addresses a flow may reach, and that a connection goes to the address that was checked."""

from __future__ import annotations

import socket
import threading
import weakref
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from time import monotonic

import pytest
import requests
from services import until
from urllib3.util import Timeout
from urllib3.util.connection import HAS_IPV6

from engine.egress import AddressRefused, Egress, adapter, networks
from engine.egress.adapter import GuardedSession
from engine.egress.deadlines import MOST_TOLD, Call, Deadlines
from engine.egress.hosts import admits, checked

needs_ipv6 = pytest.mark.skipif(not HAS_IPV6, reason="this machine has no IPv6")

# The decision


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.9.9.9", "::1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "fd12::1", "8.8.8.8", "2600::1"),
        *("::ffff:10.0.0.1", "64:ff9b::8.8.8.8", "64:ff9b:1::10.1.1.1", "64:ff9b:1:a01:1:100::", "2002:808:808::1"),
    ],
)
def test_loopback_private_and_public_addresses_are_allowed_by_default(address: str) -> None:
    assert Egress().reason(address) is None


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("169.254.169.254", "link-local"),
        ("169.254.170.2", "link-local"),
        ("169.254.0.1", "link-local"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("febf::1", "link-local"),
        ("fd00:ec2::254", "cloud metadata"),
        ("fd20:ce::254", "cloud metadata"),
        ("100.100.100.200", "cloud metadata"),
        ("168.63.129.16", "cloud metadata"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.250", "multicast"),
        ("ff02::1", "multicast"),
        ("0.0.0.0", "unspecified"),
        ("0.1.2.3", "unspecified"),
        ("::", "unspecified"),
        ("255.255.255.255", "broadcast"),
        ("240.0.0.1", "reserved"),
    ],
)
def test_some_addresses_are_always_refused(address: str, reason: str) -> None:
    everything = tuple(networks("0.0.0.0/0, ::/0"))

    assert Egress().reason(address) == reason
    assert Egress(allow=everything).reason(address) == reason


@pytest.mark.parametrize(
    "address",
    [
        "::ffff:169.254.169.254",
        "::ffff:a9fe:a9fe",
        "::169.254.169.254",
        "::ffff:0:169.254.169.254",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::169.254.169.254",
        "64:ff9b:1:a9fe:a9:fe00::",
        "2002:a9fe:a9fe::1",
        "2001:0:a9fe:a9fe::1",
        "2001:0:808:808:0:0:5601:5601",
        "2600::5efe:169.254.169.254",
        "2600::200:5efe:169.254.169.254",
    ],
)
def test_an_address_within_another_is_seen(address: str) -> None:
    assert Egress().reason(address) == "link-local, as 169.254.169.254"


def test_an_address_that_is_none_is_refused() -> None:
    assert Egress().reason("example.com") == "not an IP address"


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "2002:a01:203::1", "fd12::5"])
def test_denied_networks_are_refused_in_every_form(address: str) -> None:
    egress = Egress.of("10.0.0.0/8, fd12::5", "")

    with pytest.raises(AddressRefused, match=rf"the address {address} is not allowed \(in .*, EGRESS_DENY"):
        egress.check(address)


@pytest.mark.parametrize("denied", ["10.1.2.3", "::ffff:10.1.2.3", "::ffff:10.0.0.0/104"])
def test_a_network_may_be_written_in_ipv6(denied: str) -> None:
    assert "EGRESS_DENY" in str(Egress.of(denied, "").reason("10.1.2.3"))


def test_allowed_networks_admit_no_others() -> None:
    egress = Egress.of("", "10.0.0.0/8,::1")

    for address in ("10.1.1.1", "::ffff:10.1.1.1", "64:ff9b::10.1.1.1", "::1"):
        assert egress.reason(address) is None
    for address in ("127.0.0.1", "8.8.8.8", "2600::1", "2002:a01:101::1"):
        assert egress.reason(address) == "not in EGRESS_ALLOW"


def test_what_is_denied_stays_denied_where_a_larger_network_is_allowed() -> None:
    egress = Egress.of("10.1.0.0/16", "10.0.0.0/8")

    assert egress.reason("10.2.0.1") is None
    assert egress.reason("10.1.0.1") == "in 10.1.0.0/16, EGRESS_DENY"


# Hosts of a secret


@pytest.mark.parametrize(
    ("patterns", "host", "port", "fits"),
    [
        ("example.com", "example.com", 443, True),
        ("example.com", "EXAMPLE.com.", 80, True),
        ("example.com", "a.example.com", 443, False),
        ("example.com", "example.com.evil.org", 443, False),
        ("example.com", "notexample.com", 443, False),
        ("*.example.com", "a.example.com", 443, True),
        ("*.example.com", "a.b.example.com", 443, True),
        ("*.example.com", "example.com", 443, False),
        ("*.example.com", "evilexample.com", 443, False),
        ("example.com:8443", "example.com", 8443, True),
        ("example.com:8443", "example.com", 443, False),
        ("a.org,b.org:1", "b.org", 1, True),
        ("[::1]:80", "::1", 80, True),
        ("127.0.0.1", "127.0.0.1", 5000, True),
        ("example.com", "", 443, False),
    ],
)
def test_a_pattern_is_for_a_host(patterns: str, host: str, port: int, fits: bool) -> None:
    assert admits(patterns, host, port) is fits


@pytest.mark.parametrize(
    "text", ["", "*", "*.", "a.*.com", "https://a.com", "a.com/x", "a b", "a.com:0", "a.com:99999", "a,b", "a..b", "-a"]
)
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no host"):
        checked(text)


# Connections


class Resolver:
    """Stands for DNS: gives the answers in their order, and counts."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int, *rest: int) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        self.asked.append(host)
        found = self.answers.pop(0)
        return [
            (socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in found
        ]


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The addresses other than loopback that something tried to connect to; no packet leaves."""
    places: list[tuple[str, int]] = []
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: tuple[str, int]) -> None:
        if address[0].startswith("127.") or address[0] == "::1":
            connect(self, address)
        else:
            places.append(address)
            raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(socket.socket, "connect", guarded)
    monkeypatch.setattr(adapter, "allowed_gai_family", lambda: socket.AF_UNSPEC)  # Also where there is no IPv6.
    return places


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with closing(GuardedSession(Egress())) as made:
        yield made


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            made.seen.append((self.headers["Host"], self.client_address))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *args: object) -> None:
            pass

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.seen = []
    made.daemon_threads = True
    made.block_on_close = False
    thread = Thread(target=made.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def test_a_connection_goes_to_the_address_that_was_checked(session, server, monkeypatch, tried) -> None:
    resolver = Resolver(["127.0.0.1"], ["169.254.169.254"])
    monkeypatch.setattr(socket, "getaddrinfo", resolver)

    answer = session.get(f"http://rebinding.example:{server.server_port}/")

    assert answer.text == "ok"
    assert resolver.asked == ["rebinding.example"]
    assert server.seen[0][0] == f"rebinding.example:{server.server_port}"
    assert tried == []


def test_a_second_connection_is_checked_again(session, server, monkeypatch, tried) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Resolver(["127.0.0.1"], ["169.254.169.254"]))
    url = f"http://rebinding.example:{server.server_port}/"
    session.get(url, headers={"Connection": "close"})
    session.get_adapter(url).poolmanager.clear()

    with pytest.raises(AddressRefused, match=r"the address 169.254.169.254 is not allowed \(link-local\)"):
        session.get(url)

    assert tried == []


def test_calls_share_a_connection_and_its_resolution(session, server, monkeypatch) -> None:
    resolver = Resolver(["127.0.0.1"])
    monkeypatch.setattr(socket, "getaddrinfo", resolver)

    for _ in range(3):
        session.get(f"http://one.example:{server.server_port}/")

    assert len({client for _, client in server.seen}) == 1
    assert len(resolver.asked) == 1


@pytest.mark.parametrize("order", [["93.184.216.34", "169.254.169.254"], ["::ffff:169.254.169.254", "93.184.216.34"]])
def test_every_address_of_a_name_must_be_allowed(session, monkeypatch, tried, order: list[str]) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Resolver(order))

    with pytest.raises(AddressRefused, match=r"169\.254\.169\.254"):
        session.get("http://mixed.example/")

    assert tried == []


def test_the_next_address_is_tried_when_one_does_not_answer(session, server, monkeypatch, tried) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Resolver(["93.184.216.34", "127.0.0.1"]))

    assert session.get(f"http://two.example:{server.server_port}/").text == "ok"
    assert tried == [("93.184.216.34", server.server_port)]


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "2852039166",
        "0xa9fea9fe",
        "0xa9.0xfe.0xa9.0xfe",
        "0251.0376.0251.0376",
        "169.16689662",
        "[::ffff:169.254.169.254]",
        "[::ffff:a9fe:a9fe]",
        "[64:ff9b::a9fe:a9fe]",
        "[2002:a9fe:a9fe::1]",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "[::]",
        "0",
        "0.0.0.0",
        "255.255.255.255",
        "224.0.0.1",
        "①⑥⑨.254.169.254",
    ],
)
def test_no_way_of_writing_an_address_gets_past(session, tried, host: str) -> None:
    with pytest.raises((AddressRefused, requests.ConnectionError, requests.exceptions.InvalidURL)) as raised:
        session.get(f"http://{host}/", timeout=5)

    assert tried == []
    assert "is not allowed (" in str(raised.value) or host.startswith("①")


@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f.1", "0177.1", "127.1", pytest.param("[::ffff:127.0.0.1]", marks=needs_ipv6)]
)
def test_loopback_may_be_written_in_any_way(session, server, host: str) -> None:
    assert session.get(f"http://{host}:{server.server_port}/").text == "ok"


@pytest.mark.parametrize("address", ["127.0.0.2", "::1"])
def test_a_denied_address_is_refused_beside_one_that_is_not(server, tried, address: str) -> None:
    with closing(GuardedSession(Egress.of(address, ""))) as session:
        assert session.get(f"http://127.0.0.1:{server.server_port}/").text == "ok"
        with pytest.raises(AddressRefused, match="EGRESS_DENY"):
            session.get(f"http://{f'[{address}]' if ':' in address else address}:{server.server_port}/")

    assert len(server.seen) == 1


# Deadlines


def drip(listener: socket.socket, begin: bytes, piece: bytes, closing: Event) -> None:
    """Answers each connection with `begin`, then piece by piece without end."""

    def one(client: socket.socket) -> None:
        with client:
            try:
                client.recv(65_536)
                client.sendall(begin)
                while not closing.wait(0.05):
                    client.sendall(piece)
            except OSError:
                pass

    while not closing.is_set():
        try:
            client, _ = listener.accept()
        except OSError:
            return
        Thread(target=one, args=(client,), daemon=True).start()


@pytest.fixture
def dripping() -> Iterator[object]:
    ended, listeners, threads = Event(), [], []

    def serve(begin: bytes, piece: bytes) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        threads.append(Thread(target=drip, args=(listener, begin, piece, ended)))
        threads[-1].start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"

    yield serve
    ended.set()
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    for thread in threads:
        thread.join()


def watchers() -> set[Thread]:
    """The threads that watch over deadlines, those of other tests' sessions included."""
    return {thread for thread in threading.enumerate() if thread.name == "deadlines"}


def test_one_thread_ends_all_calls_of_a_session(session, dripping) -> None:
    url = dripping(b"HTTP/1.1 200 OK\r\nX-A: ", b"x")
    before = watchers()
    ended: list[float] = []

    def call(seconds: float) -> None:
        begun = monotonic()
        try:
            with closing(session.get(url, timeout=Timeout(total=seconds))):
                pass
        except requests.RequestException:
            pass
        ended.append(monotonic() - begun - seconds)

    callers = [Thread(target=call, args=(0.2 + number / 20,)) for number in range(8)]
    for caller in callers:
        caller.start()
    watching = watchers()
    for caller in callers:
        caller.join(10)

    assert watching == before
    assert before
    assert len(ended) == 8
    assert all(-0.05 < late < 1 for late in ended)


def test_a_connection_that_waits_for_its_next_call_is_left_alone(session, server) -> None:
    url = f"http://127.0.0.1:{server.server_port}/"
    session.get(url, timeout=Timeout(total=0.2))
    Event().wait(0.4)
    session.get(url, timeout=Timeout(total=0.2))

    assert len({client for _, client in server.seen}) == 1


class Connected:
    """A connection as far as deadlines know one."""

    def __init__(self, deadline: float) -> None:
        self.read_from = None
        self.sock, self.far_end = socket.socketpair()
        self.far_end.settimeout(10)
        self.call: Call | None = Call(self, deadline)

    def close(self) -> None:
        self.sock.close()
        self.far_end.close()


def test_a_call_whose_deadline_is_before_all_that_are_waited_for_is_ended_at_it() -> None:
    deadlines = Deadlines()
    begun = monotonic()
    late, soon = Connected(begun + 3600), Connected(begun + 0.1)
    with closing(deadlines), closing(late), closing(soon):
        for each in (late, soon):
            deadlines.watch(each.call)

        assert soon.far_end.recv(1) == b""
        assert monotonic() - begun >= 0.1
        late.far_end.setblocking(False)
        with pytest.raises(BlockingIOError):
            late.far_end.recv(1)


def test_calls_that_are_over_are_let_go_of_long_before_their_deadline() -> None:
    deadlines = Deadlines()
    connection = Connected(monotonic() + 3600)
    over = []
    with closing(deadlines), closing(connection):
        for _ in range(MOST_TOLD + 2):
            call = Call(connection, monotonic() + 3600)
            over.append(weakref.ref(call))
            deadlines.watch(call)
        del call

        until(lambda: sum(each() is not None for each in over) <= 1)


def test_the_thread_ends_with_the_session() -> None:
    others = watchers()
    session = GuardedSession(Egress())
    (thread,) = watchers() - others

    session.close()
    thread.join(5)

    assert not thread.is_alive()
