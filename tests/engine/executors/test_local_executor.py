"""Jobs in processes of this container: claimed in order, as many at once as is set, stopped and adopted."""

from __future__ import annotations

import threading
from threading import Event, Semaphore, Thread

import pytest
from flows import QUICK, SLOW, TIDY
from services import is_alive, until

from engine.errors import DatabaseBusy
from engine.executors.owner import live_owners
from engine.models.job import JobFilter, Owner, Reason, State, Status
from engine.supervisor import Supervision, row


class Faulty:
    """A queue whose verbs raise what they are given, once each."""

    def __init__(self, jobs, **failures):
        self.jobs = jobs
        self.failures = failures
        self.exhausted = Event()

    def __getattr__(self, verb):
        def call(*arguments, **options):
            if self.failures.get(verb):
                error = self.failures[verb].pop(0)
                if not any(self.failures.values()):
                    self.exhausted.set()
                raise error
            return getattr(self.jobs, verb)(*arguments, **options)

        return call


def state_of(hall, job_id):
    return hall.jobs.get(job_id).state


# Taking jobs


def test_jobs_are_taken_by_priority_and_then_by_age(hall):
    jobs = [hall.queue(priority=priority) for priority in (5, 0, -3, 0, 5)]

    hall.executor(workers=1).start()
    done = [hall.finished(job) for job in jobs]

    assert {job.status for job in done} == {Status.SUCCESS}
    assert sorted(jobs, key=lambda job: hall.jobs.get(job).start_time) == [jobs[n] for n in (2, 1, 3, 0, 4)]


def test_a_nudge_wakes_a_worker_at_once(hall, look_each):
    look_each(60)
    executor = hall.executor()
    executor.start()
    until(lambda: executor._pool.pids())
    job = hall.queue()

    executor.nudge()

    assert hall.finished(job, seconds=10).status is Status.SUCCESS


def test_a_job_that_is_claimed_for_a_free_worker_is_run_by_it(hall, look_each):
    look_each(60)
    executor = hall.executor()
    executor.start()

    claim = put_to_a_free_worker(hall, executor)

    assert hall.finished(claim.id, seconds=10).status is Status.SUCCESS


def test_nobody_is_free_while_all_workers_are_at_work_or_before_the_start(hall):
    executor = hall.executor(workers=1)
    with executor.free_worker() as give:
        assert give is None
    executor.start()
    claim = put_to_a_free_worker(hall, executor, SLOW)

    with executor.free_worker() as give:
        assert give is None
    executor.stop(claim.id, Reason.CANCELLED)


def test_a_worker_is_free_again_when_no_job_could_be_claimed_for_it(hall, look_each):
    look_each(60)
    executor = hall.executor(workers=1)
    executor.start()
    put_to_a_free_worker(hall, executor)

    until(lambda: free_worker_that_gets_nothing(executor))
    job = hall.queue()
    executor.nudge()

    assert hall.finished(job, seconds=10).status is Status.SUCCESS


def test_jobs_that_are_put_to_workers_and_jobs_that_are_queued_all_run(hall, look_each):
    look_each(60)
    executor = hall.executor(workers=2)
    executor.start()
    barrier = threading.Barrier(4)
    jobs = []

    def launch():
        barrier.wait()
        for _ in range(5):
            with executor.free_worker() as give:
                if give is not None:
                    give(hall.queue(owner=executor.owner))
                    continue
            jobs.append(hall.queue())
            executor.nudge()

    launchers = [Thread(target=launch) for _ in range(4)]
    for thread in launchers:
        thread.start()
    for thread in launchers:
        thread.join()
    executor.run_until_idle()

    ended = hall.jobs.list(JobFilter(limit=100))
    assert [job.status for job in ended] == [Status.SUCCESS] * 20


def put_to_a_free_worker(hall, executor, text=QUICK):
    def put():
        with executor.free_worker() as give:
            if give is None:
                return None
            claim = hall.queue(text, owner=executor.owner)
            give(claim)
            return claim

    return until(put)


def free_worker_that_gets_nothing(executor):
    try:
        with executor.free_worker() as give:
            if give is not None:
                raise RuntimeError("the flow runs already")
    except RuntimeError:
        return True
    return False


