"""Ends the reading from a client that takes too long, however steadily it drips: no server's own timeout does.

A socket's timeout starts again with each byte. One thread looks twice a second at the sockets that are being read and
shuts the reading side of those that are over their time; the reader then sees the end, and an answer can still be sent.
It sleeps when nothing is read, and is woken only then: a service with many requests does not wake it for each.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Condition, Thread
from time import monotonic
from typing import Any

LOOK_SECONDS = 0.5


class Patience:
    """The sockets that are being read, each with the moment at which patience ends."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._reading: dict[object, tuple[float, Any]] = {}
        self._thread: Thread | None = None
        self._sleeps = False
        """Whether the thread waits to be woken, however long that takes."""

    @contextmanager
    def at_most(self, client: Any, seconds: float) -> Iterator[None]:
        """While this is open, reading from the client's socket ends after so many seconds. None has no bound."""
        if client is None:
            yield
            return
        mark = object()
        with self._changed:
            self._reading[mark] = (monotonic() + seconds, client)
            if self._thread is None or not self._thread.is_alive():
                self._thread = Thread(target=self._watch, name="patience", daemon=True)
                self._thread.start()
            if self._sleeps:
                self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                del self._reading[mark]

    def _watch(self) -> None:
        while True:
            with self._changed:
                while not self._reading:
                    self._sleeps = True
                    self._changed.wait()
                self._sleeps = False
                now = monotonic()
                late = [client for end, client in self._reading.values() if now >= end]
                for client in late:  # Within the lock: a socket whose reader has just left is the next request's.
                    with suppress(OSError):
                        client.shutdown(socket.SHUT_RD)
                self._changed.wait(LOOK_SECONDS)


PATIENCE = Patience()
