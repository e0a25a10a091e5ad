"""Files beneath a root folder: the only way to a path that a user named."""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TypeVar

from engine.errors import FileMissing, OctoflowError, PathRefused, StorageDown, StorageFull, TooLarge
from engine.files.beneath import SAFE, Outside, Place, Walk, relative_names
from engine.files.listing import close_to, names_in, visible
from engine.files.writing import TEMPORARY, append, replace

T = TypeVar("T")

MAX_PATH = 255
ATTEMPTS = 8
RACES = frozenset({errno.ELOOP, errno.ENOTDIR, errno.ESTALE})
"""What an open answers when somebody swapped a name for a link since we looked: look again."""

NEVER = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")

MOUNTED = re.compile(r"\.\.\d{4}_\d\d_\d\d_")
"""A ConfigMap's files are links into a folder named after the moment of the last update; a key must outlive that."""

KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def probe_writable(folder: Path) -> None:
    """Write a file there and remove it again; StorageFull or StorageDown when that cannot be done."""
    name = f"probe-{secrets.token_hex(8)}"
    try:
        Root(folder, max_bytes=1 << 20).write(name, bytes(4096))
        (folder / name).unlink(missing_ok=True)
    except (PathRefused, FileMissing, OSError) as error:
        raise StorageDown(f"{folder.name!r} cannot be written: {error}") from error


@dataclass(frozen=True, slots=True)
class FileStat:
    """A file's canonical name, and what changes when its content does."""

    key: str
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