def test_a_job_that_nobody_nudged_for_is_found_by_looking(hall, look_each):
    look_each(0.05)
    executor = hall.executor()
    executor.start()

    assert hall.finished(hall.queue(), seconds=10).status is Status.SUCCESS


def test_jobs_that_came_from_another_process_wake_all_who_are_idle_with_one_look(hall, look_each):
    look_each(60)
    queue = Arriving(hall, idle=8)
    executor = hall.executor(workers=8, queue=queue)

    executor.start()

    until(lambda: len(queue.arrived) == 8)
    until(lambda: {state_of(hall, job) for job in queue.arrived} == {State.RUNNING}, 10)


class Arriving:
    """A queue that another process fills while all workers are idle, just before the first look at it."""

    def __init__(self, hall, idle):
        self.hall, self.idle = hall, Semaphore(0)
        self.workers = idle
        self.arrived = []

    def claim(self, *arguments, **options):
        claims = self.hall.jobs.claim(*arguments, **options)
        if not claims:
            self.idle.release()
        return claims

    def stopping(self, owner_id):
        for _ in range(self.workers):
            assert self.idle.acquire(timeout=10)
        self.arrived += [self.hall.queue(SLOW) for _ in range(self.workers)]
        return []

    def adopt(self, *arguments, **options):
        return []


def test_no_more_jobs_run_at_once_than_there_are_workers(hall, look_each):
    look_each(0.05)
    executor = hall.executor(workers=2)
    executor.start()
    jobs = [hall.queue(SLOW) for _ in range(3)]

    for job in jobs[:2]:
        hall.in_step(job)
    seen = {state_of(hall, jobs[2]) for _ in range(50)}
    executor.stop(jobs[0], Reason.CANCELLED)
    hall.in_step(jobs[2])

    assert seen == {State.PENDING}
    assert hall.finished(jobs[0]).status is Status.CANCELLED
    assert state_of(hall, jobs[1]) is State.RUNNING


def test_a_worker_goes_on_with_the_job_that_it_claims_when_one_ends(hall, look_each):
    look_each(60)
    queue = ClaimedOnce(hall)
    jobs = [hall.queue() for _ in range(4)]

    hall.executor(workers=1, queue=queue).start()

    assert [hall.finished(job).status for job in jobs] == [Status.SUCCESS] * 4
    assert queue.claimed == [jobs[0]]


class ClaimedOnce:
    """A queue that gives one job to those who look for pending ones."""

    def __init__(self, hall):
        self.hall = hall
        self.claimed = []

    def claim(self, *arguments, **options):
        claims = [] if self.claimed else self.hall.jobs.claim(*arguments, **options)
        self.claimed += [claim.id for claim in claims]
        return claims

    def __getattr__(self, verb):
        return getattr(self.hall.jobs, verb)


def test_a_recovery_is_no_worker_and_takes_no_further_job(hall, look_each):
    look_each(0.05)
    executor = hall.executor(workers=1)
    executor.start()
    busy = hall.queue(SLOW)
    hall.in_step(busy)
    lost, pending = hall.lost(), hall.queue()

    hall.finished(lost)

    assert state_of(hall, pending) is State.PENDING
    executor.stop(busy, Reason.CANCELLED)
    assert hall.finished(pending).status is Status.SUCCESS


def test_starting_twice_is_starting_once(hall):
    executor = hall.executor(workers=3)

    executor.start()
    before = threading.active_count()
    executor.start()

    assert threading.active_count() == before


@pytest.mark.parametrize("error", [DatabaseBusy("busy"), ValueError("a row that makes no sense")])
def test_a_worker_outlives_a_claim_that_fails(hall, look_each, caplog, error):
    look_each(0.05)
    queue = Faulty(hall.jobs, claim=[error, error])
    job = hall.queue()

    hall.executor(queue=queue).start()

    assert hall.finished(job, seconds=10).status is Status.SUCCESS
    assert caplog.text.count("no job could be claimed") == 2


