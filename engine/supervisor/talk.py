"""One conversation with a worker: listens, watches the clocks, stops it and kills it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from threading import RLock
from typing import Any

from engine.clock import Clock
from engine.errors import Unavailable
from engine.frames import ChannelClosed, Frame, readable
from engine.models.job import Reason, State
from engine.supervisor.row import HeldRow
from engine.supervisor.tools import Worker

WORD_SECONDS = 2.0
"""How long a worker may take to say that it heard a stop; in C code, as jq is, it never will."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a conversation ended: with the worker's `result`, or with its death."""

    result: dict[str, Any] | None = None
    payload: bytes = b""
    exit_status: int | None = None
    killed: bool = False


class StopOrder:
    """Why the job is to stop, once somebody has said so; a descriptor wakes who waits."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self._read = self._write = -1
        # Without it a late order could be written into whatever has the descriptor's number by then; a signal's
        # handler may give one while its own thread is in here.
        self._open = RLock()

    def open(self) -> None:
        """Have the descriptor; Unavailable when this process may have no more of them."""
        with self._open:
            try:
                self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError as error:
                raise Unavailable(f"Nobody could listen for its stop: {error.strerror}.") from error

    def give(self, reason: str) -> None:
        """Say it; any thread may. The first reason counts."""
        with self._open, suppress(OSError):
            if self.reason is None:
                self.reason = reason
            os.write(self._write, b"!")

    def fileno(self) -> int:
        return self._read

    def seen(self) -> None:
        """Make the descriptor quiet again."""
        with suppress(BlockingIOError):
            os.read(self._read, 4096)

    def close(self) -> None:
        """Nobody waits any more; a later order is lost."""
        with self._open:
            read, write, self._read, self._write = self._read, self._write, -1, -1
            if read >= 0:
                os.close(read)
                os.close(write)


class Talk:
    """From the hand-over of a job to the worker's result or death."""

    def __init__(
        self,
        worker: Worker,
        row: HeldRow,
        order: StopOrder,
        clock: Clock,
        *,
        hear: Callable[[Frame, Worker], None],
        seconds: float | None,
        grace_seconds: float,
        may_stop: bool,
        on_stop: Callable[[], None],
    ) -> None:
        """`hear` gets every message but the last; `on_stop` is called once the worker was asked to stop.

        Without `may_stop` the deadline kills and orders are kept back.
        """
        self._worker = worker
        self._row = row
        self._order = order
        self._clock = clock
        self._hear = hear
        self._grace_seconds = grace_seconds
        self._may_stop = may_stop
        self._on_stop = on_stop
        self._deadline = None if seconds is None else clock.monotonic() + seconds
        self._kill_at: float | None = None if may_stop else self._deadline
        self.was_stopped = False

    def to_the_end(self) -> Ending:
        """Listen until it is over."""
        channel = self._worker.channel
        while True:
            if self._row.keep_up() is State.STOPPING:
                self._order.give(Reason.CANCELLED)
            self._watch()
            kill_at = self._kill_at
            is_late = kill_at is not None and self._clock.monotonic() >= kill_at
            ready = readable([channel.fileno(), self._order.fileno()], self._patience())
            if self._order.fileno() in ready:
                self._order.seen()
            if channel.fileno() in ready:
                try:
                    ending = self._listen(channel.receive_ready())
                except ChannelClosed:
                    return Ending(exit_status=self._worker.exit_status(1.0))
                if ending is not None:
                    return ending
            # Listened to first: a slow database may have kept us from hearing the word that gives it more time.
            if is_late and self._kill_at == kill_at:
                return self._kill()

    def _listen(self, frames: list[Frame]) -> Ending | None:
        for frame in frames:
            match frame.head["kind"]:
                case "result":
                    return Ending(result=frame.head, payload=frame.payload)
                case "stopping":
                    self._kill_at = self._clock.monotonic() + self._grace_seconds
                case _:
                    self._hear(frame, self._worker)
        return None

    def _watch(self) -> None:
        """Pass on the stop that was ordered, or that the deadline orders, once."""
        if self.was_stopped or not self._may_stop:
            return
        now = self._clock.monotonic()
        if self._order.reason is None and self._deadline is not None and now >= self._deadline:
            self._order.give(Reason.TIMEOUT)
        if self._order.reason is not None:
            self.was_stopped = True
            self._kill_at = now + WORD_SECONDS
            self._worker.stop()
            self._on_stop()
            self._row.note_stop(self._order.reason)

    def _kill(self) -> Ending:
        self._worker.kill()
        self.was_stopped = True
        with suppress(ChannelClosed):
            ending = self._listen(self._worker.channel.drain())
            if ending is not None:
                return ending
        return Ending(killed=True, exit_status=-signal.SIGKILL)

    def _patience(self) -> float:
        """Seconds until there is something to do even if nothing is heard."""
        deadline = None if self.was_stopped or not self._may_stop else self._deadline
        now = self._clock.monotonic()
        waits = [max(0.0, moment - now) for moment in (self._kill_at, deadline) if moment is not None]
        return min([self._row.due_seconds(), *waits])
