"""A job that is to stop: by its deadline, by a user, by a shutdown; politely, and then not."""

from __future__ import annotations

import errno
import os
import signal
from threading import Event, Thread

import pytest

from engine.clock import Clock
from engine.models.job import LogLine, Reason, State, Status
from engine.supervisor.talk import StopOrder

GRACE = 10


def stopped(peer, **fields):
    peer.end("failed", reason="stopped", **fields)


# The deadline


def test_a_deadline_asks_the_job_to_stop(stage, texts_of):
    claim = stage.claim(timeout=5)

    def script(peer):
        peer.start_step(1, "wait")
        peer.pass_by(4.9)
        assert peer.worker.stops == []
        peer.pass_by(0.2)
        peer.await_stop()
        stopped(peer, data={"first": 1})

    outcome = stage.supervise(claim, script)

    job = stage.job(claim)
    assert (outcome.status, outcome.reason) == (Status.FAILED, Reason.TIMEOUT)
    assert texts_of(job) == ["The job timed out after 5 seconds."]
    assert job.errors[0]["step"] == "wait"
    assert job.result == {"first": 1}
    assert stage.only_worker.kills == []


def test_the_row_says_that_the_job_is_stopping_and_why_while_it_does(stage):
    claim = stage.claim(timeout=5)

    def script(peer):
        peer.pass_by(5)
        peer.await_stop()
        peer.say_stopping()
        peer.settle()
        job = stage.job(claim)
        assert (job.state, job.reason) == (State.STOPPING, Reason.TIMEOUT)
        stopped(peer)

    stage.supervise(claim, script)


def test_a_worker_that_does_not_say_that_it_heard_is_killed_after_two_seconds(stage, texts_of):
    claim = stage.claim(timeout=5)

    def script(peer):
        peer.start_step(1, "spin")
        peer.pass_by(5)
        peer.pass_by(1.9)
        assert peer.worker.kills == []
        peer.clock.pass_by(0.2)
        peer.poke()
        peer.channel.receive()

    stage.supervise(claim, script)

    job = stage.job(claim)
    assert (job.status, job.reason) == (Status.FAILED, Reason.TIMEOUT)
    assert texts_of(job) == ["The job timed out after 5 seconds."]
    assert stage.only_worker.stops == [5.0]
    assert stage.only_worker.kills == [pytest.approx(7.1)]


def test_a_slow_database_does_not_keep_the_word_from_being_heard(stage):
    claim = stage.claim(timeout=5)
    said = Event()

    def slow_stop(*arguments):
        assert said.wait(10)
        stage.clock.pass_by(3)
        return stage.jobs.stop(*arguments)

    stage.watched.stop = slow_stop

    def script(peer):
        peer.settle()
        peer.clock.pass_by(5)
        peer.poke()
        peer.await_stop()
        peer.say_stopping()
        said.set()
        peer.settle()
        stopped(peer, data={"tidied": True})

    stage.supervise(claim, script)

    assert stage.only_worker.kills == []
    assert stage.job(claim).result == {"tidied": True}


def test_a_worker_that_goes_on_talking_is_killed_at_its_time_all_the_same(stage):
    claim = stage.claim(timeout=5)
    peers, heard = [], []

    def script(peer):
        peer.pass_by(5)
        peer.await_stop()
        peers.append(peer)
        peer.clock.pass_by(2.1)
        peer.log("one word")
        peer.channel.receive()

    def answer(event):
        heard.append(event)
        if not peers[0].worker.kills:
            stopped(peers[0]) if len(heard) > 50 else peers[0].log("and another")

    stage.supervise(claim, script, observer=answer)

    assert len(stage.only_worker.kills) == 1
    assert len(heard) < 50


