"""Job processes as their owner sees them: made by the forkserver, kept warm, stopped, killed."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

from engine.errors import Draining, Unavailable
from engine.executors.forkserver import PID
from engine.frames import Channel, readable

SPAWN_SECONDS = 30.0
"""How long a forkserver may take for its first child: it imports everything first."""


class Child:
    """One job process: a channel to talk over, and its end as an exit status."""

    def __init__(self, pid: int, channel: Channel, status_fd: int) -> None:
        self.pid = pid
        self.channel = channel
        self._status_fd = status_fd
        self._exit_status: int | None = None

    def is_waiting(self) -> bool:
        """Whether it lives and has nothing to say: it waits for a job."""
        return self._status_fd >= 0 and not readable([self._status_fd, self.channel.fileno()], 0)

    def exit_status(self, seconds: float) -> int | None:
        """The exit code, negative for a signal's number; None while it lives or when nobody saw it end."""
        if self._exit_status is None and self._status_fd >= 0 and readable([self._status_fd], seconds):
            data = os.read(self._status_fd, PID.size)
            self._exit_status = PID.unpack(data)[0] if len(data) == PID.size else None
            if not data:
                self._forget()
        return self._exit_status

    def stop(self) -> None:
        """Ask it to stop what it runs."""
        self._signal(signal.SIGTERM, group=False)

    def kill(self) -> None:
        """End it and all it started, at once."""
        self._signal(signal.SIGKILL, group=True)

    def discard(self) -> None:
        """Kill it and let go of what belongs to it."""
        self.kill()
        self.channel.close()
        self.exit_status(1.0)
        self._forget()

    def _signal(self, number: int, *, group: bool) -> None:
        if self.exit_status(0) is not None or self._status_fd < 0:
            return  # It was reaped, or died with its forkserver: the number may be another process by now.
        with contextlib.suppress(ProcessLookupError):
            if group:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.pid, number)
            os.kill(self.pid, number)

    def _forget(self) -> None:
        fd, self._status_fd = self._status_fd, -1
        if fd >= 0:
            os.close(fd)


class ForkServer:
    """Starts the forkserver when it is first needed, and again when it died."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The forkserver's process id, None before its start."""
        return self._process.pid if self._process else None

    def spawn(self) -> Child:
        """A fresh child. A forkserver that died is replaced once; Unavailable when that does not help either."""
        with self._lock:
            if self._closed:
                raise Draining("No process for a job is started any more: the service is shutting down.")
            try:
                child = self._spawn()
            except OSError as error:
                program = f"{error.filename}: " if error.filename else ""
                raise Unavailable(f"No process for a job could be started: {program}{error.strerror}.") from error
        if child is None:
            raise Unavailable(
                "No process for a job could be started; the service's log has the forkserver's last words."
            )
        return child

    def close(self) -> None:
        """End the forkserver, and with it every child that is left; there will be no other."""
        with self._lock:
            self._closed = True
            self._stop()

    def _spawn(self) -> Child | None:
        for _ in range(2):
            if self._process is None or self._process.poll() is not None:
                self._start()
            child = self._ask()
            if child is not None:
                return child
            self._stop()
        return None

    def _start(self) -> None:
        self._stop()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        home = str(Path(__file__).resolve().parents[2])
        start = f"import sys; sys.path.insert(0, {home!r}); from engine.executors.forkserver import main; main(%d)"
        self._control = ours
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", start % theirs.fileno()],
                env={"LANG": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
                stdout=sys.__stderr__,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                cwd="/",
            )

    def _ask(self) -> Child | None:
        """A child, None when the forkserver is dead or dumb; OSError when it lives and cannot fork."""
        assert self._control is not None
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        status_read, status_write = os.pipe2(os.O_CLOEXEC)
        try:
            with theirs:
                socket.send_fds(self._control, [b"fork"], [theirs.fileno(), status_write])
        except OSError:
            ours.close()
            os.close(status_read)
            return None
        finally:
            os.close(status_write)
        ready = readable([status_read], SPAWN_SECONDS)
        data = os.read(status_read, PID.size) if ready else b""
        pid = PID.unpack(data)[0] if len(data) == PID.size else None
        if pid is not None and pid > 0:
            return Child(pid, Channel(ours), status_read)
        ours.close()
        os.close(status_read)
        if pid is not None:
            raise OSError(-pid, os.strerror(-pid))
        return None

    def _stop(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            try:
                self._process.wait(2)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None


class ChildPool:
    """Warm children. A child is handed out to one job at a time and comes back when the job left it clean."""

    def __init__(self, size: int) -> None:
        self._server = ForkServer()
        self._size = size
        self._lock = Lock()
        self._idle: list[Child] = []

    @property
    def forkserver_pid(self) -> int | None:
        return self._server.pid

    def take(self) -> Child:
        """A warm child, the one used last, or a fresh one."""
        while True:
            with self._lock:
                child = self._idle.pop() if self._idle else None
            if child is None:
                return self._server.spawn()
            if child.is_waiting():
                return child
            child.discard()

    def give(self, child: Child) -> None:
        """Take a clean child back; one too many is let go."""
        with self._lock:
            if len(self._idle) < self._size:
                self._idle.append(child)
                return
        child.discard()

    def warm(self) -> None:
        """Have one child ready before the first job asks."""
        with self._lock:
            if self._idle:
                return
        self.give(self._server.spawn())

    def pids(self) -> Sequence[int]:
        """The idle children."""
        with self._lock:
            return [child.pid for child in self._idle]

    def close(self) -> None:
        """End all idle children and the forkserver; a child that comes back later is let go."""
        with self._lock:
            idle, self._idle, self._size = self._idle, [], 0
        for child in idle:
            child.discard()
        self._server.close()
