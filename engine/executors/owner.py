"""Who is alive: each process that runs jobs holds a lock on a file of its own, which the system lets go when it dies.

A process on the same host that can take that lock knows at once that the owner is dead, and need not wait for its
leases to end. Where there is no file, or it is on another host, only the lease tells.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from glob import escape
from pathlib import Path

from engine.models.job import Owner


class OwnerFile:
    """This process's own file, locked for as long as it lives."""

    def __init__(self, folder: Path, owner: Owner) -> None:
        self._path = folder / f"{owner.id}.lock"
        folder.mkdir(parents=True, exist_ok=True)
        unnamed = folder / f"{owner.id}.new"
        self._fd = os.open(unnamed, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        unnamed.rename(self._path)  # Locked before it can be found: nobody takes it for a dead owner's.

    def close(self) -> None:
        """Remove the file and let go of the lock."""
        with suppress(FileNotFoundError):
            self._path.unlink()
        os.close(self._fd)


LONE = ":lone"
"""How the id of an owner ends that runs one job and claims no others."""


def live_owners(folder: Path) -> set[str]:
    """The owners that claim jobs and whose process lives, of those that left a file here."""
    names = {path.stem for path in folder.glob("*.lock") if not path.stem.endswith(LONE)}
    return {name for name in names if not _is_dead(folder / f"{name}.lock")}


def dead_owners(folder: Path, host: str) -> set[str]:
    """The owners of this host that left a file here and whose process is gone for sure."""
    names = {path.stem for path in folder.glob(f"{escape(host)}:*.lock")}
    return {name for name in names if _is_dead(folder / f"{name}.lock")}


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
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)  # Shared: two who look at once see the same.
        return True
    except OSError:
        return False
    finally:
        os.close(fd)
