"""Messages between a service and a job's process: whole, in order, byte for byte."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import frames
from engine.clock import EPOCH
from engine.frames import (
    LENGTHS,
    MAX_FRAME_BYTES,
    Channel,
    ChannelClosed,
    Frame,
    decode_event,
    encode_event,
    readable,
)
from engine.models.job import Event, LogLine, StepEnded, StepStarted, StepStatus


@pytest.fixture
def ends() -> Iterator[tuple[Channel, socket.socket]]:
    """A channel, and the bare socket at its other end."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.settimeout(10)
        yield Channel(ours), theirs


@pytest.fixture
def channels() -> Iterator[tuple[Channel, Channel]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Channel(ours), Channel(theirs)


def written(*messages: tuple[dict[str, Any], bytes]) -> bytes:
    """Messages as they travel."""
    parts = []
    for head, payload in messages:
        encoded = json.dumps(head).encode()
        parts.append(LENGTHS.pack(len(encoded), len(payload)) + encoded + payload)
    return b"".join(parts)


# Frames


def test_a_frame_that_comes_byte_by_byte_is_read_when_it_is_whole(ends):
    channel, peer = ends
    data = written(({"kind": "a"}, b"payload"))

    seen = []
    for byte in data:
        peer.sendall(bytes([byte]))
        seen.append(channel.receive_ready())

    assert seen[:-1] == [[]] * (len(data) - 1)
    assert seen[-1] == [Frame({"kind": "a"}, b"payload")]


def test_receive_waits_for_the_rest_of_its_frame(ends):
    channel, peer = ends
    data = written(({"kind": "a"}, b"payload"))
    peer.sendall(data[:-3])
    got = []
    waiting = Thread(target=lambda: got.append(channel.receive()))

    waiting.start()
    peer.sendall(data[-3:])
    waiting.join(10)

    assert got == [Frame({"kind": "a"}, b"payload")]


def test_many_frames_in_one_read_come_in_their_order(ends):
    channel, peer = ends
    peer.sendall(written(*(({"kind": "n", "n": n}, b"x" * n) for n in range(20))) + written(({}, b""))[:3])

    got = channel.receive_ready()

    assert got == [Frame({"kind": "n", "n": n}, b"x" * n) for n in range(20)]


def test_the_part_of_a_frame_that_came_with_another_is_kept_for_the_next_read(ends):
    channel, peer = ends
    data = written(({"kind": "a"}, b""), ({"kind": "b"}, b"rest"))

    peer.sendall(data[:-2])
    first = channel.receive_ready()
    peer.sendall(data[-2:])

    assert first == [Frame({"kind": "a"}, b"")]
    assert channel.receive_ready() == [Frame({"kind": "b"}, b"rest")]


@given(head=st.dictionaries(st.text(), st.text() | st.integers() | st.none()), payload=st.binary(max_size=200))
def test_a_head_and_a_payload_arrive_exactly(head, payload):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        Channel(ours).send((head, payload))

        assert Channel(theirs).receive() == Frame(head, payload)


def test_a_payload_larger_than_any_buffer_arrives_exactly(channels):
    ours, theirs = channels
    payload = bytes(range(256)) * 40_000
    sender = Thread(target=ours.send, args=(({"kind": "big"}, payload), ({"kind": "after"}, b"")))

    sender.start()
    got = theirs.receive(), theirs.receive()
    sender.join(10)

    assert got[0].payload == payload
    assert got[1].head == {"kind": "after"}


def test_threads_that_send_at_once_do_not_mix_their_frames(channels):
    ours, theirs = channels
    barrier = Barrier(4)

    def send(number):
        barrier.wait(10)
        for _ in range(5):
            ours.send(({"from": number}, bytes([number]) * 500_000), ({"from": number, "second": True}, b""))

    senders = [Thread(target=send, args=(number,)) for number in range(4)]
    for sender in senders:
        sender.start()
    got = [theirs.receive() for _ in range(40)]
    for sender in senders:
        sender.join(10)

    pairs = list(zip(got[::2], got[1::2], strict=True))
    assert all(first.payload == bytes([first.head["from"]]) * 500_000 for first, _ in pairs)
    assert all(second.head == {**first.head, "second": True} for first, second in pairs)


def test_a_frame_of_the_limit_is_awaited_and_one_more_byte_is_refused(ends):
    channel, peer = ends

    peer.sendall(LENGTHS.pack(2, MAX_FRAME_BYTES - LENGTHS.size - 2) + b"{}")
    assert channel.receive_ready() == []

    with pytest.raises(ChannelClosed, match=f"{MAX_FRAME_BYTES + 1} bytes is over the limit of {MAX_FRAME_BYTES}"):
        refused(LENGTHS.pack(2, MAX_FRAME_BYTES - LENGTHS.size - 1) + b"{}")


def refused(data: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(data)
        Channel(ours).receive_ready()


@pytest.mark.parametrize("begun", [b"", LENGTHS.pack(10, 10), LENGTHS.pack(2, 5) + b"{}par"])
def test_a_peer_that_goes_away_in_the_middle_closes_the_channel(ends, begun):
    channel, peer = ends
    peer.sendall(begun)
    peer.close()

    with pytest.raises(ChannelClosed, match="the other side closed"):
        channel.receive()


def test_sending_to_a_peer_that_is_gone_is_told(ends):
    channel, peer = ends
    peer.close()

    with pytest.raises(ChannelClosed):
        channel.send(({"kind": "a"}, b""))


def test_a_closed_channel_says_that_it_is_closed(ends):
    channel, _ = ends
    channel.close()

    with pytest.raises(ChannelClosed):
        channel.receive()
    with pytest.raises(ChannelClosed):
        channel.send(({}, b""))


# Draining


def test_draining_gives_every_whole_frame_that_a_dead_peer_left(ends):
    channel, peer = ends
    peer.sendall(written(({"n": 1}, b"one"), ({"n": 2}, b"two"), ({"n": 3}, b"half"))[:-1])
    peer.close()

    assert channel.drain() == [Frame({"n": 1}, b"one"), Frame({"n": 2}, b"two")]


def test_draining_takes_more_than_one_read_when_there_is_more(ends, monkeypatch):
    channel, peer = ends
    peer.sendall(written(*(({"n": n}, bytes(40_000)) for n in range(4))))
    monkeypatch.setattr(channel, "connection", OneKilobyteAtATime(channel.connection))

    assert [frame.head["n"] for frame in channel.drain()] == [0, 1, 2, 3]


class OneKilobyteAtATime:
    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def fileno(self) -> int:
        return self._connection.fileno()

    def recv(self, size: int) -> bytes:
        return self._connection.recv(min(size, 1024))


def test_draining_does_not_wait_for_a_peer_that_lives(ends):
    channel, peer = ends
    peer.sendall(written(({"n": 1}, b"")))

    assert channel.drain() == [Frame({"n": 1}, b"")]
    assert channel.drain() == []


def test_draining_a_closed_channel_gives_nothing(ends):
    channel, _ = ends
    channel.close()

    assert channel.drain() == []


# Waiting


def test_readable_names_those_that_have_something_and_those_that_are_closed():
    pairs = [socket.socketpair() for _ in range(3)]
    try:
        pairs[0][1].sendall(b"x")
        pairs[1][1].close()
        fds = [ours.fileno() for ours, _ in pairs]

        assert readable(fds, 0) == fds[:2]
    finally:
        for ours, theirs in pairs:
            ours.close()
            theirs.close()


def test_readable_never_wakes_before_its_time(monkeypatch):
    waited = []

    class Poller:
        def register(self, *_):
            pass

        def poll(self, milliseconds):
            waited.append(milliseconds)
            return []

    monkeypatch.setattr(frames.select, "poll", Poller)

    for seconds in (0, 0.0001, 0.02, 1.5):
        readable([1], seconds)

    assert waited == [0, 1, 20, 1500]


# Events

moments = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=365 * 8000)).map(lambda age: EPOCH + age)
numbers = st.integers(min_value=1, max_value=10**9)
texts = st.text()
maybe = st.none() | texts
events: st.SearchStrategy[Event] = st.one_of(
    st.builds(StepStarted, numbers, texts, texts, moments, parent=maybe, is_finally=st.booleans()),
    st.builds(
        StepEnded,
        numbers,
        st.sampled_from(StepStatus),
        moments,
        error=maybe,
        result_key=maybe,
        output=st.none() | st.just("") | st.recursive(st.text(), st.lists).map(json.dumps),
    ),
    st.builds(LogLine, moments, st.sampled_from(["debug", "info", "warning", "error"]), texts, step=maybe),
)


@given(events)
def test_every_event_comes_out_as_it_went_in(event):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        Channel(ours).send(encode_event(event))

        got = decode_event(Channel(theirs).receive())

    assert got == event
    assert type(getattr(got, "status", None)) is type(getattr(event, "status", None))


def test_an_output_travels_as_the_text_it_was_encoded_to():
    output = '{"a":  1.0, "b": [ ]}'

    _, payload = encode_event(StepEnded(1, StepStatus.SUCCESS, datetime(2026, 1, 1, tzinfo=UTC), output=output))

    assert payload.decode() == output


def test_a_moment_keeps_its_microseconds_and_not_its_zone():
    from datetime import timezone

    moment = datetime(2026, 3, 15, 12, 0, 0, 123456, tzinfo=timezone(timedelta(hours=2)))

    got = decode_event(Frame(*encode_event(LogLine(moment, "info", "x"))))

    assert got.time == moment
    assert got.time.utcoffset() == timedelta(0)


@pytest.mark.parametrize("kind", ["result", "sync", "secret", "stopping", "something else"])
def test_what_is_no_event_is_none(kind):
    assert decode_event(Frame({"kind": kind}, b"")) is None
