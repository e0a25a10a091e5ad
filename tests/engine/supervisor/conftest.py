"""A stage for supervisors: a real store and real secrets, a clock that the test moves, workers played by scripts."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import pytest
from clocks import TestClock
from stores import sqlite_database

from engine.clock import new_id
from engine.frames import Channel, ChannelClosed, encode_event
from engine.models.flow import Document
from engine.models.job import (
    Claim,
    Event,
    Job,
    LogLine,
    NewJob,
    Outcome,
    Owner,
    StepEnded,
    StepRow,
    StepStarted,
    StepStatus,
)
from engine.secrets.keeper import SecretKeeper
from engine.store.documents import DocumentStore
from engine.store.jobs import JobStore
from engine.supervisor import Observer, Supervision, Tools

ME = Owner("me", "host")
OTHER = Owner("other", "host")
LEASE = timedelta(seconds=30)
FLOW = Document(path="f.yml", text="name: f\n", revision="r1", parts={})
PATIENCE = 10
"""Real seconds that a script waits for what never comes in a broken build."""


class Peer:
    """The job's process as a script plays it, in a thread of its own."""

    def __init__(self, connection: socket.socket, clock: TestClock) -> None:
        self.channel = Channel(connection)
        self.clock = clock
        self.orders: Queue[str] = Queue()
        self.worker: FakeWorker
        self.message: dict[str, Any] = {}
        self.data: Any = None

    def receive_job(self) -> None:
        frame = self.channel.receive()
        self.message, self.data = frame.head, json.loads(frame.payload)

    def say(self, *events: Event) -> None:
        self.channel.send(*map(encode_event, events))

    def start_step(self, number: int = 1, name: str = "step", **fields: Any) -> None:
        self.say(StepStarted(number, name, "jq", self.clock.now(), **fields))

    def end_step(self, number: int = 1, **fields: Any) -> None:
        self.say(StepEnded(**{"number": number, "status": StepStatus.SUCCESS, "time": self.clock.now(), **fields}))

    def log(self, *messages: str) -> None:
        self.say(*(LogLine(self.clock.now(), "info", message) for message in messages))

    def ask(self, kind: str, **fields: Any) -> dict[str, Any]:
        self.channel.send(({"kind": kind, **fields}, b""))
        return self.channel.receive().head

    def poke(self) -> None:
        """Let the supervisor look at its clock."""
        self.channel.send(({"kind": "nothing"}, b""))

    def settle(self) -> None:
        """Return when the supervisor has heard everything so far, and looked at its clock afterwards."""
        self.ask("secret", name="none")
        self.ask("secret", name="none")

    def pass_by(self, seconds: float) -> None:
        """Let so much time pass after all that was said, and the supervisor notice."""
        self.settle()
        self.clock.pass_by(seconds)
        self.settle()

    def await_stop(self) -> None:
        self.orders.get(timeout=PATIENCE)

    def say_stopping(self) -> None:
        self.channel.send(({"kind": "stopping"}, b""))

    def end(self, status: str = "success", *, data: Any = None, **fields: Any) -> None:
        head = {"kind": "result", "status": status, "reason": None, "message": None, "errors": [], "reusable": True}
        self.channel.send(({**head, **fields}, json.dumps({} if data is None else data).encode()))

    def die(self, exit_status: int | None) -> None:
        self.worker.status = exit_status
        self.channel.close()


Script = Callable[[Peer], None]


class FakeWorker:
    """A worker as a supervisor sees it; remembers what was done to it."""

    def __init__(self, connection: socket.socket, peer: Peer) -> None:
        self.channel = Channel(connection)
        self.peer = peer
        self.status: int | None = None
        self.stops: list[float] = []
        self.kills: list[float] = []
        self.discarded = False

    def exit_status(self, seconds: float) -> int | None:
        return self.status

    def stop(self) -> None:
        self.stops.append(self.peer.clock.passed)
        self.peer.orders.put("stop")

    def kill(self) -> None:
        self.kills.append(self.peer.clock.passed)
        self.status = -9
        self.peer.channel.connection.shutdown(socket.SHUT_RDWR)

    def discard(self) -> None:
        self.discarded = True
        self.channel.close()


class FakeWorkers:
    """Gives out workers that play the scripts, one after the other."""

    def __init__(self, clock: TestClock) -> None:
        self._clock = clock
        self.scripts: list[Script | Exception] = []
        self.taken: list[FakeWorker] = []
        self.given: list[FakeWorker] = []
        self.threads: list[Thread] = []
        self.errors: list[BaseException] = []

    def take(self) -> FakeWorker:
        script = self.scripts.pop(0)
        if isinstance(script, Exception):
            raise script
        ours, theirs = socket.socketpair()
        theirs.settimeout(PATIENCE)
        peer = Peer(theirs, self._clock)
        peer.worker = FakeWorker(ours, peer)
        self.taken.append(peer.worker)
        thread = Thread(target=self._play, args=(script, peer))
        self.threads.append(thread)
        thread.start()
        return peer.worker

    def give(self, worker: FakeWorker) -> None:
        self.given.append(worker)
        worker.channel.close()

    def _play(self, script: Script, peer: Peer) -> None:
        try:
            peer.receive_job()
            script(peer)
        except ChannelClosed:
            pass  # The supervisor let go of its worker: the play is over.
        except BaseException as error:
            self.errors.append(error)
        finally:
            peer.channel.close()


