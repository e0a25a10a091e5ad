"""What all answers have in common."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict  # typing has one that pydantic cannot read before Python 3.12

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
"""ISO 8601 with milliseconds, in TIMEZONE."""
Json = Any


@with_config(ConfigDict(extra="forbid", use_attribute_docstrings=True))
class Shown(TypedDict):
    """An object whose members are all named here."""
