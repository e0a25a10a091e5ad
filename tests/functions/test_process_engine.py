"""The engine of a process: made late, made once, started by any answer."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event, Lock, Semaphore

import pytest

from engine.errors import DatabaseRefused, Draining
from engine.orchestrator import Orchestrator
from engine.settings import Settings
from functions._engine import NotReady


@pytest.fixture
def made(monkeypatch, engine_class):
    """Engines that were made from the environment; `made.error` is raised instead while it is set."""
    made = engine_class
    monkeypatch.setattr(Orchestrator, "from_environment", made.make)
    return made


@pytest.fixture
def engine_class():
    from types import SimpleNamespace

    def make():
        made.attempts += 1
        made.before()
        if made.error:
            raise made.error
        made.started, made.closed = Event(), Event()
        engine = SimpleNamespace(start=made.started.set, close=made.closed.set, drain=made.drain, settings=Settings())
        made.engines.append(engine)
        return engine

    made = SimpleNamespace(make=make, engines=[], attempts=0, error=None, before=lambda: None, drain=lambda: None)
    return made


def test_an_engine_is_made_at_the_first_need_and_kept(made, process):
    first, second = process.get(), process.get()

    assert first is second
    assert len(made.engines) == 1


def test_many_at_once_make_one(made, process):
    barrier = Barrier(16)

    def get(_):
        barrier.wait(5)
        return process.get()

    with ThreadPoolExecutor(16) as pool:
        engines = list(pool.map(get, range(16)))

    assert len({id(engine) for engine in engines}) == 1
    assert made.attempts == 1


def test_what_stands_in_the_way_is_told_and_the_next_one_tries_again(made, process):
    made.error = DatabaseRefused("jobs.sqlite is damaged.")
    with pytest.raises(NotReady, match="is damaged"):
        process.get()
    made.error = None

    assert process.get() is made.engines[0]


def test_who_waited_for_a_failure_shares_it(made, process):
    made.error = DatabaseRefused("jobs.sqlite is damaged.")
    process._lock = lock = CountingLock()
    inside, go_on = Event(), Event()
    made.before = lambda: (inside.set(), go_on.wait(5))

    with ThreadPoolExecutor(5) as pool:
        first = pool.submit(process.get)
        inside.wait(5)
        others = [pool.submit(process.get) for _ in range(4)]
        assert all(lock.arrivals.acquire(timeout=5) for _ in range(5))
        go_on.set()

        assert all(isinstance(each.exception(5), NotReady) for each in [first, *others])
    assert made.attempts == 1


def test_a_request_is_answered_503_until_there_is_an_engine(made, process, app_of):
    client = app_of("api").test_client()
    made.error = DatabaseRefused("jobs.sqlite is damaged.")

    answer = client.get("/api/jobs")

    assert answer.status_code == 503
    assert answer.json == {"error": "jobs.sqlite is damaged.", "code": "not_ready"}
    assert answer.headers["Retry-After"] == "1"


@pytest.mark.parametrize("path", ["/healthz", "/nowhere", "/api/jobs"])
def test_any_answer_starts_the_engine(process, engine, app_of, path):
    app_of("api").test_client().get(path)

    assert engine.started.wait(5)


def test_where_jobs_run_inline_no_answer_starts_anything(process, engine, app_of):
    engine.settings = Settings(executor="inline")

    app_of("api").test_client().get("/healthz")
    process._starter.join(5)

    assert not engine.started.is_set()


def test_a_start_that_fails_is_tried_again(made, process, monkeypatch, caplog):
    monkeypatch.setattr("functions._engine.LONGEST_WAIT_SECONDS", 0.01)
    made.error = DatabaseRefused("jobs.sqlite is damaged.")
    twice = Event()
    made.before = lambda: twice.set() if made.attempts == 2 else None

    with caplog.at_level(logging.WARNING):
        process.start_soon()
        assert twice.wait(5)
        made.error = None
        process._starter.join(5)

    assert made.started.is_set()
    assert "The engine does not start: jobs.sqlite is damaged." in caplog.text


def test_closing_stops_the_engine_and_no_other_is_made(made, process):
    process.get()

    process.close()
    process.close()

    assert made.closed.is_set()
    with pytest.raises(Draining, match="on its way out"):
        process.get()
    assert made.attempts == 1


def test_a_drain_is_passed_on_and_the_engine_stays_to_answer(made, process):
    engine = process.get()
    drained = []
    engine.drain = lambda: drained.append(engine)

    process.drain()

    assert drained == [engine]
    assert process.get() is engine


def test_an_engine_that_is_made_while_the_process_leaves_leaves_too(made, process):
    drained = []
    made.before = process.drain
    made.drain = lambda: drained.append(True)

    process.get()

    assert drained == [True]


def test_a_process_that_leaves_makes_no_engine(made, process):
    process.drain()

    with pytest.raises(Draining, match="on its way out"):
        process.get()
    assert made.attempts == 0


class CountingLock:
    """A lock that tells who has come to it."""

    def __init__(self):
        self.lock, self.arrivals = Lock(), Semaphore(0)

    def __enter__(self):
        self.arrivals.release()
        self.lock.acquire()

    def __exit__(self, *_):
        self.lock.release()
