"""A glob over documents' paths as a condition, by the rules of `engine.models.access.matches`."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement

from engine.models.access import without_classes
from engine.store.columns import storable

LIKE = str.maketrans({"*": "%", "?": "_", "%": "!%", "_": "!_", "!": "!!"})


def path_matches(column: ColumnElement[str], flows: str, dialect: str) -> ColumnElement[bool]:
    """Whether the path matches."""
    return is_like(column, pattern(flows, dialect), dialect)


def pattern(flows: str, dialect: str) -> str:
    """The glob as `is_like` takes it."""
    flows = storable(flows)
    return without_classes(flows) if dialect == "sqlite" else flows.translate(LIKE)


def is_like(column: ColumnElement[str], pattern: Any, dialect: str) -> ColumnElement[bool]:
    """Whether the path matches a pattern, which may be a parameter."""
    if (
        dialect == "sqlite"
    ):  # Its LIKE takes `a` for `A`; on servers the column's collation decides, and compares bytes.
        return column.op("GLOB", is_comparison=True)(pattern)
    return column.like(pattern, escape="!")
