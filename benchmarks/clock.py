"""The clock's figures: what a tick costs, beside the SQL alone through sqlite3."""

from __future__ import annotations

import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

from timing import Row

from engine.clock import Clock, to_micros
from engine.models.schedule import ScheduleFilter
from engine.orchestrator import Orchestrator
from engine.settings import Settings

FLOWS = 1000
FREE = "name: free {n}\nmax_concurrent: unlimited\nsteps:\n  - {{name: s, type: set_fact, set_fact: {{value: 1}}}}\n"
DUE_AT_ONCE = 30_000


class HeldClock(Clock):
    """Stands still unless it is moved."""

    def __init__(self) -> None:
        self.moment = super().now().replace(microsecond=0)

    def now(self):
        return self.moment


def figures(folder: Path, quick: bool) -> Iterator[Row]:
    """Every figure of the clock, one after another."""
    data = folder / "clock"
    (data / "flows").mkdir(parents=True)
    for n in range(FLOWS):
        (data / "flows" / f"free_{n}.yml").write_text(FREE.format(n=n))
    clock = HeldClock()
    engine = Orchestrator(Settings(data_path=data, retention_days=0, retention_failed_days=0), clock)
    try:
        yield from _ticks(engine, clock, rounds=5 if quick else 21)
        yield from _due_at_once(engine, clock, 1000)
        if not quick:
            yield from _due_at_once(engine, clock, DUE_AT_ONCE)
    finally:
        engine.close()


def _ticks(engine: Orchestrator, clock: HeldClock, rounds: int) -> Iterator[Row]:
    """A tick with ten due of 100, of 10 000 and of 100 000; creating one; a tick with none due."""
    ten_due = {}
    numbers = iter(range(FLOWS))
    made = _median_ms(lambda: engine.create_schedule(f"free_{next(numbers)}.yml", every_seconds=60), 90)
    yield "create a schedule", f"{made:.2f} ms", "10 ms", made / 10, "<= 1.0"
    _remove_schedules(engine)
    for total in (100, 10_000, 100_000):
        _fill(engine, clock, total - _count(engine), 86_400)

        _make_due(engine, clock, 10)
        engine.tick()
        times = []
        for _ in range(rounds):
            _make_due(engine, clock, 10)
            begun = time.perf_counter()
            report = engine.tick()
            times.append(time.perf_counter() - begun)
            assert report.fired == 10, report
        ten_due[total] = statistics.median(times) * 1000
    for total in (10_000, 100_000):
        ratio = ten_due[total] / ten_due[100]
        yield f"tick, 10 due of {total}", f"{ten_due[total]:.2f} ms", f"{ten_due[100]:.2f} ms", ratio, "<= 1.5"

    def tick_a_minute_later() -> None:
        clock.moment += timedelta(minutes=1)  # Or the mark of the tick would be as it was, and not be written.
        engine.tick()

    none_due = _median_ms(tick_a_minute_later, rounds * 5)
    with sqlite3.connect(engine.settings.jobs_db_path) as connection:
        now = to_micros(clock.now())
        select = "SELECT id FROM schedules WHERE next_due <= ? ORDER BY next_due LIMIT 200"
        floor = _median_ms(lambda: connection.execute(select, (now,)).fetchall(), 500)
    connection.close()
    yield "tick, none due of 100000", f"{none_due:.3f} ms", f"{floor:.4f} ms", none_due / floor, "<= 10"
    yield "tick, none due of 100000, in ms", f"{none_due:.3f} ms", "10 ms", none_due / 10, "<= 1.0"