@pytest.mark.parametrize("error", [DatabaseBusy("busy"), ValueError("a row that makes no sense")])
def test_the_housekeeper_outlives_a_look_that_fails(hall, look_each, caplog, error):
    look_each(0.05)
    queue = Faulty(hall.jobs, stopping=[error], adopt=[error])

    hall.executor(queue=queue).start()
    assert queue.exhausted.wait(10)

    assert hall.finished(hall.queue(), seconds=10).status is Status.SUCCESS
    assert caplog.text.count("the jobs table could not be looked at") == 2


def test_a_worker_outlives_a_job_that_could_not_be_seen_through(hall, look_each, caplog, monkeypatch):
    look_each(0.05)
    executor = hall.executor()
    supervise, failures = Supervision.supervise, [RuntimeError("a fault of ours")]

    def fails_once(self):
        if failures:
            raise failures.pop()
        return supervise(self)

    monkeypatch.setattr(Supervision, "supervise", fails_once)
    first = hall.queue()
    executor.start()
    until(lambda: not failures)

    assert hall.finished(hall.queue(), seconds=10).status is Status.SUCCESS
    assert state_of(hall, first) is State.RUNNING
    assert f"job {first}: its supervisor failed" in caplog.text


def test_a_worker_outlives_a_job_whose_supervisor_could_not_be_made(hall, look_each, caplog, monkeypatch):
    look_each(0.05)
    failures = [RuntimeError("a fault of ours")]

    def fails_once(*arguments, **options):
        if failures:
            raise failures.pop()
        return Supervision(*arguments, **options)

    monkeypatch.setattr("engine.executors.executor.Supervision", fails_once)
    first = hall.queue()
    hall.executor().start()
    until(lambda: not failures)

    assert hall.finished(hall.queue(), seconds=10).status is Status.SUCCESS
    assert state_of(hall, first) is State.RUNNING
    assert f"job {first}: its supervisor failed" in caplog.text


def test_a_worker_outlives_whatever_else_goes_wrong(hall, look_each, caplog, monkeypatch):
    look_each(0.05)
    executor = hall.executor()
    wait, failures = executor._idle.wait, [RuntimeError("a fault of ours")]

    def fails_once(seen):
        if failures:
            raise failures.pop()
        return wait(seen)

    monkeypatch.setattr(executor._idle, "wait", fails_once)
    executor.start()
    until(lambda: not failures)

    assert hall.finished(hall.queue(), seconds=10).status is Status.SUCCESS
    assert "a worker failed; it goes on in a moment" in caplog.text


def test_the_housekeeper_outlives_a_warming_that_fails(hall, look_each, monkeypatch, caplog):
    look_each(0.05)
    executor = hall.executor()
    monkeypatch.setattr(executor._pool, "warm", lambda: 1 / 0)

    executor.start()

    assert hall.finished(hall.lost()).reason == Reason.WORKER_LOST
    assert "no process could be made ready" in caplog.text


def test_a_recovery_that_gets_no_thread_keeps_nobody_from_closing(hall, look_each, monkeypatch, caplog):
    look_each(60)
    executor = hall.executor()
    hall.lost()
    start, failures = Thread.start, [RuntimeError("can't start new thread")]

    def fails_once(self):
        if self.name == "recovery" and failures:
            raise failures.pop()
        start(self)

    monkeypatch.setattr(Thread, "start", fails_once)
    executor.start()
    until(lambda: "the jobs table could not be looked at" in caplog.text)

    executor.close()

    assert not any(thread.is_alive() for thread in executor._threads)


# Stopping jobs


def test_a_cancel_in_the_table_reaches_the_job_within_a_look(hall, look_each):
    look_each(0.05)
    hall.executor().start()
    job = hall.queue(SLOW)
    hall.in_step(job)

    hall.jobs.cancel(job, hall.clock.now())

    ended = hall.finished(job, seconds=5)
    assert (ended.status, ended.reason) == (Status.CANCELLED, Reason.CANCELLED)


def test_stopping_a_job_that_does_not_run_here_is_nothing(hall):
    executor = hall.executor()
    executor.start()

    executor.stop("another", Reason.CANCELLED)

    assert hall.finished(hall.queue(), seconds=10).status is Status.SUCCESS


