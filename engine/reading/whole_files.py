"""A file of the operator's, read whole: bounded, and without waiting for a pipe's other end."""

from __future__ import annotations

import os
import stat
from pathlib import Path


class FileTooLong(OSError):
    """The file has more bytes than it may have."""


def read_whole(path: Path, at_most: int) -> bytes:
    """The content of a regular file; FileTooLong, and any other OSError with a `strerror` that says what it is."""
    with open(path, "rb", opener=_without_waiting) as opened:
        if not stat.S_ISREG(
            os.fstat(opened.fileno()).st_mode
        ):  # A pipe would read as an empty file, a device never end.
            raise OSError(None, "it is a pipe or a device, not a file")
        content = opened.read(at_most + 1)
    if len(content) > at_most:
        raise FileTooLong(None, f"it has more than {at_most} bytes")
    return content


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)
