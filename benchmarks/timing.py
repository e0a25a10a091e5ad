"""What a row of the table is, and how its numbers are taken."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

Row = tuple[str, str, str, float, str]
"""Figure, measured, floor, ratio, goal."""


def beside(figure: str, ours: float, floor: float, goal: str, unit: str = "ms") -> Row:
    """A row of two numbers of one unit."""
    return figure, f"{_short(ours)} {unit}", f"{_short(floor)} {unit}", ours / floor, goal


def median_ms(call: Callable[[], object], rounds: int, warm_up: int = 3) -> float:
    """Milliseconds by the clock on the wall: for what waits."""
    return _median(call, rounds, warm_up, time.perf_counter)


def medians_ms(ours: Callable[[], object], floor: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Both in turns, so that a busy moment of the machine is in both."""
    times = [(median_ms(ours, 1, 0), median_ms(floor, 1, 0)) for _ in range(20 + rounds)][20:]
    return statistics.median(each for each, _ in times), statistics.median(each for _, each in times)


def median_cpu_ms(call: Callable[[], object], rounds: int, warm_up: int = 3) -> float:
    """Milliseconds of this process's own work, which a busy neighbour does not lengthen: for what computes."""
    return _median(call, rounds, warm_up, time.process_time)


def _median(call: Callable[[], object], rounds: int, warm_up: int, clock: Callable[[], float]) -> float:
    for _ in range(warm_up):
        call()
    times = []
    for _ in range(rounds):
        begun = clock()
        call()
        times.append(clock() - begun)
    return statistics.median(times) * 1000


def _short(number: float) -> str:
    digits = 3 if number < 1 else 2 if number < 100 else 0
    return f"{number:.{digits}f}"
