"""Expressions compiled in real job processes: what is found, what that costs, and what is kept of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from clocks import NOON, TestClock
from services import until
from stores import sqlite_database

from engine.catalog import Catalog
from engine.checking.expressions import Source
from engine.checking.structure import read_flow
from engine.checking.whole import Whole, revision_of
from engine.errors import Draining, Unavailable
from engine.executors import expressions
from engine.executors.children import Child, ChildPool
from engine.executors.expressions import ExpressionChecker
from engine.models.flow import Document
from engine.models.problem import Problem
from engine.settings import Settings
from engine.store.documents import DocumentStore

PROJECT = Path(__file__).resolve().parents[3]
MEMORY = 512 << 20
EATS_MEMORY = '"x" * 2000000000'
NEVER_ENDS = "[" + ",".join(['("x"*50000000=="y"*50000000)'] * 500) + "]"
"""Forty seconds of folding constants."""
GROWS = "{{ 'x'" + "|replace('x', 'xxxxxxxxxx')" * 8 + " }}"
"""A hundred million characters, made by the compiler."""


@pytest.fixture(scope="module")
def pool() -> Iterator[ChildPool]:
    made = ChildPool(2)
    yield made
    made.close()


@pytest.fixture
def checker(pool: ChildPool) -> ExpressionChecker:
    return ExpressionChecker(lambda: pool, MEMORY)


class Crowd:
    """A pool that counts what is taken from it."""

    def __init__(self, pool: ChildPool) -> None:
        self.pool = pool
        self.taken = 0

    def take(self):
        self.taken += 1
        return self.pool.take()

    def give(self, child) -> None:
        self.pool.give(child)


def program(name: str, expression: str) -> str:
    return f"- name: {name}\n  type: jq\n  jq:\n    expression: |\n      {expression}\n"


def text(name: str, template: str) -> str:
    return f"- name: {name}\n  type: exit\n  exit:\n    message: |\n      {template}\n"


def source(*steps: str) -> Source:
    flow = "steps:\n" + "".join(steps)
    notes = read_flow("f.yml", flow)
    assert notes.problems == []
    return Source(Document("f.yml", flow, revision_of("f.yml", flow, {})), notes, {})


def judge(checker: ExpressionChecker, *steps: str) -> tuple[list[Problem], bool]:
    asked = source(*steps)
    problems, doubt = checker.problems([asked])
    return problems.get(asked.document.revision, []), doubt is None


# What is found


def test_every_fault_is_found_and_what_compiles_is_not_touched(checker: ExpressionChecker) -> None:
    problems, is_final = judge(
        checker,
        program("good", ".tickets | map(.id)"),
        program("unknown", ".tickets | oops"),
        text("open", "{{ name"),
        text("fine", "{{ name | upper }} {{ missing.entirely }}"),
        text("filter", "{{ name | uper }}"),
        "- {name: condition, type: debug, when: ['a == 1', 'a ==']}\n",
        "- {name: reaches, type: debug, jq_expression: env}\n",
    )

    assert is_final
    assert [(problem.path, problem.code) for problem in problems] == [
        ("steps.1.jq.expression", "expression"),
        ("steps.2.exit.message", "expression"),
        ("steps.4.exit.message", "expression"),
        ("steps.5.when.1", "expression"),
        ("steps.6.jq_expression", "expression"),
    ]
    assert "oops/0 is not defined" in problems[0].message
    assert problems[0].hint == "jq has no function oops; a key of the data is written `.oops`"
    assert problems[2].hint == "did you mean 'upper'?"
    assert "'env' is not allowed here" in problems[4].message


def test_a_long_constant_costs_one_process_and_not_the_verdicts_of_the_others(checker: ExpressionChecker) -> None:
    problems, is_final = judge(
        checker,
        program("before", "nope"),
        program("eats", EATS_MEMORY),
        program("after", "not_either"),
        program("fine", ".a"),
    )

    assert [problem.path for problem in problems] == [f"steps.{n}.jq.expression" for n in (0, 1, 2)]
    assert "killed by SIGABRT" in problems[1].message
    assert problems[1].hint == "its constants are computed when it is compiled: make what it computes smaller"
    assert not is_final


def test_jinja_that_would_grow_when_it_runs_compiles(checker: ExpressionChecker) -> None:
    assert judge(checker, text("big", "{{ 'a' * 2000000000 }}"), text("wide", "{{ 'a' | center(2000000000) }}")) == (
        [],
        True,
    )


def test_jinja_that_grows_in_the_compiler_is_stopped_and_hurts_nobody(checker: ExpressionChecker) -> None:
    small = ExpressionChecker(checker._pool, 300 << 20)

    problems, _ = judge(small, text("grows", GROWS), program("bad", "x("))

    assert "steps.1.jq.expression" in [problem.path for problem in problems]


def test_what_never_ends_is_told_and_the_rest_is_tried(
    checker: ExpressionChecker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expressions, "EXPRESSION_SECONDS", 1.0)

    problems, is_final = judge(checker, program("endless", NEVER_ENDS), program("bad", "nope"))

    assert problems[0].message == "step 'endless': jq.expression: it was not compiled within 1 seconds"
    assert [problem.path for problem in problems] == ["steps.0.jq.expression", "steps.1.jq.expression"]
    assert not is_final


def test_a_check_ends_however_many_expressions_do_not(
    checker: ExpressionChecker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expressions, "CHECK_SECONDS", 1.0)

    problems, is_final = judge(checker, *[program(f"s{n}", f"{NEVER_ENDS} | {n}") for n in range(5)])

    assert problems == []  # None had the time that one may have.
    assert not is_final


def test_only_so_many_processes_are_spent_on_one_check(pool: ChildPool) -> None:
    crowd = Crowd(pool)

    problems, is_final = judge(
        ExpressionChecker(lambda: crowd, MEMORY), *[program(f"s{n}", f"{EATS_MEMORY} | {n}") for n in range(9)]
    )

    assert crowd.taken == expressions.MAX_CHILDREN == len(problems)
    assert not is_final


def test_a_text_that_stands_often_is_compiled_once(pool: ChildPool) -> None:
    crowd = Crowd(pool)

    problems, _ = judge(ExpressionChecker(lambda: crowd, MEMORY), *[program(f"s{n}", EATS_MEMORY) for n in range(9)])

    assert crowd.taken == 1
    assert len(problems) == 9


def test_a_process_that_survived_is_used_again_and_one_that_did_not_is_gone() -> None:
    pool = ChildPool(2)
    checker = ExpressionChecker(lambda: pool, MEMORY)
    try:
        judge(checker, program("good", ".a"))
        [first] = pool.pids()
        judge(checker, program("good", ".b"))
        assert list(pool.pids()) == [first]

        judge(checker, program("eats", EATS_MEMORY))

        until(lambda: not Path(f"/proc/{first}").exists())
        assert list(pool.pids()) == []
    finally:
        pool.close()


def test_a_process_that_took_much_memory_is_not_used_for_a_job() -> None:
    pool = ChildPool(2)
    try:
        verdict = judge(ExpressionChecker(lambda: pool, MEMORY), program("large", '"x" * 210000000 == "y"'))

        assert verdict == ([], True)
        assert list(pool.pids()) == []
    finally:
        pool.close()


# What is kept


def test_a_revision_is_tried_once(pool: ChildPool) -> None:
    crowd = Crowd(pool)
    checker = ExpressionChecker(lambda: crowd, MEMORY)

    first = judge(checker, program("good", ".a"), program("bad", "nope"))
    second = judge(checker, program("good", ".a"), program("bad", "nope"))

    assert first == second
    assert len(first[0]) == 1
    assert crowd.taken == 1


def test_a_text_that_compiled_in_one_document_is_not_tried_in_the_next(pool: ChildPool) -> None:
    crowd = Crowd(pool)
    checker = ExpressionChecker(lambda: crowd, MEMORY)
    judge(checker, program("good", ".a"), program("bad", "nope"))

    assert judge(checker, program("other", ".a")) == ([], True)
    assert crowd.taken == 1
    assert len(judge(checker, program("other", ".a"), program("worse", "nope"))[0]) == 1
    assert crowd.taken == 2


def test_a_document_without_expressions_needs_no_process() -> None:
    def pool() -> ChildPool:
        raise AssertionError("nothing is to be compiled")

    assert judge(ExpressionChecker(pool, MEMORY), "- {name: a, type: set_fact, set_fact: {value: plain}}\n") == (
        [],
        True,
    )


def test_only_the_part_that_is_new_is_tried(pool: ChildPool) -> None:
    crowd = Crowd(pool)
    checker = ExpressionChecker(lambda: crowd, MEMORY)
    main, sub = source(program("main", EATS_MEMORY)), source(program("sub", "nope"))
    checker.problems([sub])

    problems, _ = checker.problems([main, sub])

    assert crowd.taken == 2
    assert [len(problems[each.document.revision]) for each in (main, sub)] == [1, 1]


def test_a_verdict_outlives_its_process_in_the_database(pool: ChildPool, tmp_path: Path) -> None:
    database = sqlite_database(tmp_path / "jobs.sqlite")
    crowd = Crowd(pool)
    judged = [
        judge(
            ExpressionChecker(lambda: crowd, MEMORY, DocumentStore(database), TestClock()),
            program("good", ".a"),
            program("bad", "nope"),
        )
        for _ in range(2)
    ]

    assert judged[0] == judged[1]
    assert len(judged[0][0]) == 1
    assert crowd.taken == 1
    database.dispose()


def test_a_good_verdict_is_stored_with_the_document_at_its_launch(pool: ChildPool, tmp_path: Path) -> None:
    database = sqlite_database(tmp_path / "jobs.sqlite")
    documents = DocumentStore(database)
    checker = ExpressionChecker(lambda: pool, MEMORY, documents, TestClock())
    good = source(program("good", ".a"))

    checker.problems([good])
    before = documents.verdicts([good.document.revision])
    documents.put([good.document], NOON)

    assert before == {}
    assert DocumentStore(database).verdicts([good.document.revision]) == {good.document.revision: []}
    database.dispose()


def test_a_fault_that_may_have_been_bad_luck_is_not_kept(pool: ChildPool, tmp_path: Path) -> None:
    database = sqlite_database(tmp_path / "jobs.sqlite")
    crowd = Crowd(pool)
    documents = DocumentStore(database)
    checker = ExpressionChecker(lambda: crowd, MEMORY, documents, TestClock())

    judge(checker, program("eats", EATS_MEMORY))
    problems, _ = judge(checker, program("eats", EATS_MEMORY))

    assert len(problems) == 1
    assert crowd.taken == 2
    assert documents.verdicts([source(program("eats", EATS_MEMORY)).document.revision]) == {}
    database.dispose()


def test_a_document_with_steps_that_cannot_be_read_is_not_stored(pool: ChildPool, tmp_path: Path) -> None:
    database = sqlite_database(tmp_path / "jobs.sqlite")
    documents = DocumentStore(database)
    flow = f"steps:\n{program('bad', 'nope')}- {{name: unread, type: goto}}\n"
    checker = ExpressionChecker(lambda: pool, MEMORY, documents, TestClock())

    problems, doubt = checker.problems([Source(Document("f.yml", flow, "r"), read_flow("f.yml", flow), {})])

    assert len(problems["r"]) == 1
    assert doubt is None
    assert documents.verdicts(["r"]) == {}
    assert documents.missing([Document("f.yml", flow, "r")], NOON)
    database.dispose()


# When there is no process


@pytest.mark.parametrize("error", [Unavailable("no process"), Draining("on its way out")])
def test_without_a_process_nothing_is_a_problem_and_nothing_is_kept(pool: ChildPool, error: Exception) -> None:
    class Empty:
        is_empty = True

        def take(self):
            if self.is_empty:
                raise error
            return pool.take()

        give = pool.give

    empty = Empty()
    checker = ExpressionChecker(lambda: empty, MEMORY)

    asked = source(program("bad", "nope"))
    assert checker.problems([asked]) == ({asked.document.revision: []}, str(error))

    empty.is_empty = False
    problems, is_final = judge(checker, program("bad", "nope"))
    assert (len(problems), is_final) == (1, True)


def test_a_pool_that_is_closed_meanwhile_ends_the_check_without_blame() -> None:
    pool = ChildPool(1)
    checker = ExpressionChecker(lambda: pool, MEMORY)
    pool.warm()
    [pid] = pool.pids()
    verdicts: list[tuple[list[Problem], bool]] = []
    check = Thread(target=lambda: verdicts.append(judge(checker, program("endless", NEVER_ENDS))))
    check.start()
    until(lambda: not pool.pids())

    pool.close()

    check.join(20)
    assert verdicts == [([], False)]
    until(lambda: not Path(f"/proc/{pid}").exists())


def test_a_signal_without_a_name_is_told_by_its_number(
    checker: ExpressionChecker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Child, "exit_status", lambda child, seconds: -50)

    problems, _ = judge(checker, program("eats", EATS_MEMORY))

    assert [problem.message.rpartition("killed by ")[2] for problem in problems] == ["signal 50"]


def test_an_idle_process_that_died_is_no_fault_of_the_expression(pool: ChildPool) -> None:
    child = pool.take()
    os.kill(child.pid, signal.SIGKILL)
    until(lambda: not child.is_waiting())
    pool.give(child)

    problems, is_final = judge(ExpressionChecker(lambda: pool, MEMORY), program("good", ".a"))

    assert (problems, is_final) == ([], True)


# No false alarm

FLOWS = sorted(
    path
    for folder in ("data/flows", "tests/acceptance/examples/flows", "tests/acceptance/examples/options")
    for path in (PROJECT / folder).rglob("*.yml")
    if ".expected" not in path.name
)


@pytest.mark.parametrize("path", FLOWS, ids=lambda path: path.relative_to(PROJECT).as_posix())
def test_no_flow_that_is_known_to_run_has_a_fault(path: Path, checker: ExpressionChecker) -> None:
    folder = PROJECT / "data" if "data" in path.parent.parts else PROJECT / "tests" / "acceptance" / "examples"
    catalog = Catalog.from_settings(
        Settings(data_path=folder, flows_path=path.parent, templates_path=folder / "templates")
    )
    whole = Whole(catalog, 10)
    part = whole.part(path.name, path.read_text())
    before = len(part.notes.problems)

    assert whole.compile(part, checker) is None

    assert part.notes.steps
    assert [problem.message for problem in part.notes.problems if problem.code == "expression"] == []
    assert len(part.notes.problems) == before
