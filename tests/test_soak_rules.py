"""What the soak looks for is found when it is there."""

from __future__ import annotations

import importlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from named_tests import ROOT
from stores import sqlite_database

SECOND = 1_000_000


@pytest.fixture
def rules(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "soak"))
    return importlib.import_module("rules")


@pytest.fixture
def schedules(rules: Any) -> Any:
    return importlib.import_module("schedules")


@pytest.fixture
def rows(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    sqlite_database(tmp_path / "jobs.sqlite").dispose()
    (tmp_path / "marks").mkdir()
    (tmp_path / "marks" / "steps.txt").touch()
    with closing(sqlite3.connect(tmp_path / "jobs.sqlite", isolation_level=None)) as connection:
        yield connection


def put(rows: sqlite3.Connection, table: str, **values: Any) -> None:
    names, marks = ", ".join(f'"{name}"' for name in values), ", ".join("?" * len(values))
    rows.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(values.values()))


def job(rows: sqlite3.Connection, id: str, status: str = "success", reason: str | None = None, **values: Any) -> None:
    common = {"path": "quick.yml", "revision": "r", "state": "finished", "priority": 0, "source": "api", "epoch": 0}
    common |= {"queued_time": 0, "has_finally": 0, "name": "f", "status": status, "reason": reason}
    rows.execute("PRAGMA foreign_keys = OFF")
    put(rows, "jobs", id=id, **common | values)


def ends(rules: Any, rows: sqlite3.Connection, kind: str = "quick", gone: Any = (), ended: Any = None) -> list[str]:
    counts = SimpleNamespace(add=lambda *_: None)
    return list(rules._ends(rows, {"a": kind}, set(gone), ended or {}, counts))


def test_a_launch_that_was_answered_and_is_not_there_is_found_unless_its_delete_was_not_answered(rules, rows):
    assert ends(rules, rows) == ["job a of quick was answered for and is not there"]
    assert ends(rules, rows, gone="a") == []


@pytest.mark.parametrize(
    ("kind", "status", "reason", "error", "is_right"),
    [
        ("quick", "success", None, "", True),
        ("failing", "success", None, "", False),
        ("failing", "failed", "step_error", "", True),
        ("quick", "failed", "worker_lost", "", True),
        ("quick", "failed", "step_error", "a bug", False),
        ("quick", "failed", "step_error", "there is no room left in the folder", True),
        ("quick", "failed", "timeout", "", False),
        ("endless", "failed", "timeout", "", True),
        ("endless", "success", None, "", False),
    ],
)
def test_an_end_that_nothing_explains_is_found(rules, rows, kind, status, reason, error, is_right):
    job(rows, "a", status, reason, errors=json.dumps([{"error": error}]))

    assert (ends(rules, rows, kind) == []) is is_right


def test_an_end_that_changes_is_found(rules, rows):
    job(rows, "a", "failed", "worker_lost")

    assert ends(rules, rows, ended={"a": ("failed", "worker_lost")}) == []
    assert len(ends(rules, rows, ended={"a": ("success", None)})) == 1


def test_two_jobs_of_one_launch_are_found(rules, rows):
    job(rows, "a", data='{"key": "k"}')
    assert list(rules._keys(rows)) == []

    job(rows, "b", data='{"key": "k"}')
    assert list(rules._keys(rows)) == ["2 jobs were launched under the key k"]


def test_a_step_that_ran_twice_not_at_all_or_by_half_is_found(rules, rows, tmp_path):
    ids = [f"{number:036}" for number in range(2)]
    for id in ids:
        job(rows, id)
    steps, tidied = tmp_path / "marks" / "steps.txt", tmp_path / "marks" / "tidied.txt"

    steps.write_text("".join(f"{id}\n" for id in ids))
    assert list(rules._marks(tmp_path)) == []
    tidied.write_text(f"{ids[0]}\n{ids[0]}\nhalf")
    steps.write_text(f"{ids[0]}\n")

    assert [rule.partition(":")[0] for rule in rules._marks(tmp_path)] == [
        "tidied.txt has a line that is not whole",
        "tidied.txt",
        f"job {ids[1]} of quick.yml succeeded, and has left no mark",
    ]


def test_a_due_time_without_a_verdict_or_a_job_is_found(schedules, rows):
    put(
        rows, "schedules", id="s", path="f", identity="i", every_seconds=1, overlap="skip", misfire="latest",
        source="api", is_paused=0, created_time=0, anchor=0, last_due=0, failures=0,
    )  # fmt: skip
    for number in range(12):
        job(rows, f"j{number}", source="schedule", schedule_id="s")
        put(rows, "slots", schedule_id="s", due_time=number * SECOND, times=1, verdict="fired", tick_time=0,
            job_id=f"j{number}")  # fmt: skip
    assert list(schedules.broken(rows)) == []

    rows.execute("DELETE FROM slots WHERE due_time = ?", [5 * SECOND])
    rows.execute("DELETE FROM jobs WHERE id = 'j8'")

    assert [rule.partition(" of ")[0] for rule in schedules.broken(rows)] == [
        f"schedule s: fired slot {6 * SECOND}..{6 * SECOND} does not go on from {4 * SECOND}",
        f"slot {8 * SECOND}",
        "job j5",
    ]


def test_a_seed_is_behind_every_choice_of_a_soak():
    unseeded = [path.name for path in (ROOT / "tests" / "soak").glob("*.py") if "random.Random()" in path.read_text()]

    assert unseeded == []