def test_a_worker_that_heard_has_the_grace_for_its_finally_step_and_is_killed_then(stage, texts_of):
    claim = stage.claim(timeout=5, has_finally=True)

    def script(peer):
        peer.pass_by(5)
        peer.await_stop()
        peer.say_stopping()
        peer.start_step(1, "tidy", is_finally=True)
        peer.pass_by(GRACE - 0.1)
        assert peer.worker.kills == []
        peer.clock.pass_by(0.2)
        peer.poke()
        peer.channel.receive()

    stage.supervise(claim, script)

    job = stage.job(claim)
    assert (job.status, job.reason) == (Status.FAILED, Reason.TIMEOUT)
    assert stage.only_worker.kills == [pytest.approx(5 + GRACE + 0.1)]
    assert texts_of(job) == [
        "The job timed out after 5 seconds.",
        "the finally_step was stopped: it may take 10 seconds (GRACE_SECONDS)",
    ]


def test_a_job_without_a_deadline_is_never_stopped_by_one(stage):
    claim = stage.claim(timeout=None)

    def script(peer):
        assert peer.message["timeout_seconds"] is None
        for _ in range(10):
            peer.pass_by(10_000)
        assert peer.worker.stops == []
        peer.end()

    assert stage.supervise(claim, script).status is Status.SUCCESS


def test_what_a_worker_said_just_before_it_was_killed_is_heard(stage):
    claim = stage.claim(timeout=5)

    def script(peer):
        peer.pass_by(5)
        peer.await_stop()
        # It was about to say so when the signal reached it.
        peer.worker.kill = lambda: (peer.log("last words"), stopped(peer, data={"v": 1}))
        peer.clock.pass_by(3)
        peer.poke()
        peer.channel.receive()

    stage.supervise(claim, script)

    job = stage.job(claim)
    assert (job.status, job.reason, job.result) == (Status.FAILED, Reason.TIMEOUT, {"v": 1})
    assert stage.lines(claim) == ["last words"]


def test_a_job_that_ends_at_its_deadline_has_ended_as_it_says(stage):
    claim = stage.claim(timeout=5)

    def script(peer):
        peer.pass_by(5)
        peer.await_stop()
        peer.end("success", data={"v": 1})

    outcome = stage.supervise(claim, script)

    assert (outcome.status, outcome.reason) == (Status.SUCCESS, None)


# Orders


@pytest.mark.parametrize(
    ("reason", "status", "sentence"),
    [
        (Reason.CANCELLED, Status.CANCELLED, "The job was cancelled."),
        (Reason.SHUTDOWN, Status.FAILED, "The job was stopped because its service was shut down."),
    ],
)
def test_an_order_reaches_the_worker_at_once(stage, texts_of, reason, status, sentence):
    claim = stage.claim()

    def script(peer):
        peer.settle()
        stage.supervision.stop(reason)
        peer.await_stop()
        stopped(peer)

    stage.supervise(claim, script)

    job = stage.job(claim)
    assert (job.status, job.reason, job.message) == (status, reason, sentence)
    assert texts_of(job) == [sentence]


def test_a_job_that_was_stopped_before_it_began_has_no_worker(stage, texts_of):
    claim = stage.claim(data={"who": "Ada"})

    stage.supervise(claim, lambda peer: peer.end(), order=Reason.CANCELLED)

    job = stage.job(claim)
    assert stage.workers.taken == []
    assert (job.state, job.status, job.reason) == (State.FINISHED, Status.CANCELLED, Reason.CANCELLED)
    assert texts_of(job) == ["The job was cancelled."]
    assert job.result["__input__"] == {"who": "Ada"}


def test_of_a_job_that_was_stopped_before_it_began_only_the_finally_step_runs(stage, texts_of):
    claim = stage.claim(has_finally=True)
    messages = []

    def script(peer):
        messages.append(peer.message)
        peer.start_step(1, "tidy", is_finally=True)
        peer.end_step(1)
        peer.end(errors=peer.message["errors"], data={**peer.data, "tidied": True})

    stage.supervise(claim, script, order=Reason.SHUTDOWN)

    job = stage.job(claim)
    assert [message["finally_only"] for message in messages] == [True]
    assert stage.only_worker.stops == []
    assert (job.status, job.reason, job.result["tidied"]) == (Status.FAILED, Reason.SHUTDOWN, True)
    assert texts_of(job) == ["The job was stopped because its service was shut down."]
    assert [step.name for step in stage.steps(claim)] == ["tidy"]


