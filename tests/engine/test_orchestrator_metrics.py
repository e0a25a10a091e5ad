"""The numbers for a monitor, at moments of the test's choice."""

from __future__ import annotations

import pytest
from clocks import TestClock
from engines import engines, folder_with
from flows import QUICK

from engine.orchestrator.metrics import LATE


@pytest.fixture
def clock():
    return TestClock()


@pytest.fixture
def engine(tmp_path, clock):
    with engines(folder_with({"quick.yml": QUICK}, tmp_path), clock, flow_max_workers=0) as make:
        yield make()


def test_a_schedule_is_overdue_when_a_clock_of_each_minute_has_let_it_wait(engine, clock):
    engine.create_schedule("quick.yml", every_seconds=3600)
    seen = []

    for seconds in (3600, LATE.total_seconds(), 1):
        clock.pass_by(seconds)
        seen.append(engine.metrics()["octoflow_schedules_overdue"][""])

    assert seen == [0, 0, 1]
