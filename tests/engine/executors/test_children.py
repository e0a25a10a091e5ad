"""Job processes: forked, kept warm, ended; the server they are forked from; and nothing of them that stays."""

from __future__ import annotations

import errno
import os
import signal
import socket
import sys
from dataclasses import asdict
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest
from flows import QUICK
from services import children_of, is_alive, until

from engine.errors import Draining, Unavailable
from engine.executors import forkserver
from engine.executors.children import Child, ChildPool, ForkServer
from engine.executors.forkserver import PID
from engine.frames import ChannelClosed, Frame, readable
from engine.models.limits import RunLimits


@pytest.fixture
def pool():
    made = ChildPool(4)
    yield from without_a_trace(made, made._server)


@pytest.fixture
def server():
    made = ForkServer()
    yield from without_a_trace(made, made)


@pytest.fixture(scope="module")
def shared():
    """A pool for tests that need not be its only user."""
    made = ChildPool(4)
    yield from without_a_trace(made, made._server)


def without_a_trace(made, server):
    """Lets go of every child that a test has left."""
    children, spawn = [], server.spawn
    server.spawn = lambda: (children.append(spawn()), children[-1])[1]
    yield made
    for child in children:
        child.discard()
    made.close()


def descriptors(pid: int | str = "self") -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def kill_forkserver(pool: ChildPool) -> None:
    pid = pool.forkserver_pid
    os.kill(pid, signal.SIGKILL)
    until(lambda: not is_alive(pid))


# One child


def test_a_child_lives_and_waits_for_a_job(shared):
    child = shared.take()

    assert child.is_waiting()
    assert child.exit_status(0) is None
    assert is_alive(child.pid)


def test_a_killed_child_has_the_signal_as_its_status(shared):
    child = shared.take()

    child.kill()

    assert child.exit_status(5) == -signal.SIGKILL
    assert not child.is_waiting()
    assert child.exit_status(0) == -signal.SIGKILL


def test_a_child_that_is_let_go_of_ends_with_code_zero(shared):
    child = shared.take()

    child.channel.connection.shutdown(socket.SHUT_RDWR)

    assert child.exit_status(5) == 0


def test_a_child_that_fails_ends_with_code_one(shared):
    child = shared.take()

    child.channel.send(({"not": "a job"}, b""))

    assert child.exit_status(5) == 1
    with pytest.raises(ChannelClosed):
        child.channel.receive()


def test_a_child_without_a_job_takes_no_notice_of_a_stop(shared):
    child = shared.take()

    child.stop()

    assert child.exit_status(0.1) is None
    assert child.is_waiting()


def test_a_discarded_child_is_gone_and_may_be_discarded_again(shared):
    child = shared.take()

    child.discard()
    child.discard()

    assert not is_alive(child.pid)


def test_no_signal_is_sent_to_a_number_that_may_be_somebody_else_by_now(shared, monkeypatch):
    child = shared.take()
    child.kill()
    assert child.exit_status(5) is not None
    sent = []
    monkeypatch.setattr(os, "kill", lambda *call: sent.append(call))
    monkeypatch.setattr(os, "killpg", lambda *call: sent.append(call))

    child.stop()
    child.kill()
    child.discard()

    assert sent == []


def test_a_child_leads_a_session_of_its_own(shared):
    child = shared.take()

    assert until(lambda: os.getsid(child.pid) == child.pid)


def test_a_kill_reaches_what_the_child_has_started(pool):
    """The child's group, as after a step that starts a process."""
    child = pool.take()
    until(lambda: os.getsid(child.pid) == child.pid)
    sent = []
    real = os.killpg

    def killpg(group, number):
        sent.append((group, number))
        real(group, number)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "killpg", killpg)
        child.kill()

    assert sent == [(child.pid, signal.SIGKILL)]
    assert child.exit_status(5) == -signal.SIGKILL


@pytest.mark.parametrize("order", ["stop first", "job first"])
@pytest.mark.parametrize("has_run", [False, True], ids=["newborn", "used"])
def test_a_stop_around_the_beginning_of_a_job_runs_its_finally_step_and_no_other(shared, tmp_path, order, has_run):
    shared.take().discard()  # The forkserver is there, so that a newborn child is really new.
    child = shared.take()
    child.channel.connection.settimeout(20)
    if has_run:
        child.channel.send((a_job(tmp_path, QUICK), b"null"))
        conversation(child)
        until(lambda: waits_for_a_job(child.pid))

    verbs = [child.stop, lambda: child.channel.send((a_job(tmp_path, ACTING), b"null"))]
    os.kill(child.pid, signal.SIGSTOP)  # Else a quick one has begun before the stop is sent.
    for verb in verbs if order == "stop first" else reversed(verbs):
        verb()
    os.kill(child.pid, signal.SIGCONT)
    said = conversation(child)

    assert [frame.head.get("name", frame.head["kind"]) for frame in said if frame.head["kind"] != "sync"] == [
        "stopping", "tidy", "StepEnded", "result",
    ]  # fmt: skip
    assert said[-1].head["reason"] == "stopped"
    assert [path.name for path in tmp_path.iterdir()] == ["tidied.txt"]


