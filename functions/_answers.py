"""What an operation returns when it is not always the same JSON with the same status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

ValueT = TypeVar("ValueT", bound=Mapping[str, Any], covariant=True)


@dataclass(frozen=True)
class Done(Generic[ValueT]):
    """It is done, and this came of it."""

    value: ValueT
    headers: Mapping[str, str] = field(default_factory=dict)
    status: ClassVar[int] = 200


@dataclass(frozen=True)
class Accepted(Generic[ValueT]):
    """It will be done; `Location` says where to look."""

    value: ValueT
    headers: Mapping[str, str] = field(default_factory=dict)
    status: ClassVar[int] = 202


@dataclass(frozen=True)
class Found(Generic[ValueT]):
    """It is there, as this; who has it already, by its ETag, is told so (304)."""

    value: ValueT
    status: ClassVar[int] = 200


@dataclass(frozen=True)
class Page:
    """Something else than JSON, or JSON that is text already; who has it already is told so (304)."""

    content: bytes
    media_type: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Redirect:
    """It is elsewhere; `place` is relative, since a proxy may have put something before our paths."""

    place: str


Outcome = (
    Mapping[str, Any]
    | Done[Mapping[str, Any]]
    | Accepted[Mapping[str, Any]]
    | Found[Mapping[str, Any]]
    | Page
    | Redirect
)
"""All that an operation may return."""
