"""The figures of single answers: one job, and a launch when a million jobs have ended."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ended_jobs import fill
from serving import floor, launch_and_wait, octoflow, post, request
from timing import Row, beside

ONE_STEP = "name: one step {n}\nsteps:\n  - name: pick\n    type: jq\n    jq: {{expression: '.a + 1'}}\n"


def figures(folder: Path, quick: bool) -> Iterator[Row]:
    """A job that has ended, beside a bare function; a launch in a full table, beside an empty one."""
    rounds = 100 if quick else 400
    empty = _data(folder / "empty")
    with octoflow(empty) as port, floor("hello", folder) as bare:
        id = post(port, "/api/jobs", {"path": "one_0.yml", "data": {"a": 1}})[1]["job_id"]
        _wait(port, id)
        ours, hello = in_turns(
            lambda: request(port, "GET", f"/api/jobs/{id}"), lambda: request(bare, "GET", "/"), rounds
        )
        yield beside("GET /api/jobs/{id}, p50", ours, hello, "<= 1.5")
    if quick:
        return
    full = _data(folder / "full")
    fill(full / "jobs.sqlite", 1_000_000)
    with octoflow(empty) as port, octoflow(full) as other:
        ours, alone = in_turns(lambda: launch_and_wait(other, 0), lambda: launch_and_wait(port, 0), rounds)
        yield beside("launch to finished, 1000000 ended jobs", ours, alone, "<= 1.1")


def in_turns(one: Callable[[], object], other: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Medians of both in milliseconds, measured one after the other, so that a busy moment falls on both."""
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds + 20):
        for call, seen in zip((one, other), times, strict=True):
            begun = time.perf_counter()
            call()
            if turn >= 20:
                seen.append(time.perf_counter() - begun)
    return statistics.median(times[0]) * 1000, statistics.median(times[1]) * 1000


def _data(path: Path) -> Path:
    (path / "flows").mkdir(parents=True)
    (path / "flows" / "one_0.yml").write_text(ONE_STEP.format(n=0))
    return path


def _wait(port: int, id: str) -> None:
    while request(port, "GET", f"/api/jobs/{id}")[1]["state"] != "finished":
        time.sleep(0.005)