ACTING = """
finally_step: tidy
steps:
  - {name: act, type: file, file: {path: acted.txt, mode: append, data_key: __job_id__}}
  - {name: tidy, type: file, file: {path: tidied.txt, mode: append, data_key: __job_id__}}
"""


def a_job(folder: Path, text: str) -> dict:
    """What a supervisor sends."""
    return {
        "job_id": "j", "path": "f.yml", "revision": text, "documents": {text: {"text": text, "parts": {}}},
        "timestamp": "", "timeout_seconds": 60, "first_number": 1, "finally_only": False, "errors": [],
        "limits": asdict(RunLimits(data_path=str(folder))), "memory_bytes": 256 << 20,
    }  # fmt: skip


def conversation(child: Child) -> list[Frame]:
    """Everything the child says up to its result; a `sync` is answered."""
    frames = [child.channel.receive()]
    while frames[-1].head["kind"] != "result":
        if frames[-1].head["kind"] == "sync":
            child.channel.send(({}, b""))
        frames.append(child.channel.receive())
    return frames


def waits_for_a_job(pid: int) -> bool:
    """Whether it sleeps and keeps stops for its next job."""
    status = dict(row.split(":\t", 1) for row in Path(f"/proc/{pid}/status").read_text().splitlines())
    return status["State"].startswith("S") and bool(int(status["SigBlk"], 16) >> signal.SIGTERM - 1 & 1)


# The pool


def test_a_child_that_is_given_back_is_the_next_to_be_taken(pool):
    first, second = pool.take(), pool.take()

    pool.give(first)
    pool.give(second)

    assert list(pool.pids()) == [first.pid, second.pid]
    assert pool.take() is second
    assert pool.take() is first


def test_a_child_too_many_is_let_go(pool):
    children = [pool.take() for _ in range(5)]

    for child in children:
        pool.give(child)

    assert len(pool.pids()) == 4
    assert [is_alive(child.pid) for child in children] == [True] * 4 + [False]


def test_a_child_that_died_while_it_was_idle_is_not_handed_out(pool):
    child = pool.take()
    pool.give(child)
    os.kill(child.pid, signal.SIGKILL)
    until(lambda: not is_alive(child.pid))

    taken = pool.take()

    assert taken.pid != child.pid
    assert taken.is_waiting()


def test_children_that_died_with_their_forkserver_are_not_handed_out(pool):
    children = [pool.take() for _ in range(4)]
    for child in children:
        pool.give(child)
    kill_forkserver(pool)
    until(lambda: not any(is_alive(child.pid) for child in children))

    taken = pool.take()

    assert taken.pid not in {child.pid for child in children}
    assert taken.is_waiting()
    assert pool.pids() == []


def test_a_child_whose_forkserver_died_has_no_status_and_gets_no_signal(pool, monkeypatch):
    child = pool.take()
    kill_forkserver(pool)
    until(lambda: not is_alive(child.pid))

    assert child.exit_status(5) is None
    sent = []
    monkeypatch.setattr(os, "kill", lambda *call: sent.append(call))
    monkeypatch.setattr(os, "killpg", lambda *call: sent.append(call))
    child.kill()
    child.discard()
    assert sent == []


def test_warming_makes_one_child_and_no_more(pool):
    pool.warm()
    pool.warm()

    assert len(pool.pids()) == 1


def test_a_closed_pool_leaves_no_process(pool):
    busy, idle = pool.take(), pool.take()
    pool.give(idle)
    server = pool.forkserver_pid

    pool.close()
    pool.close()

    until(lambda: not any(map(is_alive, (server, busy.pid, idle.pid))))
    assert server not in children_of(os.getpid())


def test_a_closed_pool_starts_nothing_and_keeps_nothing(pool):
    child = pool.take()
    pool.close()

    pool.give(child)

    assert pool.pids() == []
    until(lambda: not is_alive(child.pid))
    with pytest.raises(Draining, match="shutting down"):
        pool.take()
    assert pool.forkserver_pid is None


