"""The figures of memory: a service that does nothing, and what each running job adds."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

from serving import free_port, post, request, served, start_floor, start_octoflow
from timing import Row

WAITING = "name: wait {n}\nsteps:\n  - {{name: wait, type: sleep, sleep: {{seconds: 60}}}}\n"
JOBS = 4
MOST_MB = 10


def figures(folder: Path, quick: bool) -> Iterator[Row]:
    """Idle after its first answers, then with jobs that wait."""
    data = folder / "memory"
    (data / "flows").mkdir(parents=True)
    for n in range(JOBS):
        (data / "flows" / f"wait_{n}.yml").write_text(WAITING.format(n=n))
    hello = start_floor("hello", port := free_port())
    with served(hello, port, "/"):
        floor = _megabytes(hello.pid, "Pss")
    service = start_octoflow(data, port := free_port())
    with served(service, port, "/healthz"):
        request(port, "GET", "/api/jobs")
        idle = _megabytes(service.pid, "Pss")
        _launch(port, 0)
        with_one = _megabytes(service.pid, "Private_Clean", "Private_Dirty")
        for n in range(1, JOBS):
            _launch(port, n)
        each = (_megabytes(service.pid, "Private_Clean", "Private_Dirty") - with_one) / (JOBS - 1)
    yield "memory, idle service", f"{idle:.1f} MB", f"{floor:.1f} MB", idle / floor, "<= 2.0"
    yield "memory of its own, each running job", f"{each:.1f} MB", f"{MOST_MB} MB", each / MOST_MB, "<= 1.0"


def _launch(port: int, number: int) -> None:
    id = post(port, "/api/jobs", {"path": f"wait_{number}.yml"})[1]["job_id"]
    while not request(port, "GET", f"/api/jobs/{id}")[1]["steps"]:
        time.sleep(0.01)
    time.sleep(0.5)  # What a start leaves behind is given back.


def _megabytes(root: int, *kinds: str) -> float:
    """Of a process and all below it; a page that several share counts in parts with `Pss`, not at all with others."""
    wanted = re.compile(rf"^(?:{'|'.join(kinds)}):\s+(\d+) kB", re.MULTILINE)
    texts = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in _tree(root)]
    return sum(int(size) for text in texts for size in wanted.findall(text)) / 1000


def _tree(pid: int) -> list[int]:
    """A process and all below it."""
    below = [
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]
    return [pid, *(each for child in below for each in _tree(child))]
