"""Writes that are whole and durable, or did not happen."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable
from contextlib import suppress

from engine.files.beneath import SAFE, Place

TEMPORARY = ".tmp-"
"""How the names of files begin that are being written."""


def replace(place: Place, content: bytes) -> None:
    """Put a file of this content in the place; a reader sees the old one or the new one."""
    temporary = TEMPORARY + secrets.token_hex(8)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | SAFE, 0o666, dir_fd=place.folder)
    try:
        with open(descriptor, "wb") as file:
            if place.status is not None:
                os.fchmod(file.fileno(), stat.S_IMODE(place.status.st_mode))
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, place.name, src_dir_fd=place.folder, dst_dir_fd=place.folder)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=place.folder)
        raise
    _sync_folder(place.folder)


def append(descriptor: int, content: bytes, must_fit: Callable[[int], None]) -> None:
    """Add the bytes at the end, all or none; `must_fit` is asked with the size that the file will have."""
    import fcntl

    fcntl.flock(descriptor, fcntl.LOCK_EX)
    before = os.fstat(descriptor).st_size
    must_fit(before + len(content))
    if os.write(descriptor, content) != len(content):
        os.ftruncate(descriptor, before)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.fsync(descriptor)


def _sync_folder(folder: int) -> None:
    descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
