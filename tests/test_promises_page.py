"""The page of promises names tests that there are."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "promises-of-the-documents.md"
NOT_BUILT = "Not built."


def rows() -> list[tuple[str, str, str]]:
    """Of each row of the page: what is promised, what holds it, what differs."""
    lines = [line.strip("| ") for line in PAGE.read_text().splitlines() if line.startswith("|")]
    cells = [tuple(map(str.strip, re.split(r"\s\|(?:\s|$)", f"{line} |"))) for line in lines]
    return [
        (row[0], row[1], row[2] if len(row) > 2 else "") for row in cells if row[0] not in ("promised", "---|---|---")
    ]


@cache
def names(file: str) -> frozenset[str]:
    """The tests of a file."""
    tree = ast.parse((ROOT / file).read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0][:60])
def test_a_promise_is_held_by_tests_that_there_are(row):
    promise, held, differs = row
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", held)

    assert named or differs == NOT_BUILT, f"no test holds: {promise}"
    assert held.count("::") == len(named)
    assert [f"{file}::{name}" for file, name in named if name not in names(file)] == []


def test_the_page_is_read_as_a_whole():
    assert len(rows()) > 75
