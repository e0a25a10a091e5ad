"""Who is alive: each process that runs jobs holds a lock on a file of its own, which the system lets go when it dies.

A process on the same host that can take that lock knows at once that the owner is dead, and need not wait for its
leases to end. Where there is no file, or it is on another host, only the lease tells.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from engine.models.job import Owner


class OwnerFile:
    """This process's own file, locked for as long as it lives."""

    def __init__(self, folder: Path, owner: Owner) -> None:
        self._path = folder / f"{owner.id}.lock"
        folder.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def close(self) -> None:
        """Remove the file and let go of the lock."""
        with suppress(FileNotFoundError):
            self._path.unlink()
        os.close(self._fd)


def live_owners(folder: Path) -> set[str]:
    """The owners whose process lives, of those that left a file here."""
    names = {path.stem for path in folder.glob("*.lock")}
    return {name for name in names if not _is_dead(folder / f"{name}.lock")}


def dead_owners(folder: Path, owner_ids: set[str]) -> set[str]:
    """Those of these owners, all of this host, whose process is gone for sure."""
    return {owner_id for owner_id in owner_ids if _is_dead(folder / f"{owner_id}.lock")}


def forget_owners(folder: Path, owner_ids: set[str]) -> None:
    """Remove the files that dead owners left."""
    for owner_id in owner_ids:
        with suppress(OSError):
            (folder / f"{owner_id}.lock").unlink()


def _is_dead(path: Path) -> bool:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError:
        return False
    finally:
        os.close(fd)
