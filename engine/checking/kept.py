"""What was made of documents, for as long as their files are the same."""

from __future__ import annotations

from typing import Generic, TypeVar

from engine.files import FileStat

T = TypeVar("T")

MOST = 20_000
"""So many documents are known at most; at one more all are forgotten."""


class Kept(Generic[T]):
    """A value for each document, also for one that cannot be read: that costs as much to find out."""

    def __init__(self) -> None:
        self._values: dict[str, tuple[FileStat, T]] = {}

    def of(self, path: str, status: FileStat) -> tuple[FileStat, T] | None:
        """The status and the value that are kept; None when the file was another one then."""
        kept = self._values.get(path)
        return kept if kept is not None and kept[0] == status else None

    def keep(self, path: str, status: FileStat, value: T) -> T:
        """The value, which is good until the file's status is another."""
        if len(self._values) >= MOST:
            self._values.clear()
        self._values[path] = status, value
        return value
