"""The engine of this process: made when the first request needs it, never at import, since servers fork after that."""

from __future__ import annotations

import atexit
import gc
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

from engine.errors import Draining, OctoflowError, Unavailable
from engine.service_log import ServiceLog, begin_from_environment
from functions._leaving import tell_at_leaving

if TYPE_CHECKING:
    from engine.orchestrator import Orchestrator

FIRST_WAIT_SECONDS = 0.3
LONGEST_WAIT_SECONDS = 30.0

log = logging.getLogger(__name__)


class NotReady(Unavailable):
    """This process has no engine yet; the message says what stands in the way."""

    code = "not_ready"


UNEXPECTED = NotReady("The engine could not be made; the service log says why.")


class ProcessEngine:
    """One engine, and the thread that starts it a moment after the first answer."""

    def __init__(self, begin_log: Callable[[], ServiceLog | None] = lambda: None) -> None:
        """`begin_log` is called before the first engine is made, and gives the log that is to hide its secrets."""
        self._begin_log = begin_log
        self._lock = Lock()
        self._engine: Orchestrator | None = None
        self._attempts = 0
        self._failure: OctoflowError = UNEXPECTED
        self._starter: Thread | None = None
        self._closing = Event()

    def get(self) -> Orchestrator:
        """The engine; NotReady when it cannot be made, and the next call tries again. Draining once it is closed."""
        if self._engine is not None:
            return self._engine
        seen = self._attempts
        with self._lock:
            if self._engine is not None:
                return self._engine
            if self._attempts == seen:  # else somebody's attempt ended while we waited, and its failure is ours too
                self._make()
            if self._engine is None:
                if self._closing.is_set():
                    raise Draining("This process is on its way out.")
                raise NotReady(str(self._failure))
            return self._engine

    def use(self, engine: Orchestrator) -> None:
        """Serve with this engine: how tests bring one of their own."""
        self._engine = engine

    def start_soon(self) -> None:
        """See to it that the engine looks for pending jobs, also when nobody launches one; returns at once.

        Where jobs run inline nothing is started: requests do all there is to do.
        """
        if self._starter is None and not self._closing.is_set():
            with self._lock:
                if self._starter is None:
                    self._starter = Thread(target=self._start, name="octoflow-start", daemon=True)
                    self._starter.start()

    def drain(self) -> None:
        """Take no more jobs and stop those that run, while all else still answers; returns at once."""
        self._closing.set()
        if self._engine is not None:
            self._engine.drain()

    def close(self) -> None:
        """Stop the engine, if there is one; once is enough."""
        self._closing.set()
        with self._lock:
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

    def _make(self) -> None:
        if self._closing.is_set():
            return
        self._failure = UNEXPECTED
        try:
            service_log = self._begin_log()
            with _without_collecting():
                from engine.orchestrator import Orchestrator

                self._engine = Orchestrator.from_environment()
            if service_log is not None:
                service_log.mask = self._engine.mask
            atexit.register(self.close)
            tell_at_leaving(self.drain, self._engine.settings.stop_seconds + 1)
            if self._closing.is_set():
                self._engine.drain()
        except OctoflowError as error:
            self._failure = error
        finally:
            self._attempts += 1

    def _start(self) -> None:
        wait = FIRST_WAIT_SECONDS
        while not self._closing.wait(wait):
            try:
                engine = self.get()
                if engine.settings.executor == "local":
                    engine.start()
                break
            except OctoflowError as error:
                log.warning("The engine does not start: %s", error)
            except Exception:
                log.exception("The engine does not start")
            wait = min(max(1.0, wait * 2), LONGEST_WAIT_SECONDS)
        else:
            return
        if engine.settings.tick_inside:
            from functions._inside_clock import tick_each_minute

            tick_each_minute(engine, self._closing)


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Imports make many objects and little garbage: a tenth of their time would go into looking for it."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


PROCESS = ProcessEngine(begin_from_environment)
"""Of this process, which is the one place where there can only be one."""
