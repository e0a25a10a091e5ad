"""A loop's items at the same time: in threads, where threads can do anything for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from engine.runner.endings import Stopped
from engine.runner.job import JobRun

T = TypeVar("T")

MAX_CHUNK = 25
"""So many items are handed to a thread at once when there are many: a hand-over costs more than a small step."""
STOP_SECONDS = 5.0
"""How long a stopped loop waits for each `finally_step` in it: half of what GRACE_SECONDS is by default."""


def can_wait(job: JobRun, revision: str, path: str) -> bool:
    """Whether the flow ever waits for something outside the process: pure steps would only take turns."""
    if any(step.options.acts or step.type == "sleep" for step in job.flow(revision, path).steps):
        return True
    below = ((name, part) for name, part in job.parts(revision).items() if name.startswith("flow:"))
    return any(can_wait(job, part, name.removeprefix("flow:")) for name, part in below)


def in_threads(job: JobRun, run: Callable[[int], T], total: int, workers: int) -> list[T]:
    """`run(0)` .. `run(total - 1)` with so many at a time; results in order. The first exception ends it."""
    from concurrent.futures import Future, ThreadPoolExecutor, wait

    def run_chunk(start: int) -> list[T]:
        return [run(index) for index in range(start, min(start + size, total))]

    size = max(1, min(MAX_CHUNK, total // (workers * 4)))
    pool = ThreadPoolExecutor(workers, thread_name_prefix="loop")
    futures: list[Future[list[T]]] = []
    try:
        futures += (pool.submit(run_chunk, start) for start in range(0, total, size))
        results = [result for future in futures for result in future.result()]
        pool.shutdown()
        return results
    except BaseException as error:
        job.unclean = True
        if isinstance(error, Stopped):
            job.end_calls()  # Else their flows might not see the stop in time for their own finally_step.
        pool.shutdown(wait=False, cancel_futures=True)
        # What has begun ends first: a finally_step comes last. Only a stop cannot wait that long.
        begun = [future for future in futures if not future.cancelled()]
        wait(begun, timeout=STOP_SECONDS if isinstance(error, Stopped) else None)
        raise
