"""Reading that takes too long is ended, however steadily bytes drip; nothing else is."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from threading import Event, Thread
from time import monotonic

import pytest

from functions import _patience
from functions._patience import Patience


@pytest.fixture(autouse=True)
def look_often(monkeypatch):
    monkeypatch.setattr(_patience, "LOOK_SECONDS", 0.02)


@pytest.fixture
def pairs() -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    """Two connections, each as the server and as the client sees it; what is read of them ends."""
    with ExitStack() as stack:
        made = [socket.socketpair() for _ in range(2)]
        for pair in made:
            for end in pair:
                end.settimeout(10)
                stack.enter_context(end)
        yield made


@pytest.fixture
def pair(pairs):
    return pairs[0]


@pytest.fixture
def patience() -> Patience:
    return Patience()


class Drip:
    """A client that sends a byte each hundredth of a second, until it is told to stop or nobody listens."""

    def __init__(self, client: socket.socket) -> None:
        self._client = client
        self._over = Event()
        self._thread = Thread(target=self._send)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(10)

    def _send(self) -> None:
        end = monotonic() + 5
        while not self._over.wait(0.01) and monotonic() < end:
            try:
                self._client.send(b"x")
            except OSError:
                return


def read_to_the_end(server: socket.socket) -> float:
    """How long it took until there was nothing more to read."""
    begun = monotonic()
    while server.recv(1):
        pass
    return monotonic() - begun


def test_reading_ends_after_its_time_though_bytes_keep_dripping_and_not_before(pair, patience):
    server, client = pair

    with Drip(client), patience.at_most(server, 0.3):
        seconds = read_to_the_end(server)

    assert 0.3 <= seconds < 3


def test_an_answer_can_still_be_sent_after_reading_was_ended(pair, patience):
    server, client = pair

    with patience.at_most(server, 0):
        read_to_the_end(server)
    server.sendall(b"408")

    assert client.recv(10) == b"408"


def test_a_server_that_does_not_tell_its_socket_is_not_bounded(patience):
    with patience.at_most(None, 0):
        assert patience._thread is None


def test_nothing_is_ended_after_the_block_is_left(pairs, patience):
    (server, client), (other, _) = pairs

    with patience.at_most(server, 0.05):
        pass
    with patience.at_most(other, 0.1):  # Its end proves that the first one's time is over and was looked at.
        read_to_the_end(other)
    client.sendall(b"next")

    assert server.recv(10) == b"next"


def test_a_block_is_not_left_while_its_socket_is_being_ended(patience):
    """Else the next request on the connection would find its reading ended."""
    begun, left, was_left = Event(), Event(), []

    class Client:
        def shutdown(self, how: int) -> None:
            begun.set()
            was_left.append(left.wait(0.2))

    with patience.at_most(Client(), 0):
        assert begun.wait(10)
    left.set()

    assert set(was_left) == {False}


def test_two_at_once_have_each_their_own_time(pairs, patience):
    (first, _), (second, client) = pairs

    with patience.at_most(second, 60):
        with patience.at_most(first, 0.1):
            assert read_to_the_end(first) < 3
        client.sendall(b"still here")

        assert second.recv(20) == b"still here"


def test_a_socket_that_is_gone_does_not_keep_others_from_being_ended(pairs, patience):
    (gone, _), (server, _) = pairs
    gone.close()

    with patience.at_most(gone, 0), patience.at_most(server, 0.1):
        assert read_to_the_end(server) < 3


def test_one_thread_watches_over_all(pairs, patience):
    (first, _), (second, _) = pairs

    with patience.at_most(first, 60):
        thread = patience._thread
        with patience.at_most(second, 60):
            assert patience._thread is thread is not None