def test_closing_stops_what_runs_as_a_shutdown_with_its_finally_step(hall, look_each):
    look_each(0.05)
    executor = hall.executor()
    executor.start()
    job = hall.queue(TIDY)
    hall.in_step(job)
    server = executor._pool.forkserver_pid

    executor.close()

    ended = hall.jobs.get(job)
    assert (ended.state, ended.status, ended.reason) == (State.FINISHED, Status.FAILED, Reason.SHUTDOWN)
    assert ended.message == "The job was stopped because its service was shut down."
    assert (hall.data / "tidied.txt").read_text().strip() == "f.yml"
    assert not is_alive(server)


def test_a_closed_executor_leaves_no_thread_no_file_and_pending_jobs_alone(hall, look_each):
    look_each(0.05)
    before = threading.active_count()
    executor = hall.executor(workers=3)
    executor.start()
    until(lambda: executor._pool.pids())
    assert live_owners(hall.owners) == {executor.owner.id}

    executor.close()
    executor.close()
    job = hall.queue()
    executor.nudge()

    assert threading.active_count() == before
    assert list(hall.owners.iterdir()) == []
    assert state_of(hall, job) is State.PENDING


def test_starting_after_the_close_does_nothing(hall):
    before = threading.active_count()
    executor = hall.executor()
    executor.close()

    executor.start()
    executor.be_alive()

    assert threading.active_count() == before
    assert not hall.owners.exists()


def test_a_job_that_is_claimed_while_the_executor_closes_is_stopped(hall):
    executor = hall.executor()
    executor.be_alive()
    claim = hall.queue(TIDY, owner=executor.owner)
    executor.stop_all(Reason.SHUTDOWN)

    outcome = executor.supervise(claim)

    assert (outcome.status, outcome.reason) == (Status.FAILED, Reason.SHUTDOWN)
    assert [step.name for step in hall.jobs.get_with_steps(claim.id)[1]] == ["tidy"]


def test_the_owner_file_stays_while_a_job_runs_on_after_the_close(hall):
    executor = hall.executor()
    executor.be_alive()
    held, go_on = Event(), Event()
    claim = hall.queue(owner=executor.owner)
    runner = Thread(target=executor.supervise, args=(claim, lambda event: (held.set(), go_on.wait(10))))
    runner.start()
    assert held.wait(10)

    executor.close()
    files = [path.name for path in hall.owners.iterdir()]
    go_on.set()
    runner.join(10)
    executor.close()

    assert files == [f"{executor.owner.id}.lock"]
    assert list(hall.owners.iterdir()) == []


def test_a_drain_stops_what_runs_and_returns_at_once(hall, look_each):
    look_each(0.05)
    executor = hall.executor()
    executor.start()
    job = hall.queue(TIDY)
    hall.in_step(job)

    executor.drain()
    state = state_of(hall, job)
    later = hall.queue()
    ended = hall.finished(job)
    executor.close()

    assert state in (State.RUNNING, State.STOPPING)
    assert ended.reason == Reason.SHUTDOWN
    assert state_of(hall, later) is State.PENDING


def test_the_time_to_end_counts_from_the_drain(hall, monkeypatch):
    executor = hall.executor()
    times = iter([100.0, 112.0])
    monkeypatch.setattr(hall.clock, "monotonic", lambda: next(times))
    asked = []
    monkeypatch.setattr(executor, "_wait_until", asked.append)

    executor.drain()
    executor.close()

    assert asked == [113.0]


# Lost jobs


def test_a_lost_job_is_adopted_and_its_finally_step_run(hall, look_each):
    look_each(0.05)
    job = hall.lost()

    hall.executor().start()

    ended = hall.finished(job)
    assert (ended.status, ended.reason) == (Status.FAILED, Reason.WORKER_LOST)
    assert [(step.name, step.is_finally) for step in hall.jobs.get_with_steps(job)[1]] == [
        ("wait", False),
        ("tidy", True),
    ]
    assert (hall.data / "tidied.txt").read_text().strip() == "f.yml"


def test_a_lost_job_needs_no_free_worker(hall, look_each):
    look_each(0.05)
    hall.executor(workers=1).start()
    hall.in_step(hall.queue(SLOW))

    assert hall.finished(hall.lost()).reason == Reason.WORKER_LOST


