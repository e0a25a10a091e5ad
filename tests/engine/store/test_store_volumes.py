"""SQLite's file belongs on a disk of this host."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import DatabaseRefused
from engine.store.database import Database
from engine.store.volumes import file_system, refuse_shared_volume

MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - overlay overlay rw
30 22 0:40 / /data rw - {kind} server:/export rw
31 22 0:41 / /data/local\\040disk rw - ext4 /dev/sdb1 rw
32 22 0:42 / /database rw master:1 propagate_from:2 - tmpfs tmpfs rw
"""


@pytest.fixture
def mounts(tmp_path: Path) -> Path:
    return tmp_path / "mountinfo"


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "fuse.gcsfuse", "fuse.sshfs", "9p"])
def test_a_network_volume_is_refused_by_its_name(mounts, kind):
    mounts.write_text(MOUNTS.format(kind=kind))

    with pytest.raises(DatabaseRefused, match=f"/data/jobs.sqlite would lie on a {kind} file system"):
        refuse_shared_volume(Path("/data/jobs.sqlite"), mounts)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "overlay", "tmpfs", "zfs", "fuseblk"])
def test_a_local_volume_is_accepted(mounts, kind):
    mounts.write_text(MOUNTS.format(kind=kind))

    refuse_shared_volume(Path("/data/jobs.sqlite"), mounts)

    assert file_system(Path("/data/jobs.sqlite"), mounts) == kind


def test_the_deepest_mount_counts(mounts):
    mounts.write_text(MOUNTS.format(kind="nfs"))

    assert file_system(Path("/data/local disk/jobs.sqlite"), mounts) == "ext4"
    assert file_system(Path("/database/jobs.sqlite"), mounts) == "tmpfs"
    assert file_system(Path("/elsewhere/jobs.sqlite"), mounts) == "overlay"


def test_a_later_mount_hides_an_earlier_one(mounts):
    mounts.write_text(MOUNTS.format(kind="ext4") + "40 30 0:50 / /data rw - nfs4 server:/x rw\n")

    assert file_system(Path("/data/jobs.sqlite"), mounts) == "nfs4"


def test_a_system_that_does_not_tell_is_trusted(mounts):
    refuse_shared_volume(Path("/data/jobs.sqlite"), mounts)

    assert file_system(Path("/data/jobs.sqlite"), mounts) == ""


def test_an_upgrade_looks_at_the_volume_first(tmp_path, mounts, monkeypatch):
    mounts.write_text(f"1 1 0:1 / {tmp_path} rw - nfs4 server:/x rw\n")
    monkeypatch.setattr("engine.store.volumes.file_system", lambda file, _: file_system(file, mounts))

    with pytest.raises(DatabaseRefused, match="nfs4"):
        Database(f"sqlite:///{tmp_path}/jobs.sqlite").upgrade()

    assert not (tmp_path / "jobs.sqlite").exists()
