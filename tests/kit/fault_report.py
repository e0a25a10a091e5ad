"""`make faults`: brings every fault about, and tells by its number whether what is promised was held.

What is promised is said by the rows of docs/explanation/faults.md, and so is which tests bring each fault about.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from dataclasses import dataclass, field

import pytest
from named_tests import FILE, NUMBERED, ROOT, named_in, table_rows

PAGE = ROOT / "docs" / "explanation" / "faults.md"
FAULTS = "tests/acceptance/faults"
HELD, BROKEN, NOT_HERE = "held", "broken", "not here"


@dataclass
class Fault:
    """One row: what is promised, or why it cannot be seen here; its tests, and how they ended."""

    number: int
    promise: str
    reason: str = ""
    named: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    skipped: set[str] = field(default_factory=set)

    def verdict(self) -> str:
        """`held`, `broken` or `not here`: one test that fails breaks it, and a row that nothing held is not held."""
        if self.reason:
            return NOT_HERE
        if self.ended == {"passed"}:
            return HELD
        return NOT_HERE if self.skipped and not self.ended else BROKEN

    def line(self) -> str:
        why = self.reason or ("; ".join(sorted(self.skipped)) if self.verdict() == NOT_HERE else "")
        return f"{self.number:3}  {self.promise} - {self.verdict()}{f' ({why})' if why else ''}"


def faults() -> list[Fault]:
    """The rows of the page, by number."""
    found = []
    for row in table_rows(PAGE):
        if len(row) == 2:
            found.append(Fault(int(row[0]), "Not brought about", reason=row[1]))
        else:
            number, fault, promise, held = row
            named = {f"{file}::{name}" for file, name in named_in(held)}
            found.append(Fault(int(number), f"{fault}: {promise}", named=named, files=set(FILE.findall(held))))
    return sorted(found, key=lambda each: each.number)


class Report:
    """A pytest plugin that gives each row the outcomes of its tests."""

    def __init__(self, rows: list[Fault]) -> None:
        self.rows = rows

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for row in self.rows:
            if not belongs(report.nodeid, row):
                continue
            if report.failed:
                row.ended.add("failed")  # Also at the end of a test: there the invariants are looked at.
            elif report.skipped:
                row.skipped.add(str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else "skipped")
            elif report.when == "call":
                row.ended.add("passed")

    def lines(self) -> list[str]:
        """A line for each row, and the totals."""
        totals = Counter(row.verdict() for row in self.rows)
        told = ", ".join(f"{totals[verdict]} {verdict}" for verdict in (HELD, BROKEN, NOT_HERE))
        return [*(row.line() for row in self.rows), f"{len(self.rows)} faults: {told}"]


def belongs(nodeid: str, row: Fault) -> bool:
    """Whether the test is one of the row: named by it, or with its number in the name."""
    test = nodeid.partition("[")[0]
    numbers = NUMBERED.match(test.rpartition("::")[2])
    return test in row.named or (numbers is not None and str(row.number) in numbers[1].split("_"))


def main() -> int:
    """1 when a promise was broken, or a test failed that belongs to no row."""
    os.chdir(ROOT)
    report = Report(faults())
    elsewhere = sorted({test for row in report.rows for test in row.named if not test.startswith(FAULTS)})
    files = sorted({file for row in report.rows for file in row.files if not file.startswith(FAULTS)})
    elsewhere = [test for test in elsewhere if test.partition("::")[0] not in files]
    code = pytest.main(["--quiet", "--numprocesses=2", "--dist=loadfile", FAULTS, *files, *elsewhere], [report])
    print("\n".join(report.lines()))
    return int(code != 0 or any(row.verdict() == BROKEN for row in report.rows))


if __name__ == "__main__":
    sys.exit(main())
