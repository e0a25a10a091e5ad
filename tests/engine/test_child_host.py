"""What a job's process says to its supervisor, and what a stop does to it: real sockets, real signals."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from threading import Event as Flag
from threading import Thread
from time import perf_counter
from typing import Any

import pytest

from engine import child as child_module
from engine.checking.whole import revision_of
from engine.child import FLUSH_EVENTS, ChildHost
from engine.errors import StepFailed
from engine.frames import Channel, ChannelClosed, Frame, decode_event, readable
from engine.models.job import LogLine
from engine.models.limits import RunLimits
from engine.runner import Stopped, run_job

NOON = datetime(2024, 5, 23, 12, 0, tzinfo=UTC)
BIG = 4 << 20
"""More than a socket takes before somebody reads."""


def line(message: str) -> LogLine:
    return LogLine(NOON, "info", message)


def words(frames: list[Frame]) -> list[str]:
    """What was said: a log line's message, or the kind of the frame."""
    return [frame.head.get("message", frame.head["kind"]) for frame in frames]


@pytest.fixture
def pair() -> Iterator[tuple[Channel, Channel]]:
    """Two ends of a conversation, whose waits end."""
    ours, theirs = socket.socketpair()
    ours.settimeout(20)
    with ours, theirs:
        yield Channel(ours), Channel(theirs)


@pytest.fixture
def host(pair: tuple[Channel, Channel]) -> Iterator[ChildHost]:
    before = signal.getsignal(signal.SIGTERM)
    yield ChildHost(pair[1])
    signal.signal(signal.SIGTERM, before)


@dataclass
class Forked:
    """A process that plays a job's, seen from its supervisor."""

    pid: int
    channel: Channel

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)

    def hear(self, word: str) -> list[Frame]:
        """Everything up to this word."""
        frames = [self.channel.receive()]
        while words(frames)[-1] != word:
            frames.append(self.channel.receive())
        return frames

    def hear_all(self) -> list[Frame]:
        """Everything that is said until the process ends; a `sync` is answered."""
        frames: list[Frame] = []
        with pytest.raises(ChannelClosed, match="closed the connection"):
            frames.extend(iter(self.answer, None))
        return frames

    def answer(self) -> Frame:
        """What is said next; a `sync` is answered."""
        frame = self.channel.receive()
        if frame.head["kind"] == "sync":
            self.channel.send(({}, b""))
        return frame


@pytest.fixture
def fork(pair: tuple[Channel, Channel]) -> Iterator[Callable[[Callable[[Channel], None]], Forked]]:
    """Runs a function in a process of its own, with one end of a channel."""
    ours, theirs = pair
    pids: list[int] = []

    def start(play: Callable[[Channel], None]) -> Forked:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                ours.close()
                play(theirs)
                code = 0
            except BaseException:
                sys.excepthook(*sys.exc_info())
            finally:
                os._exit(code)
        theirs.close()
        pids.append(pid)
        return Forked(pid, ours)

    yield start
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


# Messages


def test_events_are_held_back_for_a_moment_and_then_sent_in_order(host, pair, monkeypatch):
    monkeypatch.setattr("engine.child.FLUSH_SECONDS", 60)
    host.emit(line("first"), urgent=True)
    host.emit(line("second"))
    at_once = words(pair[0].drain())
    host.emit(line("third"), urgent=True)

    assert at_once == ["first"]
    assert words(pair[0].drain()) == ["second", "third"]


def test_events_do_not_pile_up(host, pair, monkeypatch):
    monkeypatch.setattr("engine.child.FLUSH_SECONDS", 60)
    for number in range(FLUSH_EVENTS + 1):
        host.emit(line(f"{number}"))

    assert len(pair[0].drain()) == FLUSH_EVENTS


def test_an_event_that_was_held_back_long_enough_is_sent_with_the_next(host, pair, monkeypatch):
    monkeypatch.setattr("engine.child.FLUSH_SECONDS", 0)
    host.emit(line("first"))

    assert words(pair[0].drain()) == ["first"]


def test_an_event_arrives_as_it_was(host, pair):
    host.emit(line("x"), urgent=True)

    assert decode_event(pair[0].receive()) == line("x")


