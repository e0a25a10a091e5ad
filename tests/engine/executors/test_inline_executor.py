"""Jobs in the threads that ask for them: bounded, watched over, stopped, and no thread left when they have ended."""

from __future__ import annotations

import threading
import time
from threading import Event, Thread

import pytest
from clocks import TestClock
from flows import QUICK, SLOW, TIDY
from services import is_alive, until

from engine.errors import Busy, DatabaseBusy, Draining
from engine.executors.inline import TAKE_SECONDS
from engine.executors.owner import live_owners
from engine.models.job import Reason, State, Status


@pytest.fixture(autouse=True)
def threads_before():
    return threading.active_count()


def state_of(hall, job_id):
    return hall.jobs.get(job_id).state


def cancel(hall, claim):
    hall.in_step(claim.id)
    hall.jobs.cancel(claim.id, hall.clock.now())


def run(executor, claim, observer=None):
    with executor.room():
        return executor.supervise(claim, observer)


def test_a_job_runs_in_the_thread_that_has_claimed_it(hall):
    executor = hall.inline()
    heard = []

    outcome = run(executor, hall.queue(owner=executor.owner), lambda event: heard.append(threading.get_ident()))

    assert outcome.status is Status.SUCCESS
    assert set(heard) == {threading.get_ident()}
    assert executor._running == {}


def test_nothing_is_taken_and_no_thread_is_there_before_somebody_asks(hall, look_each, threads_before):
    look_each(0.01)
    executor = hall.inline()
    executor.start()
    pending, lost = hall.queue(), hall.lost()

    executor.nudge()

    assert threading.active_count() == threads_before
    assert (state_of(hall, pending), state_of(hall, lost)) == (State.PENDING, State.STOPPING)


def test_nobody_on_this_host_leaves_jobs_to_it(hall):
    hall.inline().start()

    assert live_owners(hall.owners) == set()


def test_a_cancel_in_the_table_reaches_the_job_while_it_runs(hall, look_each, threads_before):
    look_each(0.05)
    executor = hall.inline()

    for _ in range(2):  # The second time it is watched over anew.
        claim = hall.queue(SLOW, owner=executor.owner)
        canceller = Thread(target=cancel, args=(hall, claim))
        canceller.start()
        outcome = run(executor, claim)
        canceller.join(10)

        assert outcome.status is Status.CANCELLED
        until(lambda: executor._watcher is None)
    until(lambda: threading.active_count() <= threads_before)


def test_a_look_that_fails_is_followed_by_another(hall, look_each, caplog):
    look_each(0.05)
    looks = []

    def stopping(owner_id):
        looks.append(owner_id)
        if len(looks) == 1:
            raise DatabaseBusy("The database is busy.")
        return [(claim.id, None)]

    executor = hall.inline()
    claim = hall.queue(SLOW, owner=executor.owner)
    executor._queue = Replaced(hall.jobs, stopping=stopping)

    outcome = run(executor, claim)

    assert outcome.status is Status.CANCELLED
    assert "the jobs table could not be looked at: The database is busy." in caplog.text


class Replaced:
    """A queue some of whose verbs are other ones."""

    def __init__(self, jobs, **verbs):
        self.jobs = jobs
        self.__dict__ |= verbs

    def __getattr__(self, verb):
        return getattr(self.jobs, verb)


def test_there_is_room_for_so_many_jobs_as_there_are_workers(hall):
    executor = hall.inline(workers=2)

    sentence = r"^As many jobs run here as may at once: 2 \(FLOW_MAX_WORKERS\)\.$"
    with executor.room(), executor.room(), pytest.raises(Busy, match=sentence):
        executor.room().__enter__()
    with executor.room():
        pass


def test_without_workers_there_is_room_for_one(hall):
    executor = hall.inline(workers=0)

    with executor.room(), pytest.raises(Busy):
        executor.room().__enter__()


# Until there is nothing left


def test_running_until_idle_runs_what_is_lost_and_what_is_pending(hall, threads_before):
    lost = hall.lost()
    jobs = [hall.queue() for _ in range(5)]

    hall.inline(workers=2).run_until_idle()

    assert [state_of(hall, job) for job in (lost, *jobs)] == [State.FINISHED] * 6
    assert hall.jobs.get(lost).reason == Reason.WORKER_LOST
    assert (hall.data / "tidied.txt").exists()
    until(lambda: threading.active_count() <= threads_before)


