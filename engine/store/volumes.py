"""Which file systems can hold an SQLite database: WAL needs locks and memory that all processes of the host share."""

from __future__ import annotations

import os
from pathlib import Path

from engine.errors import DatabaseRefused

MOUNTS = Path("/proc/self/mountinfo")
NETWORKED = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "fuse", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4",
     "smb2", "smb3", "smbfs"}
)  # fmt: skip


def refuse_shared_volume(file: Path, mounts: Path = MOUNTS) -> None:
    """DatabaseRefused when the file would lie on a network or FUSE file system."""
    kind = file_system(file, mounts)
    if kind in NETWORKED or kind.startswith("fuse."):
        raise DatabaseRefused(
            f"The database {file} would lie on a {kind} file system, where SQLite's locks cannot be trusted. "
            "Put JOBS_DB_PATH on a disk of this host, or name a database server in SQLALCHEMY_DATABASE_URI."
        )


def file_system(file: Path, mounts: Path = MOUNTS) -> str:
    """The type of the file system that the file is or will be on; empty where the kernel does not tell."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    target = os.path.realpath(file)
    found, longest = "", -1
    for line in lines:
        point, kind = _mount(line)
        # A later mount over the same point hides the earlier one, hence `>=`.
        if _is_within(target, point) and len(point) >= longest:
            found, longest = kind, len(point)
    return found


def _mount(line: str) -> tuple[str, str]:
    before, _, after = line.partition(" - ")
    point = before.split(" ")[4]
    for octal, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        point = point.replace(octal, character)
    return point, after.split(" ")[0]


def _is_within(target: str, point: str) -> bool:
    return point == "/" or target == point or target.startswith(point + "/")