def test_events_are_held_back_anew_after_each_sending(host, pair, monkeypatch):
    later = perf_counter() + 1000
    monkeypatch.setattr("engine.child.perf_counter", lambda: later)
    host.emit(line("late"))
    host.emit(line("held back"))
    host.emit(line("held back too"))

    assert words(pair[0].drain()) == ["late"]


def test_what_was_said_before_a_question_arrives_before_it(host, pair):
    pair[0].send(({}, b""))
    host.emit(line("first"), urgent=True)
    host.emit(line("second"))
    host.sync()

    assert words(pair[0].drain()) == ["first", "second", "sync"]


def test_a_secret_is_asked_for_by_its_name(host, pair):
    pair[0].send(({"secret": {"type": "token", "token": "t"}}, b""))

    assert host.secret("key") == {"type": "token", "token": "t"}
    assert pair[0].receive().head == {"kind": "secret", "name": "key", "fresh": False}


def test_a_secret_that_was_refused_is_asked_for_anew(host, pair):
    pair[0].send(({"secret": {"type": "token", "token": "t"}}, b""))

    host.secret("key", fresh=True)

    assert pair[0].receive().head == {"kind": "secret", "name": "key", "fresh": True}


def test_what_is_to_be_masked_is_said_and_waited_for(host, pair):
    pair[0].send(({}, b""))

    host.hide(["word"], [("bob", "word")])

    assert pair[0].receive().head == {"kind": "hide", "values": ["word"], "pairs": [["bob", "word"]]}
    assert pair[1].drain() == []


def test_a_secret_that_is_not_there_is_an_error_in_its_keepers_words(host, pair):
    pair[0].send(({"error": "secret 'key' is not in secrets.yml"}, b""))

    with pytest.raises(StepFailed, match=r"^secret 'key' is not in secrets\.yml$"):
        host.secret("key")


