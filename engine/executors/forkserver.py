"""The process that job processes are forked from: everything a job needs is imported once, here.

`ForkServer` (children.py) starts it in a session of its own, so that a signal to the service's process group passes it
by, and with an empty environment, so that a job finds none in /proc/PID/environ. It lives as long as the other end of
its control socket: when the service dies, however it dies, the socket closes, this process ends, and PR_SET_PDEATHSIG
takes the children with it. `docs/adr/0002-forkserver.md` says why this is not the standard library's forkserver.
"""

from __future__ import annotations

import errno
import gc
import os
import selectors
import signal
import socket
import struct
import sys

PID = struct.Struct("!i")


def main(control_fd: int) -> None:
    """Serve forks until the service closes the control socket."""
    control = socket.socket(fileno=control_fd)
    waiting: dict[int, int] = {}
    wakeup_read, wakeup_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wakeup_write)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for ignored in (signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    # Children inherit this: a stop that is sent to a newborn one waits until its job has a handler, and is not ignored.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    _preload()
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        selector.register(wakeup_read, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is control:
                    message, fds, _, _ = socket.recv_fds(control, 16, 2)
                    if not message:
                        return
                    _fork(control, fds[0], fds[1], waiting, (wakeup_read, wakeup_write, selector.fileno()))
                else:
                    os.read(wakeup_read, 4096)
            _reap(waiting)


def _preload() -> None:
    from engine.child import preload

    preload()
    gc.collect()
    gc.freeze()


def _fork(
    control: socket.socket, channel_fd: int, status_fd: int, waiting: dict[int, int], own_fds: tuple[int, ...]
) -> None:
    server = os.getpid()
    try:
        pid = os.fork()
    except OSError as error:
        # The jobs that run go on: only this child is not to be had.
        _tell(status_fd, -(error.errno or errno.EAGAIN))
        os.close(channel_fd)
        os.close(status_fd)
        return
    if pid == 0:
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            control.close()
            for fd in (status_fd, *own_fds, *waiting.values()):
                os.close(fd)
            from engine.child import main as child_main

            child_main(channel_fd, server)
            code = 0
        except BaseException:  # noqa: BLE001 - no frame of the forkserver may see a child's error
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(code)
    os.close(channel_fd)
    waiting[pid] = status_fd
    _tell(status_fd, pid)


def _reap(waiting: dict[int, int]) -> None:
    while waiting:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        status_fd = waiting.pop(pid, None)
        if status_fd is not None:
            _tell(status_fd, os.waitstatus_to_exitcode(status))
            os.close(status_fd)


def _tell(status_fd: int, number: int) -> None:
    try:
        os.write(status_fd, PID.pack(number))
    except OSError:
        return  # The service no longer listens for this child.
