"""The audit in the store: rows, filters, pruning, and a launch that is written down together with its job."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from clocks import NOON

from engine.clock import new_id
from engine.errors import FlowRunning
from engine.models.access import Role
from engine.models.audit import AuditFilter, AuditRow, Change
from engine.models.job import JobFilter
from engine.store import audit as audit_module
from engine.store.audit import AuditStore
from engine.store.database import Database


@pytest.fixture
def audit(database: Database) -> AuditStore:
    return AuditStore(database)


def a_row(moment: datetime = NOON, **fields: Any) -> AuditRow:
    values: dict[str, Any] = {"actor": "ci", "role": Role.OPERATOR, "action": "launch_job", "target": "hello.yml"}
    return AuditRow(new_id(moment), moment, Change(**(values | fields)))


def test_a_row_is_read_as_it_was_written(audit):
    row = a_row(result_id="job-1", address="127.0.0.1")

    audit.insert(row)

    assert audit.list(AuditFilter()) == [row]


def test_what_is_too_long_is_cut(audit):
    audit.insert(a_row(target="ä" * 5_000, address="1" * 300, actor="a" * 300, result_id="r" * 50))

    (row,) = audit.list(AuditFilter())

    assert row.change.target == "ä" * 511 + "…"
    assert [len(text) for text in (row.change.address, row.change.actor, row.change.result_id)] == [255, 128, 36]


def test_the_newest_stand_first_and_come_in_pages(audit):
    rows = [a_row(NOON + timedelta(seconds=n)) for n in range(5)]
    for row in rows:
        audit.insert(row)

    assert audit.list(AuditFilter(limit=2)) == [rows[4], rows[3]]
    assert audit.list(AuditFilter(limit=2, offset=4)) == [rows[0]]


def test_rows_are_found_by_who_and_what(audit):
    for actor, action in (("ci", "launch_job"), ("ci", "cancel_job"), ("API_TOKEN", "launch_job")):
        audit.insert(a_row(actor=actor, action=action))

    def found(**fields: Any) -> list[tuple[str, str]]:
        return sorted((row.change.actor, row.change.action) for row in audit.list(AuditFilter(**fields)))

    assert found(actor="ci") == [("ci", "cancel_job"), ("ci", "launch_job")]
    assert found(action="launch_job") == [("API_TOKEN", "launch_job"), ("ci", "launch_job")]
    assert found(actor="CI") == []
    assert found(actor="API_TOKEN", action="cancel_job") == []


def test_rows_are_found_by_when_to_the_microsecond(audit):
    micros = [NOON + timedelta(microseconds=n) for n in (-1, 0, 1, 999, 1000)]
    for moment in micros:
        audit.insert(a_row(moment))

    def found(start: datetime | None, end: datetime | None) -> list[datetime]:
        return sorted(row.time for row in audit.list(AuditFilter(time_from=start, time_to=end)))

    assert found(NOON, None) == micros[1:]
    assert found(None, NOON) == micros[:1]
    assert found(micros[2], micros[4]) == micros[2:4]
    assert found(micros[1], micros[2]) == micros[1:2]


@pytest.mark.parametrize(
    ("start", "end", "count"),
    [
        (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC), 1),
        (datetime.max.replace(tzinfo=UTC), None, 0),
        (None, datetime.min.replace(tzinfo=UTC), 0),
    ],
)
def test_any_time_can_be_asked_for(audit, start, end, count):
    audit.insert(a_row())

    assert len(audit.list(AuditFilter(time_from=start, time_to=end))) == count


def test_old_rows_are_deleted_oldest_first_and_no_more_than_are_wanted(audit, monkeypatch):
    monkeypatch.setattr(audit_module, "BATCH", 2)
    rows = [a_row(NOON + timedelta(days=n)) for n in range(6)]
    for row in rows:
        audit.insert(row)

    def kept() -> list[AuditRow]:
        return list(reversed(audit.list(AuditFilter())))

    assert audit.prune(NOON + timedelta(days=5), 3) == 3
    assert kept() == rows[3:]
    assert audit.prune(NOON + timedelta(days=5), 100) == 2
    assert kept() == rows[5:]
    assert audit.prune(NOON + timedelta(days=5), 100) == 0


def test_a_launch_is_written_down_with_its_job(audit, bench):
    row = a_row()
    job = bench.new()

    bench.jobs.insert(job, bench.now, audit=row)

    assert audit.list(AuditFilter()) == [row]
    assert bench.jobs.path(job.id) == "hello.yml"


def test_a_launch_that_is_refused_is_not_written_down(audit, bench):
    bench.queue(slots=1)

    with pytest.raises(FlowRunning):
        bench.jobs.insert(bench.new(slots=1), bench.now, audit=a_row())

    assert audit.list(AuditFilter()) == []


def test_a_launch_that_cannot_be_written_down_is_not_made(audit, bench):
    row = a_row()
    audit.insert(row)
    job = bench.new()

    with pytest.raises(Exception, match="database"):
        bench.jobs.insert(job, bench.now, audit=row)  # The same id twice.

    assert bench.jobs.list(JobFilter()) == []