def _due_at_once(engine: Orchestrator, clock: HeldClock, count: int) -> Iterator[Row]:
    """So many due in one minute, each with its job; the floor is one batched INSERT and UPDATE of the same rows."""
    _remove_schedules(engine)
    _fill(engine, clock, count, 60)
    floor = _floor_ms(engine, clock, count)
    clock.moment += timedelta(seconds=60)
    begun = time.perf_counter()
    report = engine.tick()
    spent = (time.perf_counter() - begun) * 1000
    assert report.fired == count, report
    yield f"{count} due at once", f"{spent:.0f} ms", f"{floor:.0f} ms", spent / floor, "<= 3.0"
    if count == 1000:
        yield "1000 due at once, in s", f"{spent / 1000:.2f} s", "2 s", spent / 2000, "<= 1.0"


def _floor_ms(engine: Orchestrator, clock: HeldClock, count: int) -> float:
    """A job row, a slot row and an updated schedule row each, written by executemany in one transaction, taken back."""
    connection = sqlite3.connect(engine.settings.jobs_db_path, isolation_level=None)
    ids = [id for (id,) in connection.execute("SELECT id FROM schedules")]
    now = to_micros(clock.now())
    jobs = [(f"floor-{n}", "p", "r", "pending", 0, "schedule", id, 0, now, False, "n") for n, id in enumerate(ids)]
    begun = time.perf_counter()
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(
        "INSERT INTO jobs (id, path, revision, state, priority, source, schedule_id, epoch, queued_time, has_finally,"
        " name) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        jobs,
    )
    connection.executemany(
        "INSERT INTO slots (schedule_id, due_time, times, verdict, tick_time, job_id) VALUES (?, ?, 1, 'fired', ?, ?)",
        [(id, now, now, f"floor-{n}") for n, id in enumerate(ids)],
    )
    connection.executemany(
        "UPDATE schedules SET last_due = ?, next_due = ?, last_job_id = ? WHERE id = ?",
        [(now, now + 60_000_000, f"floor-{n}", id) for n, id in enumerate(ids)],
    )
    connection.execute("ROLLBACK")
    spent = time.perf_counter() - begun
    connection.close()
    return spent * 1000


def _fill(engine: Orchestrator, clock: HeldClock, count: int, every_seconds: int) -> None:
    """So many further schedules, made by copying one that the engine made."""
    if count <= 0:
        return
    begin = _count(engine)
    name = f"from_{begin}_each_{every_seconds}.yml"
    (engine.settings.flows_path / name).write_text(FREE.format(n=begin))
    first = engine.create_schedule(name, every_seconds=every_seconds)
    connection = sqlite3.connect(engine.settings.jobs_db_path)
    columns = [row[1] for row in connection.execute("PRAGMA table_info(schedules)")]
    found = connection.execute("SELECT * FROM schedules WHERE id = ?", (first.id,)).fetchone()
    row = dict(zip(columns, found, strict=True))
    rows = [
        tuple((row | {"id": f"s-{begin + n}", "identity": f"i-{begin + n}", "path": f"free_{n % FLOWS}.yml"}).values())
        for n in range(1, count)
    ]
    with connection:
        connection.executemany(f"INSERT INTO schedules VALUES ({', '.join('?' * len(columns))})", rows)
    connection.close()


def _make_due(engine: Orchestrator, clock: HeldClock, count: int) -> None:
    """Let the last due time of so many schedules be now."""
    connection = sqlite3.connect(engine.settings.jobs_db_path)
    clock.moment += timedelta(seconds=1)
    now = to_micros(clock.now())
    with connection:
        connection.execute(
            "UPDATE schedules SET next_due = ?, last_due = ?, anchor = ?"
            " WHERE id IN (SELECT id FROM schedules LIMIT ?)",
            (now, now - 86_400_000_000, now - 86_400_000_000, count),
        )
    connection.close()


def _remove_schedules(engine: Orchestrator) -> None:
    connection = sqlite3.connect(engine.settings.jobs_db_path)
    with connection:
        for table in ("slots", "schedules", "jobs"):
            connection.execute(f"DELETE FROM {table}")
    connection.close()


def _count(engine: Orchestrator) -> int:
    return engine.count_schedules(ScheduleFilter())


def _median_ms(call: Callable[[], object], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return statistics.median(times) * 1000
