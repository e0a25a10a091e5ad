"""What is looked for after every fault is found when it is there."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from invariants import Watch, broken_rules
from stores import sqlite_database

CANARY = "canary/pass word+1&"


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    """A service that has done nothing yet."""
    data = tmp_path / "data"
    data.mkdir()
    sqlite_database(data / "jobs.sqlite").dispose()
    log = tmp_path / "service.log"
    log.write_text("well\n")
    with requests.Session() as session:
        yield Watch(SimpleNamespace(
            data=data, log=log, session=session, launched=[], job_processes=list, text=log.read_text
        ))  # type: ignore[arg-type]  # fmt: skip


def row(watch: Watch, id: str, state: str, **values: Any) -> None:
    """A job as no rule of ours would let it be."""
    columns = {"id": id, "path": "f.yml", "revision": "r", "state": state, "priority": 0, "source": "api", "epoch": 0}
    columns |= {"queued_time": 0, "has_finally": 0, "name": "f", **values}
    with closing(sqlite3.connect(watch.service.data / "jobs.sqlite")) as connection, connection:
        connection.execute(
            "INSERT OR IGNORE INTO documents (revision, path, parts, text) VALUES ('r', 'f.yml', '{}', '')"
        )
        names, marks = ", ".join(f'"{name}"' for name in columns), ", ".join("?" * len(columns))
        connection.execute(f"INSERT INTO jobs ({names}) VALUES ({marks})", list(columns.values()))


def test_nothing_is_found_where_all_is_well(watch):
    row(watch, "ended", "finished", status="success", end_time=1)
    row(watch, "runs", "running", lease_until=1)
    watch.service.launched += ["ended", "runs"]

    assert broken_rules(watch, [CANARY]) == []


def test_two_active_jobs_of_a_flow_are_found(watch):
    row(watch, "a", "running", lease_until=1)
    row(watch, "b", "pending")

    assert broken_rules(watch, []) == ["2 jobs of f.yml are active at once"]


@pytest.mark.parametrize(
    ("state", "values"),
    [("running", {}), ("finished", {}), ("finished", {"status": "success"}), ("pending", {"status": "failed"})],
)
def test_a_launch_that_has_neither_ended_nor_a_lease_is_found(watch, state, values):
    row(watch, "a", state, **values)
    watch.service.launched += ["a", "lost"]

    first, second = broken_rules(watch, [])

    assert first.startswith("job a has neither ended nor a lease")
    assert second == "job lost was answered for and is not there"


def test_a_temporary_file_is_found(watch):
    (watch.service.data / ".tmp-01").touch()

    (rule,) = broken_rules(watch, [])

    assert rule.endswith(".tmp-01 was left behind")


def test_processes_that_are_left_are_found(watch, monkeypatch):
    watch.service.job_processes = lambda: list(range(1, 12))
    monkeypatch.setattr("invariants.children_of", lambda pid: [99] if pid == 7 else [])

    assert broken_rules(watch, []) == [
        "there are 11 job processes for 8 jobs at once",
        "job process 7 has left processes behind",
    ]


@pytest.mark.parametrize(
    "spelled", [CANARY, "canary%2Fpass%20word%2B1%26", "Y2FuYXJ5L3Bhc3Mgd29yZCsxJg==", "Y2FuYXJ5L3Bhc3Mgd29yZCsxJg"]
)
def test_a_secret_is_found_in_any_file_and_in_the_log_but_once(watch, spelled):
    (watch.service.data / "out.bin").write_bytes(b"\0" + spelled.encode() + b"\0")
    with watch.service.log.open("a") as log:
        log.write(f"and {spelled}\n")

    assert len(broken_rules(watch, [CANARY])) == 2
    assert broken_rules(watch, [CANARY]) == []
    assert broken_rules(watch, [CANARY], given=["out.bin"]) == []


def test_a_traceback_and_a_500_are_found(watch):
    watch.service.log.write_text("Traceback (most recent call last):\n")
    response = requests.Response()
    response.status_code, response.url, response._content = 500, "http://x/api/jobs", b"canary"
    response.request = requests.Request("GET", "http://x/api/jobs").prepare()
    for hook in watch.service.session.hooks["response"]:
        hook(response)

    rules = broken_rules(watch, ["canary"])

    assert rules[0] == "GET http://x/api/jobs was answered with 500: b'canary'"
    assert rules[1].endswith("has a traceback")
    assert rules[2] == "the answer to GET http://x/api/jobs holds b'canary'"


def test_a_database_that_is_not_sound_is_found(watch):
    path = watch.service.data / "jobs.sqlite"
    content = bytearray(path.read_bytes())
    for page in range(4096, len(content), 4096):
        content[page : page + 8] = b"\xff" * 8
    path.write_bytes(content)

    assert any("not sound" in rule for rule in broken_rules(watch, []))
