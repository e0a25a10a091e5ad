"""Pages that name the tests which hold what they say: their rows, and whether those tests are there."""

from __future__ import annotations

import ast
import re
from functools import cache
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
FILE = re.compile(r"`(tests/[\w/]+\.py)`")
NUMBERED = re.compile(r"test_(?:rows?|fault)_((?:\d+_)+)")


def table_rows(page: Path) -> list[list[str]]:
    """The cells of every row of every table of the page, without the heads of the tables."""
    lines = page.read_text().splitlines()
    heads = {before for before, each in pairwise(lines) if each.startswith("|---")}
    return [_cells(line) for line in lines if line.startswith("| ") and line not in heads]


def named_in(text: str) -> list[tuple[str, str]]:
    """File and name of each test that the text names; ValueError when one is not written as the others are."""
    found = TEST.findall(text)
    if len(found) != text.count("::"):
        raise ValueError(f"not each is written `tests/file.py::name`: {text}")
    return found


def missing_of(named: list[tuple[str, str]]) -> list[str]:
    """Those of them that are not there."""
    return [f"{file}::{name}" for file, name in named if name not in tests_of(file)]


@cache
def tests_of(file: str) -> frozenset[str]:
    """The tests of a file, none when there is no such file."""
    path = ROOT / file
    tree = ast.parse(path.read_text() if path.exists() else "")
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@cache
def files_by_row() -> dict[int, set[str]]:
    """For each number that a test carries in its name (`test_row_53_...`), the files of such tests."""
    found: dict[int, set[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        file = path.relative_to(ROOT).as_posix()
        for name in tests_of(file):
            if numbers := NUMBERED.match(name):
                for number in numbers[1].split("_")[:-1]:
                    found.setdefault(int(number), set()).add(file)
    return found


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split(" | ")]
