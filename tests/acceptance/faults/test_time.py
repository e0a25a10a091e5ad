"""Faults of time, by their numbers: ticks that come doubled, late or not at all, and clocks that change."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from clocks import TestClock

from engine.clock import new_id
from engine.errors import RequestInvalid
from engine.models.job import JobFilter, NewJob, State
from engine.models.schedule import Overlap, Slot, Verdict
from engine.orchestrator import Orchestrator
from engine.settings import Settings

FLOW = "name: f\nsteps:\n  - {name: s, type: set_fact, set_fact: {value: 1}}\n"
FREE = FLOW.replace("name: f\n", "name: f\nmax_concurrent: unlimited\n", 1)
BRUSSELS = "Europe/Brussels"
MIDDAY = datetime(2026, 3, 15, 12, 0, tzinfo=UTC)


class House:
    """An engine over a data folder, whose clock the test moves; its jobs wait for a service that is not there."""

    def __init__(self, folder: Path, start: datetime) -> None:
        self.clock = TestClock(start)
        self.settings = Settings(data_path=folder, retention_days=0, retention_failed_days=0)
        (folder / "flows").mkdir(exist_ok=True)
        self.engine = Orchestrator(self.settings, self.clock)

    def schedule(self, name: str = "flow.yml", text: str = FREE, **fields: Any) -> str:
        (self.settings.flows_path / name).write_text(text)
        return self.engine.create_schedule(name, **fields).id

    def slots(self, id: str) -> list[Slot]:
        """Oldest first."""
        return self.engine.slots(id, 500)[::-1]

    def fired(self, id: str) -> list[datetime]:
        return [slot.due_time for slot in self.slots(id) if slot.verdict is Verdict.FIRED]

    def jobs(self) -> int:
        return self.engine.count_jobs(JobFilter())

    def tick_each_minute(self, hours: float) -> None:
        for _ in range(int(hours * 60)):
            self.clock.pass_by(60)
            assert self.engine.tick().errors == []


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Callable[..., House]]:
    made: list[House] = []

    def build(start: datetime = MIDDAY) -> House:
        made.append(House(tmp_path, start))
        return made[-1]

    yield build
    for each in made:
        each.engine.close()


def test_row_34_eight_ticks_at_once_fire_each_due_time_once(house):
    """Threads here; test_ticks_at_once.py has processes and the other databases."""
    home = house()
    ids = [home.schedule(f"{n}.yml", every_seconds=60) for n in range(100)]
    home.clock.pass_by(61)
    barrier = Barrier(8)

    def tick() -> Any:
        barrier.wait(20)
        return home.engine.tick()

    with ThreadPoolExecutor(8) as pool:
        reports = [answer.result() for answer in [pool.submit(tick) for _ in range(8)]]

    assert [report.errors for report in reports] == [[]] * 8
    assert sum(report.fired for report in reports) == 100
    assert home.jobs() == 100
    assert all(len(home.slots(id)) == 1 for id in ids)


def test_row_35_a_tick_that_is_repeated_fires_nothing_more(house):
    home = house()
    home.schedule(cron="* * * * *")
    home.clock.pass_by(60)

    first, second = home.engine.tick(), home.engine.tick()

    assert (first.fired, second.fired, second.missed) == (1, 0, 0)
    assert home.jobs() == 1


def test_row_36_three_hours_without_a_tick_are_one_run_and_179_missed(house, caplog):
    home = house()
    id = home.schedule(cron="* * * * *")
    home.clock.pass_by(3 * 3600)

    with caplog.at_level(logging.WARNING):
        report = home.engine.tick()

    assert (report.fired, report.missed) == (1, 179)
    assert home.fired(id) == [MIDDAY + timedelta(hours=3)]
    assert home.slots(id)[0].count == 179
    assert "179 due times" in caplog.text


def test_row_37_two_years_without_a_tick_cost_no_more_rows_than_an_hour(house):
    home = house()
    id = home.schedule(cron="* * * * *")
    home.clock.pass_by(2 * 365 * 86_400)

    report = home.engine.tick()

    assert (report.fired, report.missed) == (1, 2 * 365 * 1440 - 1)
    assert len(home.slots(id)) == 2


@pytest.mark.parametrize("late", [0.0, 0.9, 30.0, 59.0, 59.9])
def test_row_38_a_late_tick_sees_the_minute_all_the_same(house, late):
    home = house()
    id = home.schedule(cron="*/2 * * * *")
    home.clock.pass_by(late)

    home.tick_each_minute(0.2)

    assert home.fired(id) == [MIDDAY + timedelta(minutes=minute) for minute in (2, 4, 6, 8, 10, 12)]


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_row_39_a_clock_that_jumps_fires_nothing_twice(house, jump):
    home = house()
    id = home.schedule(cron="* * * * *")
    home.tick_each_minute(0.1)

    home.clock.start += timedelta(seconds=jump)
    home.tick_each_minute(0.1)
    home.clock.start -= timedelta(seconds=jump)
    home.tick_each_minute(2)

    assert len(set(home.fired(id))) == len(home.fired(id)) == home.jobs()
    covered = sum(slot.count for slot in home.slots(id))
    assert covered == (home.slots(id)[-1].due_time - MIDDAY) / timedelta(minutes=1)


def test_row_40_a_time_that_does_not_exist_runs_at_the_next_minute_that_does(house):
    home = house(datetime(2026, 3, 28, 23, 30, tzinfo=UTC))
    id = home.schedule(cron="30 2 * * *", timezone=BRUSSELS)

    home.tick_each_minute(4)

    assert home.fired(id) == [datetime(2026, 3, 29, 1, 0, tzinfo=UTC)]  # 03:00 there


def test_row_41_a_fixed_time_that_exists_twice_runs_once_and_an_interval_each_real_half_hour(house):
    home = house(datetime(2026, 10, 24, 23, 45, tzinfo=UTC))
    fixed = home.schedule("fixed.yml", cron="30 2 * * *", timezone=BRUSSELS)
    interval = home.schedule("interval.yml", cron="*/30 * * * *", timezone=BRUSSELS)

    home.tick_each_minute(2.5)

    midnight = datetime(2026, 10, 25, tzinfo=UTC)
    assert home.fired(fixed) == [midnight + timedelta(minutes=30)]
    assert home.fired(interval) == [midnight + timedelta(minutes=30 * n) for n in range(5)]


@pytest.mark.parametrize("cron", ["61 99 * * *", "0 0 30 2 *", "R R * * *", "* * * * * *", "H * * * *", "", "@reboot"])
def test_row_42_a_cron_that_is_wrong_or_never_due_is_refused(house, cron):
    home = house()

    with pytest.raises(RequestInvalid, match="cron"):
        home.schedule(cron=cron)


def test_row_43_a_broken_schedule_is_told_and_tried_ever_more_seldom_while_others_run(house):
    home = house()
    gone, bad, well = (home.schedule(f"{name}.yml", cron="* * * * *") for name in ("gone", "bad", "well"))
    (home.settings.flows_path / "gone.yml").unlink()
    with closing(sqlite3.connect(home.settings.jobs_db_path)) as connection, connection:
        connection.execute("UPDATE schedules SET misfire = 'nonsense' WHERE id = ?", (bad,))

    reports = []
    for _ in range(30):
        home.clock.pass_by(60)
        reports.append(home.engine.tick())

    assert len(home.fired(well)) == 30
    assert any("gone.yml" in error for error in reports[0].errors)
    assert any(bad in error for error in reports[0].errors)
    assert sum(bool(report.errors) for report in reports) < 10
    schedule = home.engine.schedule(gone)
    assert "gone.yml" in (schedule.last_error or "")
    assert {slot.verdict for slot in home.slots(gone)} <= {Verdict.LAUNCH_FAILED, Verdict.COALESCED}

    (home.settings.flows_path / "gone.yml").write_text(FREE)
    home.engine.delete_schedule(bad)
    home.tick_each_minute(0.5)

    assert home.engine.schedule(gone).last_error is None
    assert home.fired(gone)


def test_row_44_a_flow_that_still_runs_is_skipped_with_the_reason(house):
    home = house()
    id = home.schedule(text=FLOW, cron="* * * * *")

    home.tick_each_minute(0.05)

    first, *others = home.slots(id)
    assert first.verdict is Verdict.FIRED
    assert {slot.verdict for slot in others} == {Verdict.SKIPPED_RUNNING}
    assert all(first.job_id in (slot.reason or "") for slot in others)
    assert home.engine.schedule(id).last_slot == others[-1]
    assert home.jobs() == 1


def test_row_44_or_one_run_waits_and_further_ones_are_coalesced(house):
    home = house()
    id = home.schedule(text=FLOW, cron="* * * * *", overlap=Overlap.QUEUE)

    home.tick_each_minute(0.05)
    first, second, third = home.slots(id)
    waiting = home.engine.jobs(JobFilter(state=State.BLOCKED))
    home.engine.cancel(first.job_id)

    assert [slot.verdict for slot in (first, second, third)] == [Verdict.FIRED, Verdict.FIRED, Verdict.COALESCED]
    assert [job.id for job in waiting] == [second.job_id]
    assert second.job_id in third.reason
    assert home.engine.job(second.job_id)[0].state is State.PENDING


@pytest.mark.parametrize("seconds", [-5, 0, 10**12])
def test_row_45_an_interval_that_cannot_be_is_refused(house, seconds):
    """True, 1.5 and text are refused where they arrive: test_schedules_through_http.py."""
    home = house()

    with pytest.raises(RequestInvalid, match="every_seconds"):
        home.schedule(every_seconds=seconds)


def test_row_46_a_restart_keeps_schedules_slots_and_what_is_due(house):
    before = house()
    id = before.schedule(cron="0 * * * *", timezone=BRUSSELS)
    before.tick_each_minute(1)
    before.engine.close()

    after = house(before.clock.now() + timedelta(minutes=59.5))
    after.tick_each_minute(1 / 60)

    assert after.fired(id) == [MIDDAY + timedelta(hours=hour) for hour in (1, 2)]


def test_a_data_folder_that_is_away_costs_no_due_time(house):
    """Beside row 43: a volume that is not mounted is no deleted flow; the due time waits for it, within its grace."""
    home = house()
    id = home.schedule(cron="0 13 * * *")
    away = home.settings.flows_path.with_name("elsewhere")
    home.settings.flows_path.rename(away)
    home.clock.pass_by(3600)

    report = home.engine.tick()
    away.rename(home.settings.flows_path)
    home.clock.pass_by(600)
    again = home.engine.tick()

    assert report.fired == 0
    assert "FLOWS_PATH" in report.errors[0]
    assert (again.fired, again.errors) == (1, [])
    assert home.fired(id) == [MIDDAY + timedelta(hours=1)]


def test_ticks_of_processes_of_their_own_go_on_where_the_last_one_ended(tmp_path):
    """`octoflow tick` begins anew each minute: how far it has pruned is in the database."""
    settings = Settings(data_path=tmp_path, retention_jobs_per_flow=1)
    clock = TestClock(MIDDAY)
    jobs = 0
    for round in range(3):
        engine = Orchestrator(settings, clock)
        if round == 0:
            for number in range(60):
                for _ in range(2):
                    id = new_id(clock.now())
                    engine._jobs.insert(NewJob(id=id, path=f"{number}.yml", name="f", revision="r"), clock.now())
                    engine._jobs.cancel(id, clock.now())
        assert engine.tick().errors == []
        jobs = engine.count_jobs(JobFilter())
        engine.close()

    assert jobs == 60
