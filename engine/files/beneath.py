"""Go down from a folder to a name, and never out of it.

The kernel follows no link for us: each folder on the way is opened relative to the one before with O_NOFOLLOW, and a
link is read and walked like any other path. So the names we went through are the true ones, whatever is swapped
meanwhile, and a link that leads out is seen before anything is opened. (openat2 with RESOLVE_BENEATH refuses the same,
but exists on newer Linux only, is barred in some sandboxes, and does not tell the name it ended at.)
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from posixpath import normpath
from unicodedata import normalize

FOLDER = os.O_DIRECTORY | os.O_CLOEXEC | getattr(os, "O_PATH", os.O_RDONLY)
SAFE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""How the last name is opened: no link, and no waiting for a FIFO's other end."""

MAX_LINKS = 40


class Outside(Exception):
    """The path leads out of the folder; `str()` says by what."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path ended: a name in an open folder. `status` is None when nothing is there; it is never a link."""

    folder: int
    name: str
    key: str
    status: os.stat_result | None


class Walk:
    """One way down. The folders stay open, and so the place usable, until the end of the `with`."""

    def __init__(self, root: str, allow: Callable[[str], None], *, make: bool = False) -> None:
        """`allow` is asked with each relative name before it is made or handed out; `make` makes missing folders."""
        self._allow = allow
        self._make = make
        self._names: list[str] = []
        self._links = 0
        self._folders = [os.open(root, FOLDER)]

    def __enter__(self) -> Walk:
        return self

    def __exit__(self, *error: object) -> None:
        for folder in self._folders:
            os.close(folder)

    def to(self, path: str) -> Place:
        """The place a relative path names. Raises Outside, FileNotFoundError, NotADirectoryError and other OSErrors."""
        ahead = _names(path)
        while ahead:
            name = ahead.pop()
            if name == "..":
                self._up()
            elif ahead:
                self._down(name, ahead)
            elif (place := self._end(name, ahead)) is not None:
                self._allow(place.key)
                return place
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)

    def _up(self) -> None:
        if not self._names:
            raise Outside("it goes above the folder")
        self._names.pop()
        os.close(self._folders.pop())

    def _down(self, name: str, ahead: list[str]) -> None:
        here = self._folders[-1]
        name, status = _spelled(name, here)
        if status is not None and stat.S_ISLNK(status.st_mode):
            self._follow(name, ahead)
            return
        if status is None:
            if (short := _names(normpath("/".join([name, *reversed(ahead)])))) != [*ahead, name]:
                ahead[:] = short
                return
            self._make_folder(name)
        self._folders.append(os.open(name, FOLDER | os.O_NOFOLLOW, dir_fd=here))
        self._names.append(name)

    def _end(self, name: str, ahead: list[str]) -> Place | None:
        here = self._folders[-1]
        name, status = _spelled(name, here)
        if status is not None and stat.S_ISLNK(status.st_mode):
            self._follow(name, ahead)
            return None
        return Place(here, name, "/".join([*self._names, name]), status)

    def _follow(self, name: str, ahead: list[str]) -> None:
        self._links += 1
        if self._links > MAX_LINKS:
            raise Outside(f"it goes through more than {MAX_LINKS} links")
        target = os.readlink(name, dir_fd=self._folders[-1])
        if target.startswith("/"):
            raise Outside(f"{name!r} is a link with an absolute target; links must be relative")
        ahead.extend(_names(target))

    def _make_folder(self, name: str) -> None:
        self._allow("/".join([*self._names, name]))
        if not self._make:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        try:
            os.mkdir(name, dir_fd=self._folders[-1])
        except FileExistsError:
            pass  # somebody else made it since we looked, which is as good


def _names(path: str) -> list[str]:
    """The path's names, the last one first."""
    return [name for name in reversed(path.split("/")) if name not in ("", ".")]


def _spelled(name: str, folder: int) -> tuple[str, os.stat_result | None]:
    """The name as it is on disk (composed or decomposed Unicode), with its status; as given and None when it is not."""
    for form in (name,) if name.isascii() else dict.fromkeys((name, normalize("NFC", name), normalize("NFD", name))):
        try:
            return form, os.stat(form, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            continue
    return name, None


def relative_names(folder: str, places: frozenset[str]) -> frozenset[PurePosixPath]:
    """What these places are called beneath the folder, as written and with links resolved; others are left out."""
    names = set()
    for resolve in (os.path.abspath, os.path.realpath):
        top = resolve(folder)
        for place in places:
            there = resolve(place)
            if there.startswith(top.rstrip("/") + "/"):
                names.add(PurePosixPath(os.path.relpath(there, top)))
    return frozenset(names)
