"""Expressions that do not compile, at the front door: who is told, what it costs, and who never compiles anything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from threading import Barrier, Thread

import pytest
from clocks import TestClock
from engines import engines, folder_with
from flows import QUICK

from engine.errors import DocumentInvalid, Draining, Unavailable
from engine.executors.children import ChildPool, ForkServer
from engine.models.job import JobFilter, Outcome, State, Status
from engine.models.schedule import ScheduleFilter

ROOT = Path(__file__).resolve().parents[2]
GOOD = "name: good\nsteps:\n- {name: n, type: jq, jq: {expression: '1 + 1'}}\n"
FAULTY = (
    "name: faulty\nsteps:\n"
    "- {name: syntax, type: jq, jq: {expression: '.a | '}}\n"
    "- {name: filter, type: exit, exit: {message: '{{ a | uper }}'}}\n"
    "- {name: unread, type: goto, goto: {step_nam: x}}\n"
)
EATS = "steps:\n- {name: eats, type: jq, jq: {expression: '\"x\" * 2000000000'}}\n"


@pytest.fixture
def data(tmp_path):
    flows = {"quick.yml": QUICK, "good.yml": GOOD, "faulty.yml": FAULTY, "eats.yml": EATS}
    return folder_with(flows, tmp_path / "data")


@pytest.fixture
def make(data):
    with engines(data, flow_max_workers=0, grace_seconds=5) as make:
        yield make


@pytest.fixture
def spawned(monkeypatch):
    """Every process that was started for jobs or checks."""
    spawned, spawn = [], ForkServer.spawn
    monkeypatch.setattr(ForkServer, "spawn", lambda self: (spawned.append(spawn(self)), spawned[-1])[1])
    return spawned


@pytest.fixture
def taken(monkeypatch):
    """Every process that was used."""
    taken, take = [], ChildPool.take
    monkeypatch.setattr(ChildPool, "take", lambda self: (taken.append(take(self)), taken[-1])[1])
    return taken


def problems(ask) -> list[tuple[str, str, int]]:
    with pytest.raises(DocumentInvalid) as caught:
        ask()
    return [(problem.code, problem.path, problem.line) for problem in caught.value.problems]


TOLD = [
    ("expression", "steps.0.jq.expression", 3),
    ("expression", "steps.1.exit.message", 4),
    ("missing_key", "steps.2.goto.step_name", 5),
    ("unknown_key", "steps.2.goto.step_nam", 5),
]


def test_a_launch_tells_every_problem_at_once(make):
    engine = make()

    assert problems(lambda: engine.launch("faulty.yml")) == TOLD
    assert engine.jobs(JobFilter()) == []


def test_a_schedule_of_such_a_document_is_not_made(make):
    engine = make()

    assert problems(lambda: engine.create_schedule("faulty.yml", cron="* * * * *")) == TOLD
    assert engine.schedules(ScheduleFilter()) == []


def test_a_run_on_the_terminal_is_refused_as_well(make):
    engine = make()

    assert problems(lambda: engine.run("faulty.yml")) == TOLD


def test_a_launch_that_would_take_all_memory_is_refused_and_the_next_one_is_served(make):
    engine = make()

    assert problems(lambda: engine.launch("eats.yml")) == [("expression", "steps.0.jq.expression", 2)]
    assert problems(lambda: engine.launch("eats.yml")) == [("expression", "steps.0.jq.expression", 2)]

    _, outcome = engine.run("good.yml")
    assert isinstance(outcome, Outcome)
    assert outcome.status == Status.SUCCESS


def test_an_edit_is_judged_anew(make, data):
    engine = make()
    engine.launch("good.yml")

    (data / "flows" / "good.yml").write_text(GOOD.replace("1 + 1", "1 + ("))

    assert problems(lambda: engine.launch("good.yml")) == [("expression", "steps.0.jq.expression", 3)]


def test_a_flow_that_was_broken_later_is_a_slot_that_says_so(make, data):
    clock = TestClock()
    engine = make(clock)
    schedule = engine.create_schedule("good.yml", every_seconds=60)
    (data / "flows" / "good.yml").write_text(GOOD.replace("1 + 1", "1 + ("))
    clock.pass_by(60)

    engine.tick()

    [slot] = engine.slots(schedule.id, 10)
    assert slot.verdict == "launch_failed"
    assert "syntax error" in (slot.reason or "")


def test_a_repeated_launch_uses_no_process(make, taken):
    engine = make()
    engine.launch("good.yml")
    engine.cancel(engine.jobs(JobFilter())[0].id)

    engine.launch("good.yml")

    assert len(taken) == 1


def test_another_engine_finds_the_verdict_in_the_database(make, taken):
    first = make()
    first.cancel(first.launch("good.yml"))

    other = make()
    other.launch("good.yml")

    assert len(taken) == 1
    assert len(other.jobs(JobFilter())) == 2


def test_a_flow_without_expressions_starts_no_process(make, spawned):
    make().launch("quick.yml")

    assert spawned == []


@pytest.mark.parametrize("error", [Unavailable("No process for a job could be started."), Draining("Shutting down.")])
def test_a_launch_is_let_through_when_no_process_can_be_had_and_judged_when_one_can(make, data, monkeypatch, error):
    bad = GOOD.replace("1 + 1", "1 + (").replace("name: good\n", "name: good\nmax_concurrent: 5\n")
    (data / "flows" / "good.yml").write_text(bad)
    engine = make()

    def fail(self):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(ForkServer, "spawn", fail)
        engine.launch("good.yml")

    assert [job.state for job in engine.jobs(JobFilter())] == [State.PENDING]
    assert problems(lambda: engine.launch("good.yml")) == [("expression", "steps.0.jq.expression", 4)]


def test_launches_at_the_same_moment_agree(make):
    engine = make()
    start, found = Barrier(8), []

    def launch() -> None:
        start.wait(20)
        found.append(problems(lambda: engine.launch("faulty.yml")))

    threads = [Thread(target=launch) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert found == [TOLD] * 8


def test_the_process_that_launches_imports_no_jq(data):
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from engine.errors import DocumentInvalid\n"
        "from engine.orchestrator import Orchestrator\n"
        "from engine.settings import Settings\n"
        "engine = Orchestrator(Settings(data_path=Path(sys.argv[1]), flow_max_workers=0))\n"
        "engine.launch('good.yml')\n"
        "for path in ('faulty.yml', 'eats.yml'):\n"
        "    try:\n"
        "        engine.launch(path)\n"
        "    except DocumentInvalid as error:\n"
        "        print(len(error.problems))\n"
        "engine.close()\n"
        "print(*sorted({'jq', 'jinja2', '_jq'} & set(sys.modules)))\n"
    )

    run = subprocess.run(
        [sys.executable, "-c", script, str(data)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )

    assert run.stdout.split() == ["4", "1"]
