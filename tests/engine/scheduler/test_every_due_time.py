"""Every due time gets exactly one verdict, whatever happens to the ticks: late, killed, under a clock that jumps.

The check is Jepsen's: what was to happen is computed minute by minute and apart from the code, and compared with what
the slots and the jobs say.
"""

from __future__ import annotations

import shutil
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from zoneinfo import ZoneInfo

from clocks import TestClock
from cron_by_minutes import due_minutes
from failing_calls import interrupted
from hypothesis import given, settings
from hypothesis import strategies as st
from stores import upgraded_sqlite

from engine.models.job import JobFilter, State
from engine.models.schedule import Misfire, Overlap, ScheduleFilter, Verdict
from engine.orchestrator import Orchestrator
from engine.settings import Settings

ZONES = ("UTC", "Europe/Brussels", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/Sao_Paulo")
CRONS = ("* * * * *", "*/7 * * * *", "30 2 * * *", "0 * * * *", "15 1-3 * * *", "0 9 * * mon-fri", "5 0 1,29 * 6")
BEGINNINGS = (  # The days before clocks change somewhere.
    datetime(2026, 3, 28, 20, 3, 27, tzinfo=UTC),
    datetime(2026, 10, 24, 20, 3, 27, tzinfo=UTC),
    datetime(2026, 4, 4, 12, 0, tzinfo=UTC),
    datetime(2026, 11, 1, 1, 59, 59, 900000, tzinfo=UTC),
)


@dataclass(frozen=True)
class Made:
    """A schedule of the run."""

    cron: str | None
    every_seconds: int | None
    zone: str
    overlap: Overlap
    misfire: Misfire
    grace: int | None


@st.composite
def schedules(draw: st.DrawFn) -> Made:
    is_cron = draw(st.booleans())
    return Made(
        cron=draw(st.sampled_from(CRONS)) if is_cron else None,
        every_seconds=None if is_cron else draw(st.sampled_from((7, 60, 3600, 5400, 86_400))),
        zone=draw(st.sampled_from(ZONES)),
        overlap=draw(st.sampled_from(Overlap)),
        misfire=draw(st.sampled_from(Misfire)),
        grace=draw(st.sampled_from((None, None, 1, 600, 100_000))),
    )


ACTIONS = st.one_of(
    st.tuples(
        st.just("tick after"), st.sampled_from((0.0, 0.1, 30.0, 59.9, 60.0, 61.0, 600.0, 3601.0, 20_000.0, 90_000.0))
    ),
    st.tuples(st.just("jump"), st.sampled_from((-3600.0, -61.0, -0.5, 3600.0))),
    st.tuples(st.just("killed tick"), st.integers(1, 40)),
    st.tuples(st.just("end jobs"), st.just(0)),
    st.tuples(st.just("pause"), st.integers(0, 2)),
    st.tuples(st.just("pause after missed times"), st.sampled_from((1.0, 61.0, 600.0, 20_000.0))),
    st.tuples(st.just("killed pause"), st.integers(1, 8)),
    st.tuples(st.just("resume"), st.integers(0, 2)),
    st.tuples(st.just("restart"), st.just(0)),
)


class Killed(BaseException):
    """What stands for SIGKILL: nothing in the code catches it."""


@dataclass
class Run:
    """One service's life over a data folder of its own."""

    folder: Path
    clock: TestClock
    latest: datetime = field(init=False)
    """The latest moment at which a tick may have looked."""
    pauses: dict[str, list[datetime]] = field(default_factory=lambda: defaultdict(list))
    """When each schedule was paused that was not, or may have been."""

    def __post_init__(self) -> None:
        (self.folder / "flows").mkdir()
        (self.folder / "jobs.sqlite").write_bytes(upgraded_sqlite())
        self.latest = self.clock.now()
        self.engine = self._open()

    def _open(self) -> Orchestrator:
        return Orchestrator(Settings(data_path=self.folder, retention_days=0, retention_failed_days=0), self.clock)

    def restart(self) -> None:
        self.engine.close()
        self.engine = self._open()

    def tick(self) -> None:
        self.latest = max(self.latest, self.clock.now())
        report = self.engine.tick()
        assert report.errors == []

    def killed_tick(self, statement: int) -> None:
        self.latest = max(self.latest, self.clock.now())
        try:
            with interrupted(self.engine._database, statement, Killed()):
                self.engine.tick()
        except Killed:
            self.restart()

    def pause(self, id: str) -> None:
        self.latest = max(self.latest, self.clock.now())
        if not self.engine.schedule(id).is_paused:
            self.pauses[id].append(self.clock.now())
        self.engine.pause_schedule(id)

    def killed_pause(self, id: str, statement: int) -> None:
        try:
            with interrupted(self.engine._database, statement, Killed()):
                self.pause(id)
        except Killed:
            self.restart()

    def do(self, action: str, value: float, ids: list[str]) -> None:
        match action:
            case "tick after":
                self.clock.pass_by(value)
                self.tick()
            case "jump":
                self.clock.start += timedelta(seconds=value)
            case "killed tick":
                self.clock.pass_by(60)
                self.killed_tick(int(value))
            case "end jobs":
                for job in self.engine.jobs(JobFilter(state=State.PENDING, limit=500)):
                    self.engine.cancel(job.id)
            case "pause":
                self.pause(ids[int(value) % len(ids)])
            case "pause after missed times":
                self.clock.pass_by(value)
                self.pause(ids[0])
            case "killed pause":
                self.clock.pass_by(61)
                self.killed_pause(ids[0], int(value))
            case "resume":
                self.engine.resume_schedule(ids[int(value) % len(ids)])
                self.latest = max(self.latest, self.clock.now())
            case "restart":
                self.restart()


def due_times(made: Made, after: datetime, until: datetime) -> list[datetime]:
    """All due times in (after, until], the slow way."""
    if made.cron is not None:
        return due_minutes(made.cron, ZoneInfo(made.zone), after, until)
    anchor = after.replace(microsecond=0)
    found, due = [], anchor + timedelta(seconds=made.every_seconds)
    while due <= until:
        found.append(due)
        due += timedelta(seconds=made.every_seconds)
    return [due for due in found if due > after]


@settings(max_examples=100, deadline=None)
@given(
    beginning=st.sampled_from(BEGINNINGS),
    made=st.lists(schedules(), min_size=1, max_size=3),
    actions=st.lists(ACTIONS, min_size=1, max_size=14),
)
def test_every_due_time_has_one_verdict(beginning, made, actions):
    folder = Path(mkdtemp(prefix="octoflow-test-"))
    try:
        run = Run(folder, TestClock(beginning))
        ids = []
        for number, each in enumerate(made):
            flow = folder / "flows" / f"{number}.yml"
            flow.write_text("name: f\nsteps:\n  - {name: s, type: set_fact, set_fact: {value: 1}}\n")
            schedule = run.engine.create_schedule(
                flow.name,
                cron=each.cron,
                every_seconds=each.every_seconds,
                timezone=each.zone,
                overlap=each.overlap,
                misfire=each.misfire,
                misfire_grace_seconds=each.grace,
            )
            ids.append(schedule.id)

        for action, value in actions:
            run.do(action, value, ids)
        for id in ids:
            run.engine.resume_schedule(id)
        run.clock.start += max(timedelta(0), run.latest - run.clock.now())  # a clock that was put back arrives again
        run.tick()

        for id, each in zip(ids, made, strict=True):
            check_slots(run, id, each, beginning)
        check_jobs(run)
        run.engine.close()
    finally:
        shutil.rmtree(folder)


def check_slots(run: Run, id: str, made: Made, created: datetime) -> None:
    """The verdicts cover what was due, each due time once."""
    due = due_times(made, created, run.latest)
    slots = run.engine.slots(id, 500)
    covered: Counter[datetime] = Counter()
    for slot in slots:
        first = slot.first_due_time or slot.due_time
        inside = [moment for moment in due if first <= moment <= slot.due_time]
        assert len(inside) == slot.count, slot
        covered.update(inside)
    assert covered == Counter(due)
    assert all(slot.reason for slot in slots if slot.verdict is not Verdict.FIRED)
    assert all(slot.count == 1 for slot in slots if slot.verdict is Verdict.FIRED)
    for slot in slots:
        if slot.verdict is Verdict.PAUSED:
            first = slot.first_due_time or slot.due_time
            assert any(pause < first and slot.due_time <= slot.tick_time for pause in run.pauses[id]), slot


def check_jobs(run: Run) -> None:
    """One job for each due time that was fired, and no flow with two that may run."""
    jobs = run.engine.jobs(JobFilter(limit=500))
    schedules = run.engine.schedules(ScheduleFilter(limit=500))
    fired = [
        slot.job_id
        for schedule in schedules
        for slot in run.engine.slots(schedule.id, 500)
        if slot.verdict is Verdict.FIRED
    ]
    assert Counter(job.id for job in jobs) == Counter(fired)
    active = Counter(job.path for job in jobs if job.state is State.PENDING)
    assert all(count == 1 for count in active.values())
    waiting = Counter(job.path for job in jobs if job.state is State.BLOCKED)
    assert all(count == 1 and active[path] == 1 for path, count in waiting.items())
