"""What a page of docs/ is tried in: a shell, and servers on loopback in the place of the systems that it names."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import vault_server
from services import free_port
from stub_peer import Call, StubPeer, stub_peer

SECONDS = 60
"""The longest that one block may take."""
DISKS = "state=1^short_descriptionSTARTSWITHDisk"


class Shell:
    """A shell in which a reader types block after block."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            ["sh"], cwd=folder, env=environment, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self._script = folder.parent / "block.sh"
        self.explain: Callable[[], str] = str
        self._put("set -eu\n")

    def type(self, text: str) -> str:
        """What these commands print; fails when one of them does."""
        self._script.write_text(text)
        self._put(f". {self._script} < /dev/null\necho; echo it-is-over\n")
        assert self.process.stdout
        printed, deadline = b"", time.monotonic() + SECONDS
        while not printed.endswith(b"\nit-is-over\n"):
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            more = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            how = "it failed" if ready else "it did not end"
            assert more, f"{how}:\n{text}\n{printed.decode(errors='replace')}\n{self.explain()}"
            printed += more
        return printed.decode().removesuffix("\nit-is-over\n")

    def _put(self, text: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def close(self) -> None:
        """End the shell and what it started, services too."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                pipe.close()


class World:
    """What the pages meet beside Octoflow: the other systems, and a port that is free."""

    def __init__(self, peer: StubPeer, vault: vault_server.VaultServer) -> None:
        self.peer, self.vault, self.port = peer, vault, free_port()
        self.looked = 0
        vault.put("secret/data/servicenow", username="snow_user", password="snow-password-1")
        vault.put("secret/data/awx", user="automation", oauth={"token": "awx-token-3"})
        self._answer = peer.answer
        peer.answer = self.answer  # type: ignore[method-assign]

    def plays(self, text: str) -> str:
        """The text with what is here in the place of what it names."""
        text = text.replace("https://vault.example.com", self.vault.url).replace("hvs.your-token", vault_server.TOKEN)
        text = self.peer.plays(text).replace("localhost:5000", f"localhost:{self.port}")
        return re.sub(r"hosts: \[[\w.-]+\]", "hosts: [127.0.0.1]", text)

    def answer(self, call: Call) -> tuple[int, Any]:
        """As the stub peer does, and a little of AWX and Jira besides."""
        match call.path.strip("/").split("/"):
            case ["api", "v2", "jobs", _]:
                self.peer.calls.append(call)
                self.looked += 1
                return 200, {"id": 1042, "status": "running" if self.looked % 3 else "successful"}
            case ["api", "now", "table", _] if call.query.get("sysparm_query") == [DISKS]:
                return self._answer(replace(call, query={"state": ["1"]}))
            case ["api", "now", "table", table, sys_id] if call.method == "PATCH":
                self.peer.calls.append(call)
                row = next(row for row in self.peer.tables[table] if row["sys_id"] == sys_id)
                row.update(call.body)
                return 200, {"result": row}
            case ["rest", "api", "2", "search"] if call.headers.get("Authorization") == "Bearer jira-token-4":
                start = int(call.query.get("startAt", ["0"])[0])
                status, found = self._answer(replace(call, headers={"X-Jira-Key": "jira-key-4"}))
                return status, {**found, "startAt": start, "issues": found["issues"][start : start + 1]}
            case ["rest", "api", "2", "issue"] if call.headers.get("Authorization") == "Bearer jira-token-4":
                self.peer.calls.append(call)
                return 201, {"id": "10003", "key": "OPS-3"}
        return self._answer(call)


@contextmanager
def page_world() -> Iterator[World]:
    """A new world."""
    vault = vault_server.VaultServer()
    try:
        with stub_peer() as peer:
            peer.tables["incident"] = [
                {"sys_id": "a1", "number": "INC0010001", "short_description": "Disk full on web1", "state": "1"},
                {"sys_id": "a2", "number": "INC0010002", "short_description": "Disk full on db2", "state": "1"},
            ]
            yield World(peer, vault)
    finally:
        vault.close()
