"""Ends calls at their deadline, however steadily the peer drips: a socket's own timeout starts again with each byte.

One thread waits for the next deadline and shuts the connection of the call that is over its time. Calls are told to
it by queues, which take no lock: a signal that ends the step may arrive between any two lines of it.
"""

from __future__ import annotations

import socket
from collections import deque
from contextlib import suppress
from math import inf
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import Any

MOST_TOLD = 1000
"""So many calls may be over before the thread looks at them and lets them go."""


class Call:
    """One exchange on a connection, which is over when the connection has another one or none."""

    __slots__ = ("__weakref__", "connection", "deadline")

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
        self._told: deque[Call] = deque()
        """Calls that the thread has not looked at yet."""
        self._wakes_at = inf
        self._is_over = False
        self._nudges: SimpleQueue[bool] = SimpleQueue()
        Thread(target=self._watch, name="deadlines", daemon=True).start()

    def watch(self, call: Call) -> None:
        """End this call at its deadline, unless it is over by then."""
        # A loop makes hundreds of calls whose deadlines are later than one that is waited for: those wake nobody.
        self._told.append(call)
        if call.deadline < self._wakes_at or self._is_over or len(self._told) > MOST_TOLD:
            self._nudges.put(True)

    def end_all(self) -> None:
        """End every open call, and from now on each that is told of."""
        self._is_over = True
        self._nudges.put(True)

    def close(self) -> None:
        """Let the thread end."""
        self._nudges.put(False)

    def _watch(self) -> None:
        open_calls: list[Call] = []
        while True:
            self._wakes_at = inf  # Who tells of a call from here on nudges, or is seen by the next line.
            while self._told:
                open_calls.append(self._told.popleft())
            open_calls = [call for call in open_calls if call.is_open]
            now = inf if self._is_over else monotonic()
            for call in open_calls:
                if now >= call.deadline:
                    call.end()
            open_calls = [call for call in open_calls if now < call.deadline]
            self._wakes_at = min((call.deadline for call in open_calls), default=inf)
            try:
                if not self._nudges.get(timeout=max(0.0, self._wakes_at - now) if open_calls else None):
                    return
            except Empty:
                pass