def test_the_first_reason_counts(stage):
    claim = stage.claim(timeout=5)

    def script(peer):
        stage.supervision.stop(Reason.SHUTDOWN)
        stage.supervision.stop(Reason.CANCELLED)
        peer.await_stop()
        peer.say_stopping()
        peer.pass_by(6)
        assert len(peer.worker.stops) == 1
        stopped(peer)

    outcome = stage.supervise(claim, script)

    assert outcome.reason == Reason.SHUTDOWN


def test_a_cancel_that_only_the_row_knows_of_is_seen_at_the_next_renewal(stage):
    claim = stage.claim()

    def script(peer):
        stage.jobs.cancel(claim.id, stage.clock.now())
        peer.settle()
        assert peer.worker.stops == []
        peer.pass_by(10)
        peer.await_stop()
        stopped(peer)

    outcome = stage.supervise(claim, script)

    assert (outcome.status, outcome.reason) == (Status.CANCELLED, Reason.CANCELLED)


def test_a_renewal_while_the_job_stops_does_not_change_its_reason(stage):
    claim = stage.claim(timeout=5)

    def script(peer):
        peer.pass_by(5)
        peer.say_stopping()
        peer.settle()
        peer.pass_by(6)
        assert stage.watched.called("renew")
        stopped(peer)

    outcome = stage.supervise(claim, script)

    assert outcome.reason == Reason.TIMEOUT


def test_a_stop_that_cannot_be_noted_is_given_all_the_same(stage):
    from engine.errors import DatabaseBusy

    claim = stage.claim()
    stage.watched.failures["stop"] = [DatabaseBusy("busy")]

    def script(peer):
        stage.supervision.stop(Reason.CANCELLED)
        peer.await_stop()
        stopped(peer)

    outcome = stage.supervise(claim, script)

    assert outcome.status is Status.CANCELLED


def test_an_order_after_the_end_does_nothing(stage):
    claim = stage.claim()
    stage.supervise(claim, lambda peer: peer.end())

    stage.supervision.stop(Reason.CANCELLED)

    assert stage.job(claim).status is Status.SUCCESS


def test_errors_of_the_way_out_follow_the_reason_of_the_stop(stage, texts_of):
    claim = stage.claim()

    def script(peer):
        stage.supervision.stop(Reason.CANCELLED)
        peer.await_stop()
        stopped(peer, errors=[{"step": "tidy", "type": "file", "error": "no room"}])

    stage.supervise(claim, script)

    job = stage.job(claim)
    assert texts_of(job) == ["The job was cancelled.", "no room"]
    assert job.message == "The job was cancelled."


def test_a_worker_that_says_it_was_stopped_by_someone_else_is_taken_for_cancelled(stage):
    claim = stage.claim()

    def script(peer):
        peer.say_stopping()
        stopped(peer)

    outcome = stage.supervise(claim, script)

    assert outcome.status is Status.CANCELLED


def test_a_worker_that_someone_else_stopped_has_no_more_than_the_grace(stage):
    """Real time: the wait for the worker must end with the grace, not with the next renewal."""
    clock = Clock()
    stage.with_tools(clock=clock, grace_seconds=0.1)
    claim = stage.claim()

    def script(peer):
        peer.start_step(1, "tidy")
        peer.say_stopping()
        peer.channel.receive()

    begun = clock.monotonic()
    stage.supervise(claim, script)

    assert len(stage.only_worker.kills) == 1
    assert 0.1 <= clock.monotonic() - begun < 5


def test_a_wait_ends_with_the_deadline_by_itself(stage):
    """Real time: nobody says anything, and the supervisor wakes all the same."""
    clock = Clock()
    stage.with_tools(clock=clock)
    claim = stage.claim(timeout=0.1)

    def script(peer):
        peer.await_stop()
        stopped(peer)

    begun = clock.monotonic()
    outcome = stage.supervise(claim, script)

    assert outcome.reason == Reason.TIMEOUT
    assert 0.1 <= clock.monotonic() - begun < 5


