"""The page of what the two documents promise names tests that there are."""

from __future__ import annotations

import pytest
from named_tests import ROOT, missing_of, named_in, table_rows

PAGE = ROOT / "docs" / "reference" / "promises-of-the-documents.md"
NOT_BUILT = "Not built."


def rows() -> list[tuple[str, str, str]]:
    """Of each row of the page: what is promised, what holds it, what differs."""
    return [(row[0], row[1], row[2] if len(row) > 2 else "") for row in table_rows(PAGE)]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0][:60])
def test_a_promise_is_held_by_tests_that_there_are(row):
    promise, held, differs = row
    named = named_in(held)

    assert named or differs == NOT_BUILT, f"no test holds: {promise}"
    assert missing_of(named) == []


def test_the_page_is_read_as_a_whole():
    assert len(rows()) > 75
