"""A PostgreSQL of the test's own, which it may crash and start again."""

from __future__ import annotations

import getpass
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from databases import lacking
from services import free_port

PASSWORD = "canary-of-postgres"
"""Nobody asks for it there; it is in the URL, and must be nowhere else."""


class OwnPostgres:
    """A server on a free port, over a folder of its own."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs = programs
        self._folder = folder
        self.port = free_port()
        self.url = f"postgresql://postgres:{PASSWORD}@127.0.0.1:{self.port}/postgres"
        self._run("initdb", "--auth=trust", "--username=postgres", "--no-sync", "-D", str(folder / "data"))

    def start(self) -> None:
        """Returns when it can be reached; after a crash it has recovered then."""
        options = f"-p {self.port} -k {self._folder} -c listen_addresses=127.0.0.1"
        self._control("start", "--wait", "-l", str(self._folder / "log"), "-o", options)

    def crash(self) -> None:
        """End all its processes at once, without a word to those who are connected."""
        self._control("stop", "--mode=immediate")

    def _control(self, verb: str, *options: str) -> None:
        self._run("pg_ctl", verb, "--silent", "-D", str(self._folder / "data"), *options)

    def _run(self, program: str, *options: str) -> None:
        # It refuses to run as root: there it runs as the user that its package has made for it.
        user = ["runuser", "-u", "postgres", "--"] if getpass.getuser() == "root" else []
        command = [*user, str(self._programs / program), *options]
        subprocess.run(command, check=True, timeout=60, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


@contextmanager
def own_postgres() -> Iterator[OwnPostgres]:
    """One that runs; skips, or fails in CI, where PostgreSQL is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    programs = found[-1] if found else Path(shutil.which("pg_ctl") or "")
    if not programs.name:
        lacking("PostgreSQL is not installed")
    # Not in pytest's own folder: that is closed to the user that the server runs as.
    with tempfile.TemporaryDirectory() as folder:
        if getpass.getuser() == "root":
            shutil.chown(folder, "postgres")
        server = OwnPostgres(programs.parent, Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.crash()