def test_a_wait_ends_when_events_are_due_to_be_written(stage):
    """Real time: nobody says anything more, and what was said is on disk all the same."""
    clock = Clock()
    stage.with_tools(clock=clock)
    claim = stage.claim()

    def script(peer):
        peer.say(LogLine(clock.now(), "info", "one"))
        end = clock.monotonic() + 5
        while not stage.lines(claim) and clock.monotonic() < end:
            pass
        assert stage.lines(claim) == ["one"]
        peer.end()

    stage.supervise(claim, script)


# The order itself


def opened():
    order = StopOrder()
    order.open()
    return order


def test_an_order_wakes_who_waits_until_it_was_seen():
    from engine.frames import readable

    order = opened()

    assert readable([order.fileno()], 0) == []
    order.give("cancelled")
    order.give("cancelled")
    assert readable([order.fileno()], 0) == [order.fileno()]
    order.seen()
    assert readable([order.fileno()], 0) == []
    order.seen()
    order.close()


def test_an_order_that_nobody_reads_never_blocks():
    order = opened()

    for _ in range(70_000):
        order.give("cancelled")

    order.close()


def test_a_late_order_writes_into_nothing_that_has_taken_the_descriptors_place(tmp_path):
    order = opened()
    order.close()
    files = [os.open(tmp_path / str(n), os.O_CREAT | os.O_WRONLY) for n in range(8)]

    order.give("cancelled")

    for fd in files:
        os.close(fd)
    assert [path.stat().st_size for path in tmp_path.iterdir()] == [0] * 8


def test_the_descriptors_are_not_closed_under_an_order_that_is_being_written(monkeypatch):
    order = opened()
    closer = Thread(target=order.close)
    waiting = []

    def write(fd, data):
        closer.start()
        closer.join(0.05)
        waiting.append(closer.is_alive())
        return real(fd, data)

    real = os.write
    monkeypatch.setattr(os, "write", write)

    order.give("cancelled")

    closer.join(10)
    assert waiting == [True]
    assert order.fileno() == -1


def test_a_signals_handler_may_give_an_order_while_its_thread_does():
    order = opened()
    previous = signal.signal(signal.SIGUSR1, lambda *_: order.give("from the handler"))
    try:
        with order._open:
            os.kill(os.getpid(), signal.SIGUSR1)
            order.give("too late")
    finally:
        signal.signal(signal.SIGUSR1, previous)

    assert order.reason == "from the handler"
    order.close()


def out_of_descriptors(monkeypatch, times):
    """Let this process have no more pipes, so many times."""
    real, left = os.pipe2, [None] * times

    def pipe2(flags):
        if left:
            left.pop()
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return real(flags)

    monkeypatch.setattr(os, "pipe2", pipe2)


def test_a_job_waits_for_a_descriptor_and_is_then_run(stage, monkeypatch, caplog):
    out_of_descriptors(monkeypatch, times=3)

    outcome = stage.supervise(stage.claim(), lambda peer: peer.end())

    assert outcome.status is Status.SUCCESS
    assert stage.clock.passed == 3
    assert caplog.text.count("Nobody could listen for its stop: Too many open files. Trying again.") == 3


def test_a_job_that_gets_no_descriptor_is_let_go_and_taken_again(stage, monkeypatch):
    out_of_descriptors(monkeypatch, times=1000)
    claim = stage.claim()

    assert stage.supervise(claim) is None

    stage.lose(claim)
    assert stage.job(claim).state is State.PENDING


def test_an_order_that_was_given_before_anybody_could_listen_counts(stage, monkeypatch):
    out_of_descriptors(monkeypatch, times=1)

    outcome = stage.supervise(stage.claim(), order=Reason.SHUTDOWN)

    assert outcome.reason == Reason.SHUTDOWN
