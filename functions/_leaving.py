"""What a server's process does when it is told to leave: at the signal, not once its last connection has closed.

gunicorn answers what is under way before a worker ends. Jobs must hear of it at once, since a request may be waiting
for one, and since containers are killed ten or fifteen seconds after the signal. `functions-framework` has no hook for
that, and a signal's handler can only be set in the main thread. So the running worker is found by the handler that it
has set, and is given another one in its main thread, where gunicorn runs what it is handed.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from threading import Timer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType


def tell_at_leaving(drain: Callable[[], None], patience_seconds: float) -> None:
    """Have `drain` called when this process's gunicorn worker is told to leave; any thread may ask for it.

    It is called once, in the worker's main thread, and must return at once; another SIGTERM changes nothing. The
    process ends after so many seconds whatever still goes on. Where no such worker runs, nothing happens.
    """
    worker: Any = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    if hasattr(worker, "method_queue") and hasattr(worker, "handle_exit"):
        worker.method_queue.defer(Leaving(worker, drain, patience_seconds).listen)


class Leaving:
    """The handler of one worker."""

    def __init__(self, worker: Any, drain: Callable[[], None], patience_seconds: float) -> None:
        self._worker = worker
        self._drain = drain
        self._patience_seconds = patience_seconds
        self._has_begun = False

    def listen(self) -> None:
        """Set the handler; in the main thread only."""
        signal.signal(signal.SIGTERM, self._on_leave)
        signal.siginterrupt(signal.SIGTERM, False)

    def _on_leave(self, number: int, frame: FrameType | None) -> None:
        if not self._has_begun and self._worker.alive:
            self._has_begun = True
            self._worker.handle_exit(number, frame)
            # Not here: a handler interrupts the main thread anywhere, also while that holds a lock.
            self._worker.method_queue.defer(self._leave)

    def _leave(self) -> None:
        self._drain()
        # gunicorn waits for its connections, and then Python for their threads, which may be reading from a client.
        last = Timer(self._patience_seconds, os._exit, (0,))
        last.daemon = True
        last.start()
