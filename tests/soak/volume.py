"""A data folder on a small volume of its own, where root may make one, so that it can be full for real."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from volumes import may_mount, small_volume

MEGABYTES = 160
MARK = "OCTOFLOW_SOAK_HAS_ITS_MOUNTS"


def alone_with_its_mounts() -> None:
    """This program begins again where its mounts are seen by nobody else, and end with it even when it is killed."""
    if MARK not in os.environ and may_mount():
        os.environ[MARK] = "yes"
        os.execvp("unshare", ["unshare", "--mount", sys.executable, *sys.argv])


@contextmanager
def of_its_own(folder: Path) -> Iterator[tuple[Path, bool]]:
    """The folder, and whether it is small; otherwise there are no moments in which the disk is full."""
    folder.mkdir(parents=True)
    if MARK not in os.environ:
        print("The disk is never full here: that takes root, and the right to mount.", flush=True)
        yield folder, False
        return
    with small_volume(folder, MEGABYTES):
        yield folder, True
