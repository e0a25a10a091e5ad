"""The figures of a launch and of a start, beside a bare function and three durable commits."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from serving import first_answer, floor, launch_and_wait, octoflow, post, request, start_floor, start_octoflow
from timing import Row, medians_ms

WARM_UP = 16
"""So many calls and launches before a rate is taken: what a process does once is in the figures of its start."""
ONE_STEP = "name: one step {n}\nsteps:\n  - name: pick\n    type: jq\n    jq: {{expression: '.a + 1'}}\n"


def figures(folder: Path, quick: bool) -> Iterator[Row]:
    """Launches and starts over the same flows."""
    data = folder / "data"
    (data / "flows").mkdir(parents=True)
    for n in range(1000 + WARM_UP):
        (data / "flows" / f"one_{n}.yml").write_text(ONE_STEP.format(n=n))
    yield from _launches(data, 60 if quick else 300, folder)
    yield from _cold_starts(data, 3 if quick else 7)


def _launches(data: Path, rounds: int, folder: Path) -> Iterator[Row]:
    """Launch to finished, one caller; finished jobs a second, eight callers. Figure and floor in turns."""
    with floor("three_commits", folder) as commits, octoflow(data) as port:
        ours_ms, floor_ms = medians_ms(lambda: launch_and_wait(port, 0), lambda: post(commits, "/", {}), rounds)
    with floor("hello", folder) as hello, octoflow(data) as port:
        before = _rate(lambda n: post(hello, "/", {}), 500)
        ours_rate = _finished_rate(port, 1000)
        floor_rate = (before + _rate(lambda n: post(hello, "/", {}), 500)) / 2
    yield (
        "launch to finished, one jq step, p50",
        f"{ours_ms:.2f} ms",
        f"{floor_ms:.2f} ms",
        ours_ms / floor_ms,
        "<= 3.5",
    )
    yield "finished jobs/s, 8 callers", f"{ours_rate:.0f}/s", f"{floor_rate:.0f}/s", floor_rate / ours_rate, "<= 4.0"


def _cold_starts(data: Path, rounds: int) -> Iterator[Row]:
    """Process start to the first answer, beside functions-framework's hello."""
    hello, health, jobs = [], [], []
    for _ in range(rounds):
        hello.append(first_answer(lambda port: start_floor("hello", port), "/"))
        health.append(first_answer(lambda port: start_octoflow(data, port), "/healthz"))
        jobs.append(first_answer(lambda port: start_octoflow(data, port), "/api/jobs"))
    floor_ms, health_ms, jobs_ms = (statistics.median(times) * 1000 for times in (hello, health, jobs))
    yield "cold start to GET /healthz", f"{health_ms:.0f} ms", f"{floor_ms:.0f} ms", health_ms / floor_ms, "<= 1.2"
    yield "cold start to GET /api/jobs", f"{jobs_ms:.0f} ms", f"{floor_ms:.0f} ms", jobs_ms / floor_ms, "<= 2.3"


def _finished_rate(port: int, total: int) -> float:
    """Jobs of so many distinct flows finished in a second, launched by eight callers as fast as they are answered."""

    def launch(number: int) -> None:
        status, answer = post(port, "/api/jobs", {"path": f"one_{number}.yml", "data": {"a": 1}})
        if status != 202:
            raise RuntimeError(f"launch answered {status}: {answer}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(launch, range(total, total + WARM_UP)))
        _wait_for_all(port)
        start = time.perf_counter()
        list(pool.map(launch, range(total)))
    _wait_for_all(port)
    return total / (time.perf_counter() - start)


def _wait_for_all(port: int) -> None:
    """Return when no job is left to run; each look takes time from them, so there are not too many."""
    while any(request(port, "GET", f"/api/jobs?limit=1&state={state}")[1]["jobs"] for state in ("pending", "running")):
        time.sleep(0.02)


def _rate(call: Callable[[int], object], total: int) -> float:
    """Calls a second, made by eight callers."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(call, range(WARM_UP)))
        start = time.perf_counter()
        list(pool.map(call, range(total)))
        return total / (time.perf_counter() - start)
