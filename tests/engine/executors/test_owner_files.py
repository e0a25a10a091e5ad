"""Owner files: who is alive, who is dead for sure, and of whom nothing is known."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

from engine.executors.owner import LONE, OwnerFile, dead_owners, forget_owners, live_owners
from engine.models.job import Owner

PROJECT = Path(__file__).resolve().parents[3]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "run" / "owners"


@pytest.fixture
def leave_behind(folder):
    """Leaves the file of an owner whose process is gone."""

    def leave(id: str) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{id}.lock"
        path.touch()
        return path

    return leave


def test_an_owner_lives_while_its_file_is_locked(folder):
    file = OwnerFile(folder, Owner("host:1:ab", "host"))

    assert live_owners(folder) == {"host:1:ab"}
    assert dead_owners(folder, "host") == set()
    file.close()
    assert live_owners(folder) == set()
    assert list(folder.iterdir()) == []


def test_an_owner_that_claims_no_other_jobs_is_not_waited_for_and_not_dead(folder):
    file = OwnerFile(folder, Owner(f"host:1:ab{LONE}", "host"))

    assert live_owners(folder) == set()
    assert dead_owners(folder, "host") == set()
    file.close()


def test_a_file_without_a_lock_is_a_dead_owners(folder, leave_behind):
    leave_behind("host:2:cd")

    assert dead_owners(folder, "host") == {"host:2:cd"}
    assert live_owners(folder) == set()


def test_an_owner_whose_process_is_killed_is_dead_at_once(folder):
    code = (
        "import sys; from pathlib import Path; from engine.executors.owner import OwnerFile;"
        "from engine.models.job import Owner;"
        "file = OwnerFile(Path(sys.argv[1]), Owner('host:3:ef', 'host')); print('ready', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=PROJECT
    )
    with process:
        process.stdout.readline()
        before = live_owners(folder), dead_owners(folder, "host")
        process.kill()
        process.wait(10)

    assert before == ({"host:3:ef"}, set())
    assert (live_owners(folder), dead_owners(folder, "host")) == (set(), {"host:3:ef"})


def test_an_owner_of_another_host_is_neither_here(folder, leave_behind):
    leave_behind("other:2:cd")
    leave_behind("hostile:2:cd")

    assert dead_owners(folder, "host") == set()


@pytest.mark.parametrize("host", ["web[1]", "a.b.example", "*"])
def test_a_hosts_name_is_taken_letter_by_letter(folder, leave_behind, host):
    leave_behind(f"{host}:2:cd")
    leave_behind("web1:2:cd")

    assert dead_owners(folder, host) == {f"{host}:2:cd"}


def test_nobody_is_dead_or_alive_where_there_is_no_folder(folder):
    assert (live_owners(folder), dead_owners(folder, "host")) == (set(), set())


def test_two_who_look_at_once_see_the_same(folder, leave_behind):
    path = leave_behind("host:2:cd")

    with path.open() as other:
        fcntl.flock(other, fcntl.LOCK_SH)

        assert dead_owners(folder, "host") == {"host:2:cd"}


def test_a_forgotten_owner_leaves_no_file(folder, leave_behind):
    leave_behind("host:2:cd")
    kept = leave_behind("host:3:ef")

    forget_owners(folder, {"host:2:cd", "never:1:there"})

    assert list(folder.iterdir()) == [kept]


def test_a_file_can_be_found_only_once_it_is_locked(folder, monkeypatch):
    seen = []

    def flock(fd, operation):
        seen.append((live_owners(folder), dead_owners(folder, "host")) if operation == fcntl.LOCK_EX else None)
        return real(fd, operation)

    real = fcntl.flock
    monkeypatch.setattr(fcntl, "flock", flock)

    file = OwnerFile(folder, Owner("host:1:ab", "host"))

    assert seen == [(set(), set())]
    file.close()


def test_closing_after_someone_removed_the_file_is_no_error(folder):
    file = OwnerFile(folder, Owner("host:1:ab", "host"))
    forget_owners(folder, {"host:1:ab"})

    file.close()

    assert list(folder.iterdir()) == []
