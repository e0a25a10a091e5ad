"""A glob over documents' paths as a condition, by the rules of `engine.models.access.matches`."""

from __future__ import annotations

from sqlalchemy import ColumnElement

from engine.models.access import without_classes
from engine.store.columns import storable

LIKE = str.maketrans({"*": "%", "?": "_", "%": "!%", "_": "!_", "!": "!!"})


def path_matches(column: ColumnElement[str], flows: str, dialect: str) -> ColumnElement[bool]:
    """Whether the path matches."""
    flows = storable(flows)
    if (
        dialect == "sqlite"
    ):  # Its LIKE takes `a` for `A`; on servers the column's collation decides, and compares bytes.
        return column.op("GLOB", is_comparison=True)(without_classes(flows))
    return column.like(flows.translate(LIKE), escape="!")
