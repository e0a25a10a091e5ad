"""Which jobs hold the lock of their flow, on every database."""

from __future__ import annotations

from engine.models.job import State
from engine.models.lock import Lock


def test_jobs_that_hold_a_lock_are_listed_by_path_and_others_are_not(bench, jobs):
    waiting = bench.queue("b.yml", slots=1)
    queued = bench.now
    running = bench.start("a.yml", slots=2)
    ended = bench.start("c.yml", slots=1)
    bench.queue("d.yml")
    bench.finish(ended)

    assert jobs.locks() == [
        Lock("a.yml", "a.yml", running.id, State.RUNNING, running.start_time, running.start_time),
        Lock("b.yml", "b.yml", waiting, State.PENDING, queued, None),
    ]
