"""Messages between a service and a job's process: a JSON head and a payload of bytes, over a socket. Never pickle.

A frame is two lengths (big-endian, four bytes each), the head as JSON, and the payload as it is: a step's output
travels and is stored as the JSON text it was encoded to once.
"""

from __future__ import annotations

import json
import math
import select
import socket
import struct
from collections.abc import Sequence
from datetime import datetime
from threading import Lock
from typing import Any, NamedTuple

from engine.clock import from_micros, to_micros
from engine.models.job import Event, LogLine, StepEnded, StepStarted, StepStatus

LENGTHS = struct.Struct("!II")
MAX_FRAME_BYTES = 256 << 20
"""More than this in one frame is no message but a runaway process."""
READ_BYTES = 1 << 16
"""Of a buffer that is larger than 128 KiB the C library maps new pages each time."""


class ChannelClosed(Exception):
    """The other side is gone."""


class Frame(NamedTuple):
    """One message: `head["kind"]` says what it is."""

    head: dict[str, Any]
    payload: bytes


class Channel:
    """One end of a conversation. Any thread may send; one thread receives."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._sending = Lock()
        self._buffer = bytearray()

    def fileno(self) -> int:
        return self.connection.fileno()

    def send(self, *frames: tuple[dict[str, Any], bytes]) -> None:
        """Send the frames in order, nothing in between; ChannelClosed when nobody is there to read."""
        parts: list[bytes] = []
        for head, payload in frames:
            encoded = json.dumps(head, separators=(",", ":")).encode()
            parts += (LENGTHS.pack(len(encoded), len(payload)), encoded, payload)
        try:
            with self._sending:
                self.connection.sendall(b"".join(parts))
        except OSError as error:
            raise ChannelClosed(str(error)) from error

    def receive(self) -> Frame:
        """The next frame, waited for as long as it takes."""
        while (frame := self._take()) is None:
            self._read()
        return frame

    def receive_ready(self) -> list[Frame]:
        """The frames that have arrived after one read; call it when the channel is readable. It never waits."""
        self._read()
        frames = []
        while (frame := self._take()) is not None:
            frames.append(frame)
        return frames

    def drain(self) -> list[Frame]:
        """Every whole frame that is still there to be read, when the other side may be gone."""
        frames = []
        try:
            while readable([self.fileno()], 0):
                frames += self.receive_ready()
        except (ChannelClosed, OSError, ValueError):
            pass
        return frames

    def close(self) -> None:
        self.connection.close()

    def _read(self) -> None:
        try:
            data = self.connection.recv(READ_BYTES)
        except OSError as error:
            raise ChannelClosed(str(error)) from error
        if not data:
            raise ChannelClosed("the other side closed the connection")
        self._buffer += data

    def _take(self) -> Frame | None:
        if len(self._buffer) < LENGTHS.size:
            return None
        head_length, payload_length = LENGTHS.unpack_from(self._buffer)
        end = LENGTHS.size + head_length + payload_length
        if end > MAX_FRAME_BYTES:
            raise ChannelClosed(f"a message of {end} bytes is over the limit of {MAX_FRAME_BYTES}")
        if len(self._buffer) < end:
            return None
        middle = LENGTHS.size + head_length
        frame = Frame(json.loads(self._buffer[LENGTHS.size : middle]), bytes(self._buffer[middle:end]))
        del self._buffer[:end]
        return frame


def readable(fds: Sequence[int], seconds: float) -> list[int]:
    """Those of the descriptors that can be read or are closed at the other end, waited for up to so many seconds.

    poll, not select: a service may have more than 1024 descriptors.
    """
    poller = select.poll()
    for fd in fds:
        poller.register(fd, select.POLLIN)
    return [fd for fd, _ in poller.poll(math.ceil(seconds * 1000))]


def encode_event(event: Event) -> tuple[dict[str, Any], bytes]:
    """An event as a frame; a step's output is its payload."""
    head: dict[str, Any] = {}
    for name in event.__slots__:
        value = getattr(event, name)
        if value is not None:
            head[name] = to_micros(value) if isinstance(value, datetime) else value
    output = head.pop("output", None)
    head["kind"] = type(event).__name__
    if output is None:
        return head, b""
    head["has_output"] = True
    return head, output.encode()


def decode_event(frame: Frame) -> Event | None:
    """The event that a frame holds, None when it holds something else."""
    head = dict(frame.head)
    kind = head.pop("kind")
    if "time" in head:
        head["time"] = from_micros(head["time"])
    match kind:
        case "StepStarted":
            return StepStarted(**head)
        case "StepEnded":
            output = frame.payload.decode() if head.pop("has_output", False) else None
            return StepEnded(**{**head, "status": StepStatus(head["status"]), "output": output})
        case "LogLine":
            return LogLine(**head)
    return None
