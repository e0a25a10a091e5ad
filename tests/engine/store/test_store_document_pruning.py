"""Documents go when nothing refers to them and nobody has used them for a day."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from engine.errors import FlowNotFound
from engine.models.flow import Document
from engine.models.schedule import Overlap
from engine.store import document_pruning
from engine.store.database import Database
from engine.store.documents import REMEMBERED, DocumentStore
from engine.store.jobs import JobStore

DAY = timedelta(days=1)


def document(revision, path="hello.yml", **parts):
    return Document(path, revision, revision, parts)


@pytest.fixture
def kept(database):
    """Which revisions are there."""

    def read():
        with database.read() as connection:
            return set(connection.scalars(text("SELECT revision FROM documents")))

    return read


def prune(bench):
    """What a tick does with documents."""
    return bench.jobs.prune_documents(bench.now - DAY, 1000)


def test_a_document_without_a_job_goes_after_a_day(bench, documents, kept):
    documents.put([document("r1")], bench.now)
    bench.now += DAY
    assert prune(bench) == 0

    bench.later(1)
    assert prune(bench) == 1

    assert kept() == set()
    with pytest.raises(FlowNotFound):
        documents.get("r1")


@pytest.mark.parametrize("state", ["running", "ended", "pending"])
def test_a_document_stays_as_long_as_a_job_was_launched_with_it(bench, jobs, kept, state):
    new = bench.new()
    jobs.insert(new, bench.now, documents=[document("r1"), document("r2")])
    if state != "pending":
        claim = bench.claim()
        if state == "ended":
            bench.finish(claim)
    bench.now += 100 * DAY

    assert prune(bench) == 1

    assert kept() == {"r1"}


def test_a_job_that_waits_keeps_its_document(bench, timetable, database, kept):
    bench.queue(slots=1)
    timetable.add(overlap=Overlap.QUEUE)
    timetable.tick(documents=(document("r1"),))
    with database.write() as connection:
        connection.execute(text("DELETE FROM jobs WHERE state = 'pending'"))
    bench.now += 100 * DAY

    assert prune(bench) == 0
    assert kept() == {"r1"}


def test_an_active_job_keeps_its_document_wherever_the_document_was(bench, jobs, kept):
    jobs.insert(bench.new("renamed.yml"), bench.now, documents=[document("r1", "old.yml")])
    bench.now += 100 * DAY

    assert prune(bench) == 0


def test_the_parts_of_a_document_stay_with_it_and_go_with_it(bench, jobs, kept):
    main = document("r1", parts_b="r2")
    parts = [document("r2", "b.yml", parts_c="r3"), document("r3", "c.yml")]
    stray = document("r4", "d.yml", parts_c="r3")
    jobs.insert(bench.new(), bench.now, documents=[main, *parts, stray])
    claim = bench.claim()
    bench.finish(claim)
    bench.now += 2 * DAY

    assert prune(bench) == 1
    assert kept() == {"r1", "r2", "r3"}
    jobs.delete(claim.id)
    assert prune(bench) == 3


def test_an_old_part_of_a_young_document_stays(bench, documents, database, kept):
    documents.put([document("part", "b.yml")], bench.now)
    bench.now += 2 * DAY
    documents.put([document("main", parts_b="part")], bench.now)

    assert prune(bench) == 0


def test_a_document_whose_time_is_not_known_goes_when_nothing_refers_to_it(bench, jobs, documents, database, kept):
    jobs.insert(bench.new(), bench.now, documents=[document("r1"), document("r2", "b.yml")])
    with database.write() as connection:
        connection.execute(text("UPDATE documents SET stored_time = NULL"))

    assert prune(bench) == 1
    assert kept() == {"r1"}


def test_at_most_so_many_go_at_a_time(bench, documents, kept, monkeypatch):
    monkeypatch.setattr("engine.store.pruning.BATCH", 2)
    documents.put([document(f"r{n}") for n in range(7)], bench.now)
    bench.now += 2 * DAY

    assert bench.jobs.prune_documents(bench.now - DAY, 5) == 5
    assert len(kept()) == 2


def test_a_document_in_use_is_touched_each_hour_and_no_oftener(bench, documents, database):
    def touched():
        with database.read() as connection:
            return connection.scalar(text("SELECT stored_time FROM documents"))

    documents.put([document("r1")], bench.now)
    first = touched()
    documents.put([document("r1")], bench.later(REMEMBERED.total_seconds() - 1))
    assert touched() == first

    documents.put([document("r1")], bench.later(1))

    assert touched() - first == REMEMBERED / timedelta(microseconds=1)
    assert documents.get("r1") == document("r1")


def test_a_clock_that_was_put_back_renews_what_was_remembered_with_the_wrong_time(bench, documents, database):
    documents.put([document("r1")], bench.now + 30 * DAY)

    documents.put([document("r1")], bench.now)

    with database.read() as connection:
        assert connection.scalar(text("SELECT stored_time FROM documents")) == bench.now.timestamp() * 1_000_000


def test_renewing_a_document_keeps_what_is_known_of_its_expressions(bench, documents, database):
    documents.put([document("r1")], bench.now)
    with database.write() as connection:
        connection.execute(text("UPDATE documents SET problems = '[]'"))

    DocumentStore(database).put([document("r1")], bench.later(9))

    with database.read() as connection:
        assert connection.scalar(text("SELECT problems FROM documents")) == "[]"


def test_a_launch_that_relies_on_its_memory_finds_its_document_after_anothers_clean_up(
    bench, jobs, database, uri, tmp_path, kept
):
    other = Database(uri, run_path=tmp_path)
    jobs.insert(bench.new(), bench.now, documents=[document("r1")])
    first = bench.claim()
    bench.finish(first)
    bench.now += 2 * DAY
    jobs.insert(bench.new(), bench.now, documents=[document("r1")])
    second = bench.claim()
    bench.finish(second)
    for claim in (first, second):
        jobs.delete(claim.id)

    bench.later(REMEMBERED.total_seconds() - 1)
    JobStore(other).prune_documents(bench.now - DAY, 1000)
    jobs.insert(bench.new(), bench.now, documents=[document("r1")])

    assert kept() == {"r1"}
    other.dispose()


def test_a_document_that_is_used_after_it_was_found_unused_stays(bench, jobs, documents, database, kept):
    documents.put([document("r1")], bench.now)
    bench.now += 2 * DAY
    unused = database.ask(lambda connection: document_pruning.list_unused(connection, bench.now - DAY))
    jobs.insert(bench.new(), bench.now, documents=[document("r1")])

    deleted = database.change(lambda connection: document_pruning.delete_batch(connection, unused, bench.now - DAY))

    assert (unused, deleted) == (["r1"], 0)
    assert kept() == {"r1"}
