"""What documents are called, for lists of them: read without a check, and kept until a file changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from engine.catalog import Catalog
from engine.checking.kept import Kept
from engine.checking.outline import LONGEST_NAME, LONGEST_TEXT, cut
from engine.errors import OctoflowError, TooLarge
from engine.files import FileStat
from engine.reading import ReadingError, read_document

BYTES_AT_ONCE = 1_000_000
"""So much text is read for one list, which takes about a second; what is left is read for the next one."""


@dataclass(frozen=True, slots=True)
class Title:
    """A document's name and description; `is_readable` is whether it is an object with steps."""

    name: str | None
    description: str | None
    is_readable: bool


class Titles:
    """The titles of the catalog's documents."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._kept: Kept[Title] = Kept()

    def of(self, paths: Sequence[str]) -> list[Title | None]:
        """The title of each document; None where too much would have to be read for it now."""
        left = BYTES_AT_ONCE
        titles: list[Title | None] = []
        for path in paths:
            try:
                status = self._catalog.stat(path)
                kept = self._kept.of(path, status)
                if kept is not None:
                    titles.append(kept[1])
                elif left > 0:
                    title, size = self._read(path, status)
                    left -= size
                    titles.append(title)
                else:
                    titles.append(None)
            except OctoflowError:
                titles.append(UNREADABLE)
        return titles

    def _read(self, path: str, status: FileStat) -> tuple[Title, int]:
        """The document's title, and how many bytes were read for it."""
        size = status.size
        try:
            status, text = self._catalog.load(path)
            title = title_of(path, text)
        except ReadingError:
            title = UNREADABLE
        except TooLarge:
            title, size = UNREADABLE, 0
        return self._kept.keep(path, status, title), size


def title_of(path: str, text: str) -> Title:
    """What a document of this text is called."""
    try:
        value = read_document(text).value
    except ReadingError:
        return UNREADABLE
    if not isinstance(value, dict) or not isinstance(value.get("steps"), list):
        return UNREADABLE
    name = cut(value.get("name") or None, LONGEST_NAME) or PurePosixPath(path).stem
    return Title(name, cut(value.get("description"), LONGEST_TEXT), True)


UNREADABLE = Title(None, None, False)
