"""What must hold once the harm is over: all comes to rest, nothing answered for is lost, nothing is done twice."""

from __future__ import annotations

import os
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import schedules
from counts import Counts
from fleet import PLACES, Fleet, session
from invariants import Watch, broken_rules, spellings
from load import Client, Reader

REST_SECONDS = 60
"""A lease, what waits for workers, and a finally_step after each."""
ENDS = {
    "quick": "success", "slow": "success", "tidy": "success", "looping": "success", "nested": "success",
    "writes": "success", "calls": "success", "locked": "success", "failing": "failed/step_error",
}  # fmt: skip
HARMED = {"failed/worker_lost", "failed/process_died", "failed/shutdown"}
STOPPED = {"failed/timeout", "cancelled/cancelled"}
BY_A_FULL_DISK = {"writes", "quick", "slow", "tidy", "nested", "failing", "locked", "endless"}
"""These write files, which fails while the disk is full; whether it was, their error says."""


def broken(fleet: Fleet, clients: list[Client], reader: Reader, counts: Counts, canaries: list[str]) -> list[str]:
    """Each rule that does not hold, in a sentence."""
    rules = [*(rule for each in [*clients, reader] for rule in each.wrong)]
    rules += _comes_to_rest(fleet)
    reader.look()
    launched = {id: kind for client in clients for id, kind in client.launched.items()}
    gone = {id for client in clients for id in client.perhaps_gone}
    ended = {id: end for client in clients for id, end in client.ended.items()}
    with closing(_connect(fleet.data)) as connection:
        rules += _ends(connection, launched, gone, ended, counts)
        rules += _keys(connection)
        rules += schedules.broken(connection)
        for verdict, number in schedules.verdicts(connection):
            counts.add("slots", verdict, number=number)
    rules += _marks(fleet.data)
    counts.add("temporary files of the killed", "swept", number=_let_sweep(fleet))
    service = fleet.at(PLACES[0])
    service.launched = [id for id in launched if id not in gone]
    rules += broken_rules(Watch(service), canaries, given={"secrets.yml"})
    rules += fleet.stop_all()
    rules += _logs(fleet, canaries)
    rules += [f"{number} services left with {code}" for code, number in counts.of("left badly").items()]
    rules += [
        f"{number} answers were {what}" for what, number in counts.of("5xx").items() if not what.startswith("503 ")
    ]
    return rules


def _comes_to_rest(fleet: Fleet) -> Iterator[str]:
    own, end = session(), time.monotonic() + REST_SECONDS
    while True:
        own.post(fleet.at(PLACES[0]).url + "/api/tick", timeout=30)
        with closing(_connect(fleet.data)) as connection:
            rest = connection.execute("SELECT id, path, state, owner, lease_until FROM jobs WHERE state <> 'finished'")
            active = rest.fetchall()
        if not active:
            return
        if time.monotonic() > end:
            yield from (f"a job has not come to rest: {row}" for row in active)
            return
        time.sleep(0.5)


def _let_sweep(fleet: Fleet) -> int:
    """Let an hour have passed for the files of writers that were killed, and a tick come; how many there were."""
    left = list(fleet.data.rglob(".tmp-*"))
    for file in left:
        os.utime(file, (0, 0))
    with closing(sqlite3.connect(fleet.data / "jobs.sqlite", timeout=20)) as connection, connection:
        connection.execute("UPDATE marks SET time = 0 WHERE name = 'tidied'")
    session().post(fleet.at(PLACES[0]).url + "/api/tick", timeout=30)
    return len(left)


def _ends(
    connection: sqlite3.Connection,
    launched: dict[str, str],
    gone: set[str],
    ended: dict[str, tuple[str, str | None]],
    counts: Counts,
) -> Iterator[str]:
    rows = {id: rest for id, *rest in connection.execute("SELECT id, status, reason, errors, message FROM jobs")}
    for id, kind in launched.items():
        if id not in rows:
            if id not in gone:
                yield f"job {id} of {kind} was answered for and is not there"
            continue
        status, reason, errors, message = rows[id]
        counts.add("ended", f"{status}/{reason}" if reason else status)
        if id in ended and ended[id] != (status, reason):
            yield f"job {id} of {kind} had ended as {ended[id]}, and is {status}/{reason} now"
        if not _may_end(kind, f"{status}/{reason}" if reason else status, str(errors)):
            yield f"job {id} of {kind} ended as {status}/{reason}: {message} {str(errors)[:300]}"


def _keys(connection: sqlite3.Connection) -> Iterator[str]:
    """A launch that was repeated under its key, since nobody knew what became of it, is one job."""
    doubled = connection.execute(
        "SELECT json_extract(data, '$.key') AS key, count(*) FROM jobs WHERE source = 'api' GROUP BY key"
        " HAVING count(*) > 1 OR key IS NULL"
    )
    yield from (f"{number} jobs were launched under the key {key}" for key, number in doubled)


def _may_end(kind: str, end: str, errors: str) -> bool:
    if end in HARMED or end == ENDS.get(kind) or (kind == "endless" and end in STOPPED):
        return True
    return end == "failed/step_error" and kind in BY_A_FULL_DISK and "no room left" in errors


def _marks(data: Path) -> Iterator[str]:
    for file in sorted((data / "marks").glob("*.txt")):
        lines = file.read_text().splitlines()
        torn = [line for line in lines if len(line) != 36]
        yield from (f"{file.name} has a line that is not whole: {line!r}" for line in torn)
        doubled = [(line, number) for line, number in Counter(lines).items() if number > 1]
        yield from (f"{file.name}: job {line} did this {number} times" for line, number in doubled)
    with closing(_connect(data)) as connection:
        must = connection.execute(
            "SELECT id, path FROM jobs WHERE status = 'success' AND path IN"
            " ('quick.yml', 'slow.yml', 'nested.yml', 'writes.yml', 'locked.yml', 'tidy.yml')"
        ).fetchall()
    did = set((data / "marks" / "steps.txt").read_text().splitlines())
    yield from (f"job {id} of {path} succeeded, and has left no mark" for id, path in must if id not in did)


def _logs(fleet: Fleet, canaries: Iterable[str]) -> Iterator[str]:
    """What all those services said, also those that are no more."""
    forms = {form for canary in canaries for form in spellings(canary)}
    for service in fleet.all:
        content = service.log.read_bytes()
        if (place := content.find(b"Traceback (most")) >= 0:
            yield f"{service.log.name} has a traceback: {content[max(0, place - 300) : place + 2500].decode()}"
        yield from (f"{service.log.name} holds {form!r}" for form in forms if form in content)


def _connect(data: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{data}/jobs.sqlite?mode=ro", uri=True, timeout=20)