def test_fifty_children_leave_no_descriptor_behind(pool):
    pool.take().discard()
    ours, theirs = descriptors(), descriptors(pool.forkserver_pid)

    for _ in range(50):
        pool.take().discard()

    assert descriptors() == ours
    until(lambda: descriptors(pool.forkserver_pid) <= theirs)


def test_a_pool_leaves_no_descriptor_behind():
    before = descriptors()

    for _ in range(3):
        made = ChildPool(2)
        made.give(made.take())
        made.close()

    assert descriptors() == before


def test_a_child_holds_nothing_of_its_siblings_and_its_forkserver(pool):
    children = [pool.take() for _ in range(4)]

    until(lambda: os.getsid(children[-1].pid) == children[-1].pid)
    folder = Path(f"/proc/{children[-1].pid}/fd")
    held = [os.readlink(fd) for fd in folder.iterdir() if int(fd.name) > 2]

    assert len(held) == 1
    assert held[0].startswith("socket:")


# The forkserver


def test_a_forkserver_has_no_environment_and_a_session_of_its_own(server, monkeypatch):
    monkeypatch.setenv("SOME_TOKEN", "canary")

    child = server.spawn()
    environments = [Path(f"/proc/{pid}/environ").read_bytes() for pid in (server.pid, child.pid)]

    assert environments == [b"LANG=C.UTF-8\0"] * 2
    assert os.getsid(server.pid) == server.pid != os.getsid(0)


def test_a_forkserver_is_not_started_before_it_is_needed(server):
    assert server.pid is None

    server.close()

    assert server.pid is None


def test_a_dead_forkserver_is_replaced(server):
    server.spawn().discard()
    dead = server.pid
    os.kill(dead, signal.SIGKILL)
    until(lambda: not is_alive(dead))

    child = server.spawn()

    assert child.is_waiting()
    assert server.pid != dead


def test_a_forkserver_that_dies_while_it_is_asked_is_replaced(server):
    server.spawn().discard()
    frozen = server.pid
    os.kill(frozen, signal.SIGSTOP)
    Thread(target=lambda: (until(lambda: True), os.kill(frozen, signal.SIGKILL))).start()

    child = server.spawn()

    assert server.pid != frozen
    assert child.is_waiting()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_service_does_not_end_its_forkserver(shared, number):
    shared.take().discard()
    before = shared.forkserver_pid

    os.kill(before, number)
    child = shared.take()

    assert shared.forkserver_pid == before
    assert child.is_waiting()


@pytest.mark.parametrize(
    ("program", "sentence"),
    [("/bin/false", "the service's log has the forkserver's last words"), ("/no/such/python", "No such file")],
)
def test_a_forkserver_that_does_not_start_is_told(server, monkeypatch, program, sentence):
    before = descriptors()
    monkeypatch.setattr(sys, "executable", program)

    with pytest.raises(Unavailable, match=sentence):
        server.spawn()

    server.close()
    assert descriptors() == before


def test_a_forkserver_that_cannot_fork_is_left_alone_with_its_children(server):
    child = server.spawn()
    pid, control = server.pid, server._control
    ours, theirs = socket.socketpair()
    server._control = ours

    def refuse():
        _, fds, _, _ = socket.recv_fds(theirs, 16, 2)
        forkserver._tell(fds[1], -errno.EAGAIN)
        for fd in fds:
            os.close(fd)

    refusing = Thread(target=refuse)
    refusing.start()
    with ours, theirs, pytest.raises(Unavailable, match="could be started: Resource temporarily unavailable"):
        server.spawn()
    refusing.join(5)
    server._control = control

    assert server.pid == pid
    assert child.is_waiting()


def test_a_fork_that_fails_is_told_and_ends_nothing(monkeypatch):
    def no_fork():
        raise OSError(errno.ENOMEM, "no")

    monkeypatch.setattr(forkserver, "os", SimpleNamespace(**{**vars(os), "fork": no_fork}))
    channel, other = socket.socketpair()
    status_read, status_write = os.pipe()
    waiting = {}

    with socket.socket() as control, other:
        forkserver._fork(control, channel.detach(), status_write, waiting, ())

        assert PID.unpack(os.read(status_read, PID.size)) == (-errno.ENOMEM,)
        assert os.read(status_read, 1) == b""
        assert readable([other.fileno()], 0) == [other.fileno()]
    assert waiting == {}
    os.close(status_read)
