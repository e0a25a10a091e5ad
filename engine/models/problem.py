"""One thing that is wrong with a document."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

NOT_COMPILED = "not_compiled"
"""The code of the warning that nobody could look at a document's expressions."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, where (`path` such as `steps.2.rest.uri`, line and column from 1), and the way out."""

    code: str
    message: str
    path: str = ""
    line: int | None = None
    column: int | None = None
    hint: str | None = None
    severity: str = "error"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
