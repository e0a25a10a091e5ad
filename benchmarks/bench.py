"""`make bench`: figures beside their floors, measured in the same run. Trust the ratios; the machine is shared.

Prints one table: figure, measured, floor, ratio, goal, verdict. `make bench SHORT=1` is what CI runs.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

import answers
import clock
import documents
import launches
import lists
import loops
import memory
import steps
from timing import Row

THEMES = (steps, documents, loops, memory, answers, launches, lists, clock)
TABLE = "{:<66} {:>10} {:>10} {:>7} {:>8}  {}"
LEFT_OUT = {
    "flow_loop, 200 calls": "it waits for a peer, and for whoever shares the machine",
    "flow_loop, 10000 items": "half a minute for a number that hardly changes",
    "launch to finished, 1000000 ended jobs": "filling the table takes a minute",
    "30000 due at once": "half a minute for what 1000 show as well",
}
"""What the short form does not measure, and why."""
NOT_JUDGED = {
    "cold start": "three starts of a process, on a machine that others use, differ by half",
    "finished jobs/s": "nine threads and two processes on two cores",
    "tick, none due of 100000": "its floor is four microseconds",
    "1000 due at once": "one commit of thousands of rows waits for the disk, and its floor does not",
    "memory": "pages that processes share are counted in parts, which depend on who else runs",
}
"""What the short form shows, but never fails by, and why."""


def main() -> int:
    """Measure every figure; the short form fails on a ratio of twice its goal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="fewer rounds, and fail on a ratio of twice its goal")
    parser.add_argument("themes", nargs="*", help=f"only these: {', '.join(theme.__name__ for theme in THEMES)}")
    options = parser.parse_args()
    chosen = [theme for theme in THEMES if theme.__name__ in options.themes or not options.themes]
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {time.strftime('%F')}\n")
    print(TABLE.format("figure", "measured", "floor", "ratio", "goal", ""))
    far = 0
    with tempfile.TemporaryDirectory(prefix="octoflow-bench-") as folder:
        for theme in chosen:
            for row in theme.figures(Path(folder), options.short):
                far += _shown(row) > 2 and not row[0].startswith(tuple(NOT_JUDGED))
    if not options.short:
        return 0
    for what, figures in (("Left out", LEFT_OUT), ("Not judged", NOT_JUDGED)):
        for figure, reason in figures.items():
            print(f"{what}: {figure}: {reason}.")
    if far:
        print(f"{far} figures are over twice their goal.", file=sys.stderr)
    return 1 if far else 0


def _shown(row: Row) -> float:
    """Print the row; how many times its goal it is."""
    figure, measured, floor, ratio, goal = row
    part = ratio / float(goal.strip("<= "))
    print(TABLE.format(figure, measured, floor, f"{ratio:.2f}", goal, "met" if part <= 1 else "MISSED"), flush=True)
    return part


if __name__ == "__main__":
    sys.exit(main())
