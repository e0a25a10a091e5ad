"""Who waits for the end of which job, in this process."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Lock


class Endings:
    """Told once a job's row is closed; a job of another process tells nobody here."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: defaultdict[str, list[Event]] = defaultdict(list)

    @contextmanager
    def of(self, id: str) -> Iterator[Event]:
        """Set when the job ends during the block."""
        ended = Event()
        with self._lock:
            self._waiting[id].append(ended)
        try:
            yield ended
        finally:
            with self._lock:
                self._waiting[id].remove(ended)
                if not self._waiting[id]:
                    del self._waiting[id]

    def tell(self, id: str) -> None:
        """The job has ended."""
        with self._lock:
            for ended in self._waiting.get(id, ()):
                ended.set()

    def tell_all(self) -> None:
        """Let everybody look again: this process is on its way out."""
        with self._lock:
            for several in self._waiting.values():
                for ended in several:
                    ended.set()
