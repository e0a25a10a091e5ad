"""What `make faults` says of a row, after its tests have ended one way or another."""

from __future__ import annotations

from typing import Any

import pytest
from fault_report import Fault, Report, belongs, faults

NUMBERED, NAMED = "tests/acceptance/faults/test_a.py::test_row_7_8_it_holds[x-1]", "tests/b.py::test_that"


def report(nodeid: str, outcome: str = "passed", when: Any = "call", why: str = "") -> pytest.TestReport:
    longrepr = ("file", 1, why) if outcome == "skipped" else None
    return pytest.TestReport(nodeid, ("", 0, ""), {}, outcome, longrepr, when)  # type: ignore[arg-type]


def told(*reports: pytest.TestReport, reason: str = "") -> str:
    plugin = Report([Fault(7, "It holds", reason=reason, named={NAMED})])
    for each in reports:
        plugin.pytest_runtest_logreport(each)
    return plugin.lines()[0]


@pytest.mark.parametrize(
    ("reports", "verdict"),
    [
        ([report(NUMBERED)], "held"),
        ([report(NAMED), report(NUMBERED)], "held"),
        ([report(NAMED), report(NUMBERED, "failed")], "broken"),
        ([report(NUMBERED), report(NUMBERED, "failed", "teardown")], "broken"),
        ([report(NUMBERED, "passed", "setup"), report(NUMBERED, "passed", "teardown")], "broken"),
        ([report("tests/c.py::test_row_77_another")], "broken"),
        ([], "broken"),
        ([report(NUMBERED, "skipped", "setup", "no root")], "not here (no root)"),
        ([report(NAMED), report(NUMBERED, "skipped", "setup", "no root")], "held"),
    ],
)
def test_a_row_is_held_when_a_test_of_it_passed_and_none_failed(reports, verdict):
    assert told(*reports) == f"  7  It holds - {verdict}"


def test_a_row_that_is_not_here_says_why():
    assert told(reason="As 47") == "  7  It holds - not here (As 47)"


def test_a_test_belongs_to_each_number_in_its_name():
    assert [number for number in range(80) if belongs(NUMBERED, Fault(number, ""))] == [7, 8]


def test_the_rows_of_the_page_are_told_in_their_order_and_then_the_totals():
    rows = faults()

    assert [row.number for row in rows] == list(range(1, 86))
    assert all(row.reason or row.named or row.files for row in rows)
    assert Report(rows).lines()[-1].startswith("85 faults: 0 held, ")
