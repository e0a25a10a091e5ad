"""Ends calls at their deadline, however steadily the peer drips: a socket's own timeout starts again with each byte.

One thread waits for the next deadline and shuts the connection of the call that is over its time. Calls are told to
it by a queue, whose `put` takes no lock: a signal that ends the step may arrive between any two lines of it.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import Any


class Call:
    """One exchange on a connection, which is over when the connection has another one or none."""

    __slots__ = ("connection", "deadline")

    def __init__(self, connection: Any, deadline: float) -> None:
        self.connection = connection
        self.deadline = deadline

    @property
    def is_open(self) -> bool:
        return self.connection.call is self

    def end(self) -> None:
        """Shut the socket in both directions: whoever reads or writes sees the end."""
        for sock in (self.connection.sock, self.connection.read_from):
            if sock is not None:
                with suppress(OSError):
                    # Not SSLSocket's own: that takes the TLS state away from a thread that is reading.
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)


class Deadlines:
    """The open calls of one session, and the thread that ends those that are late."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[Call | None] = SimpleQueue()
        Thread(target=self._watch, name="deadlines", daemon=True).start()

    def watch(self, call: Call) -> None:
        """End this call at its deadline, unless it is over by then."""
        self._calls.put(call)

    def close(self) -> None:
        """Let the thread end."""
        self._calls.put(None)

    def _watch(self) -> None:
        open_calls: list[Call] = []
        while True:
            wait = max(0.0, min(call.deadline for call in open_calls) - monotonic()) if open_calls else None
            try:
                call = self._calls.get(timeout=wait)
            except Empty:
                pass
            else:
                if call is None:
                    return
                open_calls.append(call)
            now = monotonic()
            open_calls = [call for call in open_calls if call.is_open]
            for call in open_calls:
                if now >= call.deadline:
                    call.end()
            open_calls = [call for call in open_calls if now < call.deadline]
