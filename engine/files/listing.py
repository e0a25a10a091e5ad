"""What is in a folder, for lists and hints."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from difflib import get_close_matches
from itertools import islice
from posixpath import splitext

MOST = 2_000
"""So many names of a folder are looked through for one that is close to a missing one."""

CLOSE = 0.7
"""How much of a name must be the same: `helo` may be meant for `hello`, and `nope` is not for `one`."""


def close_to(wanted: str, names: Iterable[str]) -> list[str]:
    """Up to three names or paths that may be meant. Suffixes tell nothing: with `.yml` all would be alike."""
    stems: dict[str, list[str]] = {}
    for name in names:
        stems.setdefault(splitext(name)[0], []).append(name)
    return [name for stem in get_close_matches(splitext(wanted)[0], stems, 3, CLOSE) for name in stems[stem]][:3]


def names_in(folder: int) -> list[str]:
    """Some of the names in an open folder."""
    descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    try:
        with os.scandir(descriptor) as entries:
            return [entry.name for entry in islice(entries, MOST)]
    finally:
        os.close(descriptor)


def visible(folder: str, prefix: str, seen: set[str], is_linked: bool = False) -> Iterator[tuple[str, bool]]:
    """The relative paths of what is not hidden, each with whether a link is a part of it, so that it has another name.

    Linked folders are entered once, and only where they stay inside.
    """
    real = os.path.realpath(folder)
    top = min(seen, key=len, default=real)
    if real in seen or os.path.commonpath([real, top]) != top:
        return
    seen.add(real)
    with suppress(FileNotFoundError, PermissionError), os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.name.startswith("."):
                continue
            with suppress(OSError):  # such as a link that leads to itself: it is no document
                is_other = is_linked or entry.is_symlink()
                if entry.is_dir():
                    yield from visible(entry.path, f"{prefix}{entry.name}/", seen, is_other)
                elif entry.is_file():
                    yield prefix + entry.name, is_other
