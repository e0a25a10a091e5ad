"""Many clocks, many processes, some of them killed: each due time is fired once."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from clocks import TestClock
from databases import scratch_database

from engine.clock import Clock
from engine.models.job import JobFilter
from engine.models.schedule import ScheduleFilter, Verdict
from engine.orchestrator import Orchestrator
from engine.settings import Settings

FLOW = "name: f\nsteps:\n  - {name: s, type: set_fact, set_fact: {value: 1}}\n"
TICK_ONCE = """
import json, sys
from engine.orchestrator import Orchestrator
engine = Orchestrator.from_environment()
engine.jobs  # the front door is open
print("ready", flush=True)
sys.stdin.readline()
print(json.dumps(engine.tick().to_json()), flush=True)
engine.close()
"""
TICK_ON_AND_ON = """
from engine.orchestrator import Orchestrator
engine = Orchestrator.from_environment()
while True:
    engine.tick()
"""


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def environment(request, tmp_path) -> Iterator[dict[str, str]]:
    """An empty data folder on one of the databases."""
    (tmp_path / "flows").mkdir()
    variables = {"DATA_PATH": str(tmp_path), "PATH": os.environ["PATH"]}
    if request.param == "sqlite":
        yield variables
        return
    uris = scratch_database(request.param)
    yield {**variables, "SQLALCHEMY_DATABASE_URI": next(uris)}
    next(uris, None)


def engine_of(environment: dict[str, str], clock: Clock | None = None) -> Orchestrator:
    return Orchestrator(Settings.from_environment(environment), clock)


def python(script: str, environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_eight_ticks_at_once_fire_a_hundred_due_schedules_once_each(environment):
    an_hour_ago = TestClock(Clock().now() - timedelta(hours=1))
    engine = engine_of(environment, an_hour_ago)
    for number in range(100):
        (Path(environment["DATA_PATH"]) / "flows" / f"{number}.yml").write_text(FLOW)
        engine.create_schedule(f"{number}.yml", every_seconds=3000)  # due once since then
    ticks = [python(TICK_ONCE, environment) for _ in range(8)]
    for tick in ticks:
        assert tick.stdout.readline() == "ready\n"

    for tick in ticks:
        tick.stdin.write("go\n")
        tick.stdin.flush()
    reports = [json.loads(tick.communicate(timeout=60)[0]) for tick in ticks]

    slots = [slot for each in engine.schedules(ScheduleFilter(limit=500)) for slot in engine.slots(each.id, 10)]
    assert [report["errors"] for report in reports] == [[]] * 8
    assert sum(report["fired"] for report in reports) == 100
    assert [slot.verdict for slot in slots] == [Verdict.FIRED] * 100
    assert {slot.job_id for slot in slots} == {job.id for job in engine.jobs(JobFilter(limit=500))}
    assert engine.count_jobs(JobFilter()) == 100
    engine.close()


def test_ticks_that_are_killed_leave_no_due_time_without_a_verdict_or_with_two(environment):
    engine = engine_of(environment)
    names = [f"{number}.yml" for number in range(8)]
    for name in names:
        (Path(environment["DATA_PATH"]) / "flows" / name).write_text(
            FLOW.replace("name: f", "name: f\nmax_concurrent: unlimited")
        )
    schedules = [engine.create_schedule(name, every_seconds=1) for name in names]
    ticks = [python(TICK_ON_AND_ON, environment) for _ in range(3)]
    end = time.monotonic() + 5
    dice = random.Random(8)
    kills = 0

    while time.monotonic() < end:
        time.sleep(dice.uniform(0.2, 0.9))
        victim = dice.randrange(len(ticks))
        os.kill(ticks[victim].pid, signal.SIGKILL)
        ticks[victim].communicate()
        ticks[victim] = python(TICK_ON_AND_ON, environment)
        kills += 1
    for tick in ticks:
        tick.kill()
        tick.communicate()
    report = engine.tick()

    assert kills > 3
    assert report.errors == []
    fired = 0
    for schedule in schedules:
        slots = engine.slots(schedule.id, 500)[::-1]
        expected = schedule.timing.anchor + timedelta(seconds=1)
        for slot in slots:
            assert (slot.first_due_time or slot.due_time) == expected
            assert slot.count == (slot.due_time - expected).total_seconds() + 1
            expected = slot.due_time + timedelta(seconds=1)
        fired += sum(slot.verdict is Verdict.FIRED for slot in slots)
        assert expected > engine.clock.now() - timedelta(seconds=3)
    assert fired == engine.count_jobs(JobFilter())
    engine.close()