def test_threads_that_ask_at_once_get_their_own_answers(host, pair):
    got: dict[str, str] = {}

    def ask(name: str) -> None:
        got[name] = host.secret(name)["value"]

    threads = [Thread(target=ask, args=(f"key {number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for _ in threads:
        name = pair[0].receive().head["name"]
        pair[0].send(({"secret": {"value": f"of {name}"}}, b""))
    for thread in threads:
        thread.join()

    assert got == {f"key {number}": f"of key {number}" for number in range(8)}


def test_a_service_that_is_gone_ends_the_conversation(host, pair):
    pair[0].close()

    with pytest.raises(ChannelClosed):
        host.sync()


# Stops


def test_a_stop_is_answered_with_the_word_at_once_and_raises_only_once(fork):
    def play(channel: Channel) -> None:
        host = ChildHost(channel)
        try:
            with host.stoppable():
                host.emit(line("ready"), urgent=True)
                Flag().wait(60)
        except Stopped:
            host.emit(line("raised"), urgent=True)
            signal.raise_signal(signal.SIGTERM)
            host.emit(line("tidied"), urgent=True)
        host.send_result({"kind": "result", "heard": host.stopped.is_set()}, b"{}")

    child = fork(play)
    child.hear("ready")
    begun = time.monotonic()
    child.terminate()
    frames = child.hear_all()

    assert words(frames) == ["stopping", "raised", "tidied", "result"]
    assert frames[-1].head["heard"]
    assert time.monotonic() - begun < 10


def test_a_stop_that_came_before_raises_where_it_may(fork):
    def play(channel: Channel) -> None:
        host = ChildHost(channel)
        signal.raise_signal(signal.SIGTERM)
        host.emit(line("not yet"), urgent=True)
        try:
            with host.stoppable():
                host.emit(line("never"), urgent=True)
        except Stopped:
            host.emit(line("raised"), urgent=True)

    assert words(fork(play).hear_all()) == ["stopping", "not yet", "raised"]


def test_a_stop_outside_of_what_may_be_stopped_says_the_word_and_raises_nothing(fork):
    def play(channel: Channel) -> None:
        host = ChildHost(channel)
        with host.stoppable():
            pass
        signal.raise_signal(signal.SIGTERM)
        host.send_result({"kind": "result"}, b"{}")

    assert words(fork(play).hear_all()) == ["stopping", "result"]


def test_a_stop_after_the_result_says_nothing(fork):
    def play(channel: Channel) -> None:
        host = ChildHost(channel)
        host.send_result({"kind": "result"}, b"{}")
        signal.raise_signal(signal.SIGTERM)

    assert words(fork(play).hear_all()) == ["result"]


def test_a_stop_under_protection_is_answered_at_once_and_raised_afterwards(fork):
    def play(channel: Channel) -> None:
        host = ChildHost(channel)
        try:
            with host.stoppable():
                with host.protected():
                    signal.raise_signal(signal.SIGTERM)
                    host.emit(line("undisturbed"), urgent=True)
                host.emit(line("afterwards"), urgent=True)
                host.emit(line("never"), urgent=True)
        except Stopped:
            host.emit(line("raised"), urgent=True)

    assert words(fork(play).hear_all()) == ["stopping", "undisturbed", "afterwards", "raised"]


def test_a_stop_in_the_middle_of_a_message_lets_it_be_sent_whole(fork):
    def play(channel: Channel) -> None:
        host = ChildHost(channel)
        try:
            with host.stoppable():
                host.emit(line("ready"), urgent=True)
                host.emit(line("x" * BIG), urgent=True)
                host.emit(line("never"), urgent=True)
        except Stopped:
            host.emit(line("raised"), urgent=True)

    child = fork(play)
    child.hear("ready")
    while not is_blocked(child.pid):
        time.sleep(0.005)
    child.terminate()
    frames = child.hear_all()

    assert words(frames) == ["x" * BIG, "stopping", "raised"]


def test_a_stop_while_an_answer_is_waited_for_leaves_no_answer_behind(fork):
    def play(channel: Channel) -> None:
        host = ChildHost(channel)
        try:
            with host.stoppable():
                host.secret("key")
                host.emit(line("never"), urgent=True)
        except Stopped:
            host.emit(line(host.secret("other")["value"]), urgent=True)

    child = fork(play)
    child.hear("secret")
    while not is_blocked(child.pid):
        time.sleep(0.005)
    child.terminate()
    child.channel.send(({"secret": {"value": "first"}}, b""))
    frames = child.hear("secret")
    child.channel.send(({"secret": {"value": "second"}}, b""))

    assert words(frames) == ["stopping", "secret"]
    assert words(child.hear_all()) == ["second"]


def test_a_stop_wakes_threads_that_wait_for_it(fork):
    def play(channel: Channel) -> None:
        host = ChildHost(channel)

        def sleep() -> None:
            host.emit(line("woken" if host.stopped.wait(60) else "not woken"), urgent=True)

        thread = Thread(target=sleep)
        thread.start()
        host.emit(line("ready"), urgent=True)
        thread.join()

    child = fork(play)
    child.hear("ready")
    child.terminate()

    assert sorted(words(child.hear_all())) == ["stopping", "woken"]


def test_a_hail_of_stops_spoils_no_message_and_raises_only_once(fork):
    """Signals at every moment of a busy conversation, of two threads."""

    def play(channel: Channel) -> None:
        host = ChildHost(channel)
        host.emit(line("ready"), urgent=True)
        raised = 0

        def chatter() -> None:
            for number in range(2000):
                host.emit(line(f"thread {number}"), urgent=number % 3 == 0)

        thread = Thread(target=chatter)
        thread.start()
        numbers = count()
        try:
            with host.stoppable():
                while True:
                    host.emit(line(f"main {next(numbers)}"), urgent=True)
        except Stopped:
            raised += 1
            with host.protected():
                for number in range(2000):
                    host.emit(line(f"tidy {number}"), urgent=number % 5 == 0)
        thread.join()
        host.send_result({"kind": "result", "raised": raised}, b"{}")

    child = fork(play)
    hail = Flag()

    def send() -> None:
        while not hail.is_set():
            child.terminate()
            time.sleep(0.0002)

    child.hear("ready")
    sender = Thread(target=send)
    sender.start()
    try:
        frames = child.hear_all()
    finally:
        hail.set()
        sender.join()

    said = words(frames)
    assert said.count("stopping") == 1
    assert [word for word in said if word.startswith("thread")] == [f"thread {number}" for number in range(2000)]
    assert [word for word in said if word.startswith("tidy")] == [f"tidy {number}" for number in range(2000)]
    assert said[-1] == "result"
    assert frames[-1].head["raised"] == 1


def test_a_second_stop_at_any_line_of_hearing_the_first_changes_nothing(fork):
    def play(channel: Channel) -> None:
        for line_number in count(1):
            host = ChildHost(channel)
            reached = stop_at(line_number, within="ChildHost._on_stop")
            try:
                with host.stoppable():
                    signal.raise_signal(signal.SIGTERM)
                    host.emit(line("never"), urgent=True)
            except Stopped:
                sys.settrace(None)
            host.send_result({"kind": "result"}, b"")
            if not reached.is_set():
                return

    said = words(fork(play).hear_all())

    assert len(said) > 20
    assert said == ["stopping", "result"] * (len(said) // 2)


# Whole jobs


def job(text: str) -> dict[str, Any]:
    """What a supervisor sends. The flow may run `sub.yml`, which is always there."""
    below = revision_of("sub.yml", SUB, {})
    parts = {"flow:sub.yml": below}
    revision = revision_of("main.yml", text, parts)
    return {
        "job_id": "j", "path": "main.yml", "revision": revision,
        "documents": {revision: {"text": text, "parts": parts}, below: {"text": SUB, "parts": {}}},
        "timestamp": "", "timeout_seconds": None, "first_number": 1, "finally_only": False, "errors": [],
    }  # fmt: skip


def play_job(text: str, channel: Channel, **members: Any) -> None:
    host = ChildHost(channel)
    end = run_job(job(text) | members, b"null", host, RunLimits(data_path="/"))
    host.send_result({"kind": "result", "status": end.status, "reason": end.reason}, end.data_json)


def test_a_job_that_is_stopped_says_the_word_runs_its_finally_step_and_sends_its_result(fork):
    text = (
        "finally_step: tidy\nsteps: [{name: a, type: set_fact, set_fact: {value: 1}}, "
        "{name: nap, type: sleep, sleep: {seconds: 60}}, {name: tidy, type: set_fact, set_fact: {value: '{{ a }}'}}]"
    )

    child = fork(lambda channel: play_job(text, channel))
    while child.channel.receive().head.get("name") != "nap":
        pass
    child.terminate()
    frames = child.hear("sync")
    child.channel.send(({}, b""))
    result = child.hear_all()[-1]

    assert [frame.head["kind"] for frame in frames] == ["stopping", "StepEnded", "StepStarted", "sync"]
    assert (result.head["status"], result.head["reason"]) == ("failed", "stopped")
    assert b'"a":1,"tidy":1' in result.payload


def test_a_call_that_the_end_of_the_jobs_time_has_ended_is_no_failed_step_but_waits_for_the_stop(fork):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        text = f"steps: [{{name: call, type: rest, ignore_errors: '.*', rest: {{uri: '{uri}'}}}}]"
        child = fork(lambda channel: play_job(text, channel, timeout_seconds=0.2))
        child.hear("sync")
        child.channel.send(({}, b""))
        silence = readable([child.channel.fileno()], 1.0)
        child.terminate()
        result = child.hear_all()[-1]

    assert silence == []
    assert (result.head["status"], result.head["reason"]) == ("failed", "stopped")


# How long a process is kept


def play_jobs(channel: Channel, server_pid: int, **constants: int) -> None:
    """What a job process does, under these constants."""
    for name, value in constants.items():
        setattr(child_module, name, value)
    child_module.main(channel.fileno(), server_pid)


def run_jobs(child: Forked, *texts: str) -> list[bool]:
    """Whether the child says of itself after each job that it may be used again."""
    said = []
    for text in texts:
        head = {**job(text), "limits": asdict(RunLimits(data_path="/")), "memory_bytes": 4 << 30}
        child.channel.send((head, b"null"))
        while (frame := child.answer()).head["kind"] != "result":
            pass
        assert frame.head["status"] == "success"
        said.append(frame.head["reusable"])
    return said


SMALL = "steps: [{name: v, type: jq, jq: {expression: '1'}}]"
LARGE = "steps: [{name: v, type: jq, jq: {expression: '\"x\" * 200000000 | length'}}]"


def test_a_process_is_replaced_after_so_many_jobs(fork):
    server = os.getpid()
    child = fork(lambda channel: play_jobs(channel, server, JOBS_PER_CHILD=3, MEMORY_TO_KEEP=4 << 30))

    assert run_jobs(child, SMALL, SMALL, SMALL) == [True, True, False]
    assert child.hear_all() == []


def test_a_process_is_replaced_after_a_job_that_took_much_memory(fork):
    server = os.getpid()
    usual = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    child = fork(lambda channel: play_jobs(channel, server, MEMORY_TO_KEEP=usual + (50 << 20)))

    assert run_jobs(child, SMALL, LARGE, SMALL) == [True, False, False]


SLEEPY = """
    steps:
      - {name: nap, type: sleep, sleep: {seconds: 0.001}}
    """
BUSY = """
    finally_step: tidy
    steps:
      - {name: a, type: set_fact, set_fact: {value: 1}}
      - {name: b, type: set_fact, ignore_errors: defined, set_fact: {value: "{{ not_there }}"}}
      - {name: c, type: debug, debug: {data_key: a}}
      - {name: tidy, type: set_fact, set_fact: {value: 2}}
    """


NESTED = """
    finally_step: tidy
    steps:
      - {name: sub, type: flow, flow: {path: sub.yml}}
      - {name: tidy, type: set_fact, set_fact: {value: 2}}
    """
SUB = """
    finally_step: tidy below
    steps:
      - {name: a, type: set_fact, set_fact: {value: 1}}
      - {name: tidy below, type: set_fact, set_fact: {value: 2}}
    """


def test_a_stop_at_any_line_of_a_sleep_ends_it(fork):
    """The job runs once for each line that a sleep executes, and is stopped there."""
    frames = fork(lambda channel: stop_everywhere(SLEEPY, channel, within="Asked.sleep")).hear_all()

    *reasons, undisturbed = [frame.head["reason"] for frame in frames if frame.head["kind"] == "result"]
    assert undisturbed is None
    assert len(reasons) > 4
    assert set(reasons) == {"stopped"}


@pytest.mark.parametrize("text", [BUSY, NESTED], ids=["busy", "nested"])
def test_a_stop_at_any_line_of_a_job_lets_it_end_in_good_order(fork, text):
    """The job runs once for each line that its course executes in the runner, and is stopped there."""
    child = fork(lambda channel: stop_everywhere(text, channel, within="FlowRun.execute"))
    *stopped, undisturbed = courses(child.hear_all())

    assert "stopping" not in undisturbed
    assert len(stopped) > 200
    for course in stopped:
        assert course.count("stopping") == 1
        assert course.count("tidy") == 1
        assert course.count("tidy below") in ([1] if text is NESTED and "a" in course else [0, 1])
        assert course[-2:] in (["tidy", "stopped"], ["tidy", None], ["stopping", None])


def courses(frames: list[Frame]) -> Iterator[list[str | None]]:
    """For each job in turn: the steps that began, the word that the stop was heard, and at last its reason."""
    course: list[str | None] = []
    for frame in frames:
        match frame.head["kind"]:
            case "StepStarted":
                course.append(frame.head["name"])
            case "stopping":
                course.append("stopping")
            case "result":
                yield [*course, frame.head["reason"]]
                course = []


def stop_everywhere(text: str, channel: Channel, *, within: str) -> None:
    """Run the job with a stop at the first line within a function, then at the second, ..., at last with none."""
    for line_number in count(1):
        reached = stop_at(line_number, within)
        try:
            play_job(text, channel)
        finally:
            sys.settrace(None)
        if not reached.is_set():
            return


def stop_at(line_number: int, within: str) -> Flag:
    """Send this process SIGTERM at the n-th line of our own or of `threading` within a function; whether it came."""
    reached, lines = Flag(), count(1)

    def on_line(frame: Any, event: str, argument: Any) -> Any:
        if event == "line" and not reached.is_set() and next(lines) == line_number:
            reached.set()
            signal.raise_signal(signal.SIGTERM)
        return on_line

    def on_call(frame: Any, event: str, argument: Any) -> Any:
        if reached.is_set() or not frame.f_code.co_filename.endswith(TRACED):
            return None
        return on_line if is_within(frame, within) else None

    sys.settrace(on_call)
    return reached


TRACED = ("threading.py", "engine/child.py", "runner/flow.py", "runner/telling.py", "runner/asked.py", "contextlib.py")


def is_within(frame: Any, name: str) -> bool:
    while frame is not None:
        if frame.f_code.co_qualname == name:
            return True
        frame = frame.f_back
    return False


def is_blocked(pid: int) -> bool:
    """Whether the process waits in a system call."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return file.read().rsplit(")", 1)[1].split()[0] == "S"
