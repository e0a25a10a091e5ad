"""Promises, security checklist and faults: each row is held by tests that there are, and none is left out."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from named_tests import FILE, ROOT, files_by_row, missing_of, named_in, table_rows

PAGES = ROOT / "docs" / "explanation"
PROMISES, CHECKLIST, FAULTS = (PAGES / f"{name}.md" for name in ("promises", "security-checklist", "faults"))


@cache
def rows(page: Path) -> list[list[str]]:
    """The rows that say what holds them, in the last cell."""
    return [row for row in table_rows(page) if row not in not_here(page)]


@cache
def not_here(page: Path) -> list[list[str]]:
    """The rows of number and reason under the heading `Not here`."""
    _, _, below = page.read_text().partition("\n## Not here\n")
    text = below.partition("\n## ")[0]
    return [
        row for row in table_rows(page) if len(row) == 2 and row[0].isdigit() and f"| {row[0]} | {row[1]} |" in text
    ]


@pytest.mark.parametrize(
    "row", [*rows(PROMISES), *rows(CHECKLIST)], ids=lambda row: " ".join(row[:-1])[:60].replace("/", " ")
)
def test_what_is_said_is_held_by_tests_that_there_are(row: list[str]) -> None:
    named = named_in(row[-1])

    assert named, f"no test holds: {row[0]}"
    assert missing_of(named) == []


@pytest.mark.parametrize("row", rows(FAULTS), ids=lambda row: row[0])
def test_a_fault_is_brought_about_by_tests_that_there_are(row: list[str]) -> None:
    """Named one by one, or in a file that has tests with the row's number."""
    number, held = int(row[0]), row[-1]
    named, files = named_in(held), FILE.findall(held)

    assert named or files, f"nothing brings about: {row[1]}"
    assert missing_of(named) == []
    assert set(files) <= files_by_row().get(number, set())


def test_no_fault_and_no_line_of_the_checklist_is_left_out() -> None:
    for page, last in ((FAULTS, 85), (CHECKLIST, 30)):
        numbers = [int(row[0]) for row in [*rows(page), *not_here(page)] if row[0].isdigit()]

        assert sorted(numbers) == list(range(1, last + 1)), page.name
        assert all(reason for _, reason in not_here(page))


def test_a_test_with_a_number_is_of_a_row_that_is_on_the_page() -> None:
    assert set(files_by_row()) <= {int(row[0]) for row in rows(FAULTS)}
    assert len(files_by_row()) > 55


def test_the_pages_are_read_as_a_whole() -> None:
    assert len(rows(PROMISES)) >= 28
    assert len(rows(CHECKLIST)) >= 38
    assert {len(row) for page in (PROMISES, CHECKLIST) for row in rows(page)} <= {2, 3}
    assert {len(row) for row in rows(FAULTS)} == {4}
