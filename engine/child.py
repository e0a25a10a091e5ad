"""The job's process: limits itself, runs a flow, says over the channel what happens, asks for secrets by name.

It also compiles expressions that nobody has run yet, for the same limits hold.

It holds no database, no environment and no credentials but those a step asked for. A stop is SIGTERM: it raises
`Stopped` in the main thread, between two bytecodes, but never in the middle of a message.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from functools import cache
from threading import Event as Flag
from threading import Lock, current_thread, main_thread, stack_size
from time import perf_counter
from types import FrameType
from typing import Any

from engine import templating
from engine.clock import Clock
from engine.errors import StepFailed
from engine.frames import Channel, ChannelClosed, encode_event
from engine.models.expression import Language
from engine.models.job import Event, Json
from engine.models.limits import RunLimits
from engine.runner import Stopped, run_job

PR_SET_PDEATHSIG = 1
STOP = {signal.SIGTERM}
JOBS_PER_CHILD = 200
"""After so many jobs a child is thrown away, so that no leak of a library lasts."""
MEMORY_TO_KEEP = 192 << 20
"""A child that once took more than this is thrown away after its job; its heap would stay that large."""
THREAD_STACK = 2 << 20
"""Stacks count against the memory limit: fifty of the usual 8 MiB would be most of it."""
FLUSH_SECONDS = 0.02
FLUSH_EVENTS = 200


def preload() -> None:
    """Import and build what every job needs, in the forkserver, so that children share the pages."""
    import yaml  # noqa: F401

    from engine.steps import step_reader

    step_reader()
    templating.warm()


def main(channel_fd: int, server_pid: int) -> None:
    """Run jobs one after another until the service lets go of the channel."""
    _become_a_job_process(server_pid)
    import socket

    channel = Channel(socket.socket(fileno=channel_fd))
    memory_limited = False
    for number in range(1, JOBS_PER_CHILD + 1):
        try:
            frame = channel.receive()
        except ChannelClosed:
            return
        job = frame.head
        if not memory_limited:
            _limit(resource.RLIMIT_DATA, int(job["memory_bytes"]))
            memory_limited = True
        _allow_cpu(job["timeout_seconds"])
        if job.get("kind") == "check":
            try:
                _check(channel, json.loads(frame.payload), reusable=number < JOBS_PER_CHILD)
            except ChannelClosed:
                return
            continue
        host = ChildHost(channel)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP)
        try:
            _run(host, job, frame.payload, reusable=number < JOBS_PER_CHILD)
        except ChannelClosed:
            return
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP)
        if host.stopped.is_set() or STOP & signal.sigpending():
            return


def _run(host: ChildHost, job: dict[str, Any], payload: bytes, reusable: bool) -> None:
    """Run one job and send its result, whatever happens."""
    end = run_job(job, payload, host, RunLimits(**job["limits"]))
    head = {
        "kind": "result",
        "status": end.status,
        "reason": end.reason,
        "message": end.message,
        "errors": end.errors,
        "reusable": reusable and not end.unclean and _peak_memory() < MEMORY_TO_KEEP,
    }
    host.send_result(head, end.data_json)


def _check(channel: Channel, expressions: list[tuple[str, str]], reusable: bool) -> None:
    """Compile each expression and say at once what came of it: who dies over one has told of all before it."""
    for language, text in expressions:
        fault = templating.fault_of(Language(language), text)
        channel.send(({"kind": "compiled", "fault": asdict(fault) if fault else None}, b""))
    channel.send(({"kind": "result", "reusable": reusable and _peak_memory() < MEMORY_TO_KEEP}, b""))


class ChildHost:
    """What the runner asks of the process it runs in."""

    def __init__(self, channel: Channel) -> None:
        self.stopped = Flag()
        self.clock = Clock()
        self._channel = channel
        self._asking = Lock()
        self._lock = Lock()
        self._events: list[tuple[dict[str, Any], bytes]] = []
        self._last_flush = perf_counter()
        self._shield = 0
        self._heard = self._said_stopping = False
        self._stoppable = self._sent_result = False
        signal.signal(signal.SIGTERM, self._on_stop)

    def now(self) -> datetime:
        return self.clock.now()

    def emit(self, event: Event, *, urgent: bool = False) -> None:
        """Say what happened; held back for at most 20 ms of running unless it is urgent."""
        with self._shielded(), self._lock:
            self._events.append(encode_event(event))
            if urgent or len(self._events) >= FLUSH_EVENTS or perf_counter() - self._last_flush > FLUSH_SECONDS:
                self._flush()

    def sync(self) -> None:
        """Return when everything said so far is on disk."""
        self._ask({"kind": "sync"})

    def secret(self, name: str, *, fresh: bool = False) -> dict[str, Json]:
        """A secret as its keeper gives it; StepFailed with the keeper's sentence when there is none."""
        answer = self._ask({"kind": "secret", "name": name, "fresh": fresh})
        if "error" in answer:
            raise StepFailed(answer["error"])
        fields: dict[str, Json] = answer["secret"]
        return fields

    def hide(self, values: list[str], pairs: list[tuple[str, str]]) -> None:
        """Return when these are masked in everything that is kept."""
        self._ask({"kind": "hide", "values": values, "pairs": pairs})

    def hide_inputs(self, values: list[str]) -> None:
        """Return when these are masked in everything that is kept of this job."""
        self._ask({"kind": "hide_inputs", "values": values})

    def stopping(self) -> None:
        """The word that the stop was heard: `finally_step` comes next."""
        with self._shielded():
            if not self._said_stopping:
                self._said_stopping = True
                self._say({"kind": "stopping"})

    def send_result(self, head: dict[str, Any], payload: bytes) -> None:
        """The job's last message."""
        self._sent_result = True
        self._say(head, payload)

    @contextmanager
    def stoppable(self) -> Iterator[None]:
        """While this is open a SIGTERM raises `Stopped`; one that came before does so now."""
        if current_thread() is not main_thread():
            yield
            return
        before = self._stoppable
        try:
            self._stoppable = True
            self._heed()
            yield
        finally:
            self._stoppable = before

    @contextmanager
    def protected(self) -> Iterator[None]:
        """While this is open a SIGTERM is answered with the word and raises nothing."""
        if current_thread() is not main_thread():
            yield
            return
        before, self._stoppable = self._stoppable, False
        try:
            yield
        finally:
            self._stoppable = before

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        with self._shielded(), self._asking:
            self._say(question)
            return self._channel.receive().head

    def _say(self, head: dict[str, Any], payload: bytes = b"") -> None:
        with self._shielded(), self._lock:
            self._events.append((head, payload))
            self._flush()

    def _flush(self) -> None:
        events, self._events = self._events, []
        self._last_flush = perf_counter()
        self._channel.send(*events)

    @contextmanager
    def _shielded(self) -> Iterator[None]:
        """No `Stopped` in here: half a message would end the conversation."""
        if current_thread() is not main_thread():
            yield
            return
        self._shield += 1
        try:
            yield
        finally:
            self._shield -= 1
            if self._shield == 0:
                self._heed()

    def _on_stop(self, _signal: int, _frame: FrameType | None) -> None:
        if not self._heard:  # A second signal may come while the first is in `set`, whose lock is taken once.
            self._heard = True
            self.stopped.set()
        if self._shield == 0:
            self._heed()

    def _heed(self) -> None:
        """Do what a stop that was heard asks for: say that it was, at once, and raise it once if that is allowed."""
        if not self.stopped.is_set():
            return
        if not (self._sent_result or self._said_stopping):
            self.stopping()
        if self._stoppable:
            self._stoppable = False
            raise Stopped


def _become_a_job_process(server_pid: int) -> None:
    os.setsid()
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != server_pid:
        os._exit(1)  # The forkserver died before the line above: nobody would tell us.
    stack_size(THREAD_STACK)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP)  # A stop that comes before its job has begun waits for it.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    os.nice(5)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, 1024)
    _limit(resource.RLIMIT_FSIZE, 1 << 30)


def _limit(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    ceiling = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (ceiling, ceiling))


def _allow_cpu(timeout_seconds: float | None) -> None:
    """So much processor time for this job: the limit counts from the process's start, so it is raised for each."""
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    if timeout_seconds is None:
        resource.setrlimit(resource.RLIMIT_CPU, (hard, hard))
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime + timeout_seconds * _cores()) + 10
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


@cache
def _cores() -> int:
    """Counted once: that reads files under /sys, a tenth of what a small job takes."""
    return os.cpu_count() or 1


def _peak_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