class Root:
    """The files of one folder. `reserved` places are refused by whatever path; `name` is for the errors."""

    def __init__(
        self, folder: str | Path, *, reserved: Collection[str | Path] = (), max_bytes: int, name: str | None = None
    ) -> None:
        self.folder = Path(folder)
        self.max_bytes = max_bytes
        self.name = name or f"the folder {self.folder.name!r}"
        self._reserved_places = frozenset(map(str, reserved))

    def read(self, path: str) -> bytes:
        """A regular file's bytes. Raises FileMissing, PathRefused, TooLarge."""
        return self.load(path)[1]

    def load(self, path: str) -> tuple[FileStat, bytes]:
        """A regular file's bytes, and the status they were read at."""

        def act(place: Place) -> tuple[FileStat, bytes]:
            self._must_exist(path, place)
            with open(self._open(path, place, os.O_RDONLY), "rb") as file:
                status = os.fstat(file.fileno())
                self._must_fit(path, status.st_size)
                content = file.read(self.max_bytes + 1)
            self._must_fit(path, len(content))
            return _file_stat(place.key, status), content

        return self._do(path, act)

    def stat(self, path: str) -> FileStat:
        """A regular file's canonical name and status, without opening it."""

        def act(place: Place) -> FileStat:
            return _file_stat(place.key, self._must_exist(path, place))

        return self._do(path, act)

    def canonical(self, path: str) -> str:
        """The one name of a file, relative to the root, however it was spelled or linked to."""
        return self.stat(path).key

    def write(self, path: str, content: bytes) -> None:
        """Put the file there whole and durably, or leave what was there; folders are made."""
        self._must_fit(path, len(content))

        def act(place: Place) -> None:
            if place.status is not None:
                self._must_be_regular(path, place.status)
            replace(place, content)

        self._do(path, act, make=True)

    def append(self, path: str, content: bytes) -> None:
        """Add the bytes in one durable write, one writer at a time; folders are made."""

        def act(place: Place) -> None:
            if place.status is not None:
                self._must_be_regular(path, place.status)
            with open(self._open(path, place, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "ab", buffering=0) as file:
                append(file.fileno(), content, lambda size: self._must_fit(path, size))

        self._do(path, act, make=True)

    def keys(self, *suffixes: str) -> list[str]:
        """The canonical names of all files with one of these suffixes, sorted; hidden ones are left out."""
        found = set()
        for path, is_linked in visible(str(self.folder), "", set()):
            if path.endswith(suffixes):
                with suppress(OctoflowError):
                    found.add(self.canonical(path) if is_linked else self._own_name(path))
        return sorted(found)

    def sweep_temporary(self, before: datetime) -> int:
        """Remove what killed writers left behind before that moment; how many files it was."""
        swept = 0
        if not self.folder.is_dir():
            return swept
        for _, _, names, folder in os.fwalk(self.folder):
            for name in names:
                if name.startswith(TEMPORARY):
                    with suppress(FileNotFoundError):
                        if os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime < before.timestamp():
                            os.unlink(name, dir_fd=folder)
                            swept += 1
        return swept

    @cached_property
    def _reserved(self) -> frozenset[PurePosixPath]:
        return relative_names(str(self.folder), self._reserved_places)

    def _do(self, path: str, act: Callable[[Place], T], *, make: bool = False) -> T:
        self._must_be_plain(path)
        problem = OSError()
        for _ in range(ATTEMPTS):
            try:
                with Walk(str(self.folder), lambda key: self._must_be_free(path, key), make=make) as walk:
                    return act(walk.to(path))
            except Outside as error:
                raise PathRefused(f"path {path!r} leads outside {self.name}: {error}") from error
            except OSError as error:
                problem = error
                if error.errno not in RACES:
                    break
        raise self._explained(path, problem) from problem

    def _open(self, path: str, place: Place, flags: int) -> int:
        descriptor = os.open(place.name, flags | SAFE, 0o666, dir_fd=place.folder)
        try:
            self._must_be_regular(path, os.fstat(descriptor))
        except PathRefused:
            os.close(descriptor)
            raise
        return descriptor

    def _own_name(self, path: str) -> str:
        """The path itself, of a file that no link leads to; PathRefused. To walk there would take 100 us."""
        self._must_be_plain(path)
        self._must_be_free(path, path)
        return path

    def _must_be_plain(self, path: str) -> None:
        if not path or path.endswith("/"):
            raise PathRefused(f"path {path!r} names no file in {self.name}")
        if len(path) > MAX_PATH:
            raise PathRefused(f"path {path[:40]!r}... has {len(path)} characters, more than {MAX_PATH}")
        if path.startswith("/"):
            raise PathRefused(
                f"path {path!r} leads outside {self.name}: it is absolute; write it relative to {self.name}"
            )
        if NEVER.search(path):
            raise PathRefused(f"path {path!r} holds a character that no file name here may have")

    def _must_be_free(self, path: str, key: str) -> None:
        if self._reserved:
            place = PurePosixPath(key)
            if place in self._reserved or not self._reserved.isdisjoint(place.parents):
                raise PathRefused(f"path {path!r} leads to {key!r}, which is reserved: flows may not read or write it")
        if key.rpartition("/")[2].startswith(TEMPORARY):
            raise PathRefused(f"path {path!r} begins with {TEMPORARY!r}, as files do that are still being written")

    def _must_exist(self, path: str, place: Place) -> os.stat_result:
        if place.status is None:
            folder = _own_key(place.key)[: -len(place.name)]
            near = [folder + name for name in close_to(place.name, names_in(place.folder))]
            also = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
            raise FileMissing(f"file {path!r} is not in {self.name}{also}")
        return self._must_be_regular(path, place.status)

    def _must_be_regular(self, path: str, status: os.stat_result) -> os.stat_result:
        if not stat.S_ISREG(status.st_mode):
            raise PathRefused(
                f"path {path!r} is {KINDS.get(stat.S_IFMT(status.st_mode), 'a device')}, not a regular file"
            )
        return status

    def _must_fit(self, path: str, size: int) -> None:
        if size > self.max_bytes:
            raise TooLarge(f"file {path!r} has {size} bytes, more than the limit of {self.max_bytes}")

    def _explained(self, path: str, error: OSError) -> OctoflowError:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return StorageFull(f"file {path!r} cannot be written: there is no room left in {self.name}")
        if not self.folder.is_dir():
            return FileMissing(f"file {path!r} is not there: {self.name} does not exist")
        match error:
            case FileNotFoundError():
                return FileMissing(f"file {path!r} is not in {self.name}: its folder does not exist")
            case NotADirectoryError():
                return FileMissing(f"file {path!r} is not in {self.name}: a part of its path is a file, not a folder")
            case IsADirectoryError():
                return PathRefused(f"path {path!r} is a folder, not a regular file")
        return PathRefused(f"path {path!r} in {self.name} cannot be used: {error.strerror or error}")


def _file_stat(key: str, status: os.stat_result) -> FileStat:
    return FileStat(_own_key(key), status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def _own_key(key: str) -> str:
    """The name that stays when what is mounted there is replaced."""
    return "/".join(name for name in key.split("/") if not MOUNTED.match(name))