def test_running_until_idle_runs_as_many_at_once_as_there_is_room_for(hall):
    executor = hall.inline(workers=3)
    jobs = [hall.queue(SLOW) for _ in range(4)]

    with executor.room():
        runner = Thread(target=executor.run_until_idle)
        runner.start()
        for job in jobs[:2]:
            hall.in_step(job)
        states = [state_of(hall, job) for job in jobs]
        executor.drain()
    runner.join(10)

    assert states == [State.RUNNING, State.RUNNING, State.PENDING, State.PENDING]
    assert [state_of(hall, job) for job in jobs[2:]] == states[2:]
    assert not runner.is_alive()


def test_running_until_idle_without_room_leaves_all_to_the_next_time(hall):
    executor = hall.inline(workers=1)
    job = hall.queue()

    with executor.room():
        executor.run_until_idle()

    assert state_of(hall, job) is State.PENDING


def test_no_further_job_is_taken_after_a_minute(hall, monkeypatch):
    executor = hall.inline()
    executor._clock = clock = TestClock()
    first, second = hall.queue(), hall.queue()
    see_through = executor._see_through
    monkeypatch.setattr(executor, "_see_through", lambda claim: (see_through(claim), clock.pass_by(TAKE_SECONDS)))

    executor.run_until_idle()

    assert (state_of(hall, first), state_of(hall, second)) == (State.FINISHED, State.PENDING)


@pytest.mark.parametrize("verb", ["claim", "adopt"])
def test_a_table_that_cannot_be_asked_ends_it(hall, caplog, verb):
    def fail(*_):
        raise DatabaseBusy("The database is busy.")

    executor = hall.inline(queue=Replaced(hall.jobs, **{verb: fail}))
    hall.queue()

    executor.run_until_idle()

    assert "The database is busy." in caplog.text
    assert executor._busy == 0


# Leaving


def test_a_drain_stops_what_runs_and_lets_nothing_in(hall):
    executor = hall.inline()
    claim = hall.queue(TIDY, owner=executor.owner)
    drainer = Thread(target=lambda: (hall.in_step(claim.id), executor.drain()))
    drainer.start()

    outcome = run(executor, claim)
    drainer.join(10)
    pending = hall.queue()
    executor.run_until_idle()

    assert (outcome.status, outcome.reason) == (Status.FAILED, Reason.SHUTDOWN)
    assert (hall.data / "tidied.txt").exists()
    assert state_of(hall, pending) is State.PENDING
    with pytest.raises(Draining):
        executor.room().__enter__()


def test_a_close_waits_for_the_jobs_of_other_threads_and_leaves_nothing(hall, threads_before):
    executor = hall.inline()
    executor.start()
    claim = hall.queue(TIDY, owner=executor.owner)
    ended = Event()
    runner = Thread(target=lambda: (run(executor, claim), ended.set()))
    runner.start()
    hall.in_step(claim.id)
    server = executor._pool.forkserver_pid

    begun = time.monotonic()
    executor.close()
    seconds = time.monotonic() - begun

    assert hall.jobs.get(claim.id).reason == Reason.SHUTDOWN
    assert seconds < 10, "no longer than the job takes, and that may be 13 s"
    assert ended.wait(5)
    assert not is_alive(server)
    assert list(hall.owners.iterdir()) == []
    runner.join(5)
    until(lambda: threading.active_count() <= threads_before)


def test_starting_after_the_close_does_nothing(hall):
    executor = hall.inline()
    executor.close()

    executor.start()

    assert not hall.owners.exists()


def test_a_quick_flow_is_what_it_seems(hall):
    executor = hall.inline()

    assert run(executor, hall.queue(QUICK, owner=executor.owner)).status is Status.SUCCESS


def test_room_is_not_lost_when_nobody_could_watch(hall, monkeypatch):
    executor = hall.inline()
    start, failures = Thread.start, [RuntimeError("can't start new thread")]

    def fails_once(self):
        if failures:
            raise failures.pop()
        start(self)

    monkeypatch.setattr(Thread, "start", fails_once)
    with pytest.raises(RuntimeError), executor.room():
        pass

    assert run(executor, hall.queue(owner=executor.owner)).status is Status.SUCCESS