def test_a_close_waits_for_a_recovery(hall, look_each):
    look_each(0.05)
    lasting = "name: f\nfinally_step: tidy\nsteps:\n  - {name: tidy, type: sleep, sleep: {seconds: 1}}\n"
    executor = hall.executor()
    job = hall.lost(lasting)
    executor.start()
    hall.in_step(job, "tidy")

    executor.close()

    assert state_of(hall, job) is State.FINISHED
    assert [str(step.status) for step in hall.jobs.get_with_steps(job)[1]] == ["stopped", "success"]


def test_a_job_that_was_lost_here_and_is_adopted_here_is_told_of_like_any_other(hall, look_each, monkeypatch, caplog):
    """As after a pause of the whole process: whoever ran it before notices only at the next renewal."""
    look_each(0.05)
    monkeypatch.setattr(row, "RENEW_SECONDS", 0.5)
    executor = hall.executor()
    executor.start()
    job = hall.queue(
        "name: f\nfinally_step: tidy\nsteps:\n  - {name: wait, type: sleep, sleep: {seconds: 60}}\n"
        "  - {name: tidy, type: sleep, sleep: {seconds: 2}}\n"
    )
    hall.in_step(job)

    hall.jobs.sweep(hall.clock.now(), {executor.owner.id})
    hall.in_step(job, "tidy")
    until(lambda: "the lease was lost" in caplog.text)
    assert state_of(hall, job) is State.STOPPING
    executor.close()

    assert state_of(hall, job) is State.FINISHED
    assert [str(step.status) for step in hall.jobs.get_with_steps(job)[1]] == ["stopped", "success"]
    assert "its supervisor failed" not in caplog.text


# Until there is nothing left


def test_running_until_idle_runs_all_there_is(hall):
    executor = hall.executor(workers=2)
    jobs = [hall.queue() for _ in range(5)]

    executor.run_until_idle()

    assert [state_of(hall, job) for job in jobs] == [State.FINISHED] * 5


@pytest.mark.parametrize("verb", ["claim", "adopt"])
def test_running_until_idle_waits_for_a_job_that_is_just_being_taken(hall, look_each, verb):
    look_each(0.05)
    queue = Hesitant(hall.jobs, verb)
    executor = hall.executor(queue=queue)
    job = hall.queue() if verb == "claim" else hall.lost()

    executor.run_until_idle()

    assert state_of(hall, job) is State.FINISHED
    assert queue.go_on.is_set()


class Hesitant:
    """A queue that has given a job away, and says so only after it has three times been found empty."""

    def __init__(self, jobs, verb):
        self.jobs, self.verb, self.go_on = jobs, verb, Event()
        self.looks = []

    def has_lost(self):
        found = self.jobs.has_lost()
        self.looks.append(found or self.jobs.has_pending())
        if self.looks[-3:] == [False] * 3:
            self.go_on.set()
        return found

    def __getattr__(self, verb):
        def call(*arguments, **options):
            answer = getattr(self.jobs, verb)(*arguments, **options)
            if verb == self.verb and answer:
                self.go_on.wait(10)
            return answer

        return call


def test_running_until_idle_ends_with_the_executor(hall):
    executor = hall.executor()
    hall.queue()
    executor.close()

    executor.run_until_idle()

    assert not executor._threads
    assert hall.jobs.has_pending()


def test_stopping_all_stops_all_that_runs_here(hall, look_each):
    look_each(0.05)
    executor = hall.executor(workers=2)
    executor.start()
    jobs = [hall.queue(SLOW) for _ in range(2)]
    elsewhere = hall.queue(SLOW, owner=Owner("other", "host")).id
    for job in jobs:
        hall.in_step(job)

    executor.stop_all(Reason.CANCELLED)

    assert {hall.finished(job).status for job in jobs} == {Status.CANCELLED}
    assert state_of(hall, elsewhere) is State.RUNNING


def test_a_quick_flow_is_what_it_seems(hall):
    """The flows of this file are flows."""
    from engine.checking import parse_flow

    assert [parse_flow("f.yml", text).finally_step for text in (QUICK, SLOW, TIDY)] == [None, None, "tidy"]
