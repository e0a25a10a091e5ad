"""What an expression that fails says."""

from __future__ import annotations

EXCERPT = 80


class ExpressionError(ValueError):
    """A Jinja or jq expression cannot be compiled, fails on this data, or gives what is not JSON."""


def excerpt(text: str) -> str:
    """The text on one line, cut where it gets long: enough to find it in a document."""
    line = " ".join(text.split())
    return line if len(line) <= EXCERPT else f"{line[:EXCERPT]}..."