@dataclass
class Call:
    verb: str
    at: float
    arguments: tuple[Any, ...]


class WatchedJobs:
    """A real store whose verbs are noted, and fail when a test says so."""

    def __init__(self, jobs: JobStore, clock: TestClock) -> None:
        self.real = jobs
        self.calls: list[Call] = []
        self.failures: dict[str, list[Exception]] = {}
        self.late_failures: dict[str, list[Exception]] = {}
        """Raised after the verb has done its work, as when the answer to a commit is lost."""
        self._clock = clock

    def called(self, verb: str) -> list[Call]:
        return [call for call in self.calls if call.verb == verb]

    def __getattr__(self, verb: str) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            self.calls.append(Call(verb, self._clock.passed, arguments))
            if self.failures.get(verb):
                raise self.failures[verb].pop(0)
            answer = getattr(self.real, verb)(*arguments, **options)
            if self.late_failures.get(verb):
                raise self.late_failures[verb].pop(0)
            return answer

        return call


@dataclass
class Stage:
    """Everything around one supervisor."""

    jobs: JobStore
    watched: WatchedJobs
    clock: TestClock
    workers: FakeWorkers
    tools: Tools
    secrets_file: Path
    supervision: Supervision = field(init=False)

    def claim(
        self,
        *,
        timeout: float | None = 600,
        has_finally: bool = False,
        data: Any = None,
        secrets: dict[str, str] | None = None,
    ) -> Claim:
        job = NewJob(
            id=new_id(self.clock.now()),
            path=FLOW.path,
            name="f",
            revision=FLOW.revision,
            data=data,
            lock_slots=("f.yml#0",),
            timeout_seconds=timeout,
            has_finally=has_finally,
            secrets=secrets,
        )
        now = self.clock.now()
        claim = self.jobs.insert(job, now, owner=ME, lease_until=now + LEASE, documents=[FLOW])
        assert claim is not None
        return claim

    def supervise(
        self,
        claim: Claim,
        *scripts: Script | Exception,
        observer: Observer | None = None,
        order: str | None = None,
        next_owner: Owner | None = None,
    ) -> Outcome | None:
        """The outcome of the job, run by these workers; what a script asserts holds, too."""
        self.workers.scripts.extend(scripts)
        self.supervision = Supervision(claim, self.tools, observer, lambda: next_owner)
        if order is not None:
            self.supervision.stop(order)
        outcome = self.supervision.supervise()
        for thread in self.workers.threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
        for error in self.workers.errors:
            raise error
        return outcome

    def begin(self, claim: Claim) -> None:
        """Have its first step on disk: once lost, the job is not begun anew."""
        begun = [StepStarted(1, "first", "jq", self.clock.now())]
        assert self.jobs.record(claim.id, claim.owner, claim.epoch, begun, first_line=1)

    def lose(self, claim: Claim) -> None:
        """What happens to a job whose owner has not renewed its lease."""
        self.jobs.sweep(self.clock.now() + LEASE + timedelta(seconds=1), ())

    def adopt(self) -> Claim:
        now = self.clock.now()
        (claim,) = self.jobs.adopt(OTHER, now, now + LEASE)
        return claim

    def with_tools(self, **changes: Any) -> None:
        self.tools = replace(self.tools, **changes)

    def job(self, claim: Claim) -> Job:
        return self.jobs.get(claim.id)

    def steps(self, claim: Claim) -> list[StepRow]:
        return self.jobs.get_with_steps(claim.id)[1]

    def lines(self, claim: Claim) -> list[str]:
        return [line.message for line in self.jobs.logs(claim.id, 0, 1000)[0]]

    @property
    def only_worker(self) -> FakeWorker:
        (worker,) = self.workers.taken
        return worker


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    clock = TestClock()
    database = sqlite_database(tmp_path / "jobs.sqlite")
    jobs = JobStore(database)
    watched, workers = WatchedJobs(jobs, clock), FakeWorkers(clock)
    secrets = tmp_path / "secrets.yml"
    tools = Tools(
        jobs=watched,
        documents=DocumentStore(database),
        secrets=SecretKeeper(secrets),
        workers=workers,
        clock=clock,
        limits={"data_path": str(tmp_path)},
        memory_bytes=1 << 28,
        max_result_bytes=1_000_000,
        grace_seconds=10,
        format_time=compact_time,
    )
    yield Stage(jobs, watched, clock, workers, tools, secrets)
    for worker in workers.taken:
        worker.channel.close()
    database.dispose()


def compact_time(moment: datetime) -> str:
    return moment.strftime("%Y%m%d%H%M%S")


@pytest.fixture
def texts_of() -> Callable[[Outcome | Job], Sequence[str]]:
    """The sentences of what went wrong."""
    return lambda ended: [entry["error"] for entry in ended.errors]
