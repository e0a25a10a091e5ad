"""A text is stored once for each revision."""

from __future__ import annotations

from datetime import timedelta

import pytest
from clocks import NOON
from sqlalchemy import event

from engine.errors import FlowNotFound
from engine.models.flow import Document
from engine.models.problem import Problem
from engine.store import documents as document_store
from engine.store import tables
from engine.store.documents import DocumentStore

MAIN = Document("a.yml", "main", "r-main", {"flow:b.yml": "r-b", "template:t.j2": "r-t"})
SUB = Document("b.yml", "sub — ü", "r-b", {"flow:c.yml": "r-c", "template:t.j2": "r-t"})
LEAF = Document("c.yml", "leaf", "r-c")
TEMPLATE = Document("t.j2", "Hello {{ name }}", "r-t")
ALL = [MAIN, SUB, LEAF, TEMPLATE]


def test_a_document_comes_back_as_it_was(documents):
    documents.put(ALL, NOON)

    assert [documents.get(one.revision) for one in ALL] == ALL


def test_an_unknown_revision_is_an_error_that_names_it(documents):
    with pytest.raises(FlowNotFound, match="r-nobody"):
        documents.get("r-nobody")


def test_what_is_stored_already_is_left_alone(documents, database):
    documents.put([LEAF], NOON)

    DocumentStore(database).put([LEAF, TEMPLATE], NOON)

    assert documents.get("r-c") == LEAF
    assert documents.get("r-t") == TEMPLATE


def test_storing_again_in_the_same_process_asks_nothing(documents, database):
    documents.put(ALL, NOON)
    seen = []
    listener = lambda *args: seen.append(args[2])  # noqa: E731
    event.listen(database.engine, "before_cursor_execute", listener)

    documents.put(ALL, NOON)

    event.remove(database.engine, "before_cursor_execute", listener)
    assert seen == []


def test_a_bundle_holds_everything_a_document_needs(documents):
    documents.put(ALL, NOON)

    assert documents.bundle("r-main") == {
        "flow:a.yml": MAIN,
        "flow:b.yml": SUB,
        "flow:c.yml": LEAF,
        "template:t.j2": TEMPLATE,
    }
    assert documents.bundle("r-c") == {"flow:c.yml": LEAF}


def test_a_launch_leaves_the_bundle_in_memory(documents, database):
    launched = [MAIN, SUB, LEAF, TEMPLATE]
    documents.put(launched, NOON)
    wanted = DocumentStore(database).bundle("r-main")

    documents.keep_bundle(launched)
    with database.write() as connection:
        connection.execute(tables.documents.delete())

    assert documents.bundle("r-main") == wanted


def test_a_launch_that_tells_of_some_parts_only_leaves_the_others_to_the_database(documents, database):
    documents.put(ALL, NOON)

    documents.keep_bundle([MAIN, TEMPLATE])

    assert documents.bundle("r-main") == DocumentStore(database).bundle("r-main")


def test_a_bundle_with_a_missing_part_says_which(documents):
    documents.put([MAIN, TEMPLATE], NOON)

    with pytest.raises(FlowNotFound, match=r"flow:b\.yml"):
        documents.bundle("r-main")


def test_a_document_of_a_megabyte_comes_back_whole(documents):
    big = Document("big.yml", "é" * 1_000_000, "r-big")
    documents.put([big], NOON)

    assert documents.get("r-big") == big


# What compiling their expressions found

FAULT = Problem("expression", "step 'a': when: is faulty — ü", "steps.0.when", 2, 3, "mend it")


def test_a_verdict_is_kept_with_its_document(documents, database):
    documents.keep_verdicts([(MAIN, [FAULT]), (LEAF, [])], NOON)

    fresh = DocumentStore(database)
    assert fresh.verdicts(["r-main", "r-b", "r-c"]) == {"r-main": [FAULT], "r-c": []}
    assert fresh.get("r-main") == MAIN
    assert documents.missing([MAIN, LEAF, SUB], NOON) == [SUB]


def test_a_document_that_nobody_tried_has_no_verdict_until_somebody_does(documents, database):
    documents.put(ALL, NOON)
    assert documents.verdicts([one.revision for one in ALL]) == {}

    DocumentStore(database).keep_verdicts([(MAIN, [])], NOON + timedelta(minutes=1))

    assert documents.verdicts([one.revision for one in ALL]) == {"r-main": []}
    assert documents.get("r-main") == MAIN


def test_a_later_launch_leaves_the_verdict(documents, database):
    documents.keep_verdicts([(MAIN, [FAULT])], NOON)

    DocumentStore(database).put(ALL, NOON + timedelta(hours=2))

    assert documents.verdicts(["r-main", "r-t"]) == {"r-main": [FAULT]}


def test_only_so_many_are_remembered(documents, monkeypatch):
    monkeypatch.setattr(document_store, "MAX_NOTED", 3)

    for number in range(10):
        documents.put([Document("a.yml", "text", f"r-{number}")], NOON)

    assert len(documents._stored) <= 3
