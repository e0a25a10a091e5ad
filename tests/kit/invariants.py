"""What holds after any fault, whatever it was: looked for in a service's rows, processes, files and answers."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from requests import Response
from services import Service, children_of

SPARE_CHILDREN = 2
"""So many processes may be on their way in or out beside those that run or wait for jobs."""


class Answers:
    """Everything that a service answered to one session, status and body."""

    def __init__(self, service: Service) -> None:
        self.kept: list[tuple[str, int, bytes]] = []
        service.session.hooks["response"].append(self._keep)

    def _keep(self, response: Response, **_: object) -> None:
        self.kept.append((f"{response.request.method} {response.url}", response.status_code, response.content))

    def take(self) -> list[tuple[str, int, bytes]]:
        """Those since the last time."""
        kept, self.kept = self.kept, []
        return kept


def broken_rules(
    service: Service, answers: Answers, canaries: Iterable[str], *, workers: int = 8, given: Iterable[str] = ()
) -> list[str]:
    """Every rule that does not hold, each in a sentence; empty when all is well.

    `canaries` are secrets that may be in no byte that the service wrote or said, but for the `given` files of the data
    folder, which the test wrote itself.
    """
    said = answers.take()
    with closing(sqlite3.connect(f"file:{service.data}/jobs.sqlite?mode=ro", uri=True, timeout=10)) as connection:
        rules = [*_rows(connection, service.launched)]
        active = connection.execute("SELECT count(*) FROM jobs WHERE state <> 'finished'").fetchone()[0]
    rules += _processes(service, workers)
    if not active:
        rules += [f"{path} was left behind" for path in service.data.rglob(".tmp-*")]
    rules += [f"{asked} was answered with {status}: {body[:200]!r}" for asked, status, body in said if status >= 500]
    rules += ["the service log has a traceback" for text in [service.text()] if "Traceback" in text]
    return [*rules, *_leaks(_written(service, said, set(given)), canaries)]


def spellings(secret: str) -> set[bytes]:
    """A secret as it is, and as a URL, JSON and Base64 would write it."""
    texts = {secret, quote(secret, safe=""), json.dumps(secret)[1:-1]}
    return {text.encode() for text in texts} | {base64.b64encode(secret.encode()).rstrip(b"=")[:-1]}


def _rows(connection: sqlite3.Connection, launched: list[str]) -> Iterator[str]:
    verdict = connection.execute("PRAGMA quick_check").fetchone()[0]
    if verdict != "ok":
        yield f"the database is not sound: {verdict}"
    doubled = connection.execute(
        "SELECT jobs.path, count(*) FROM jobs JOIN documents USING (revision)"
        " WHERE state NOT IN ('finished', 'blocked') AND text NOT LIKE '%max_concurrent%'"
        " GROUP BY jobs.path HAVING count(*) > 1"
    )
    yield from (f"{number} jobs of {path} are active at once" for path, number in doubled)
    rows = {id: rest for id, *rest in connection.execute("SELECT id, state, status, lease_until, end_time FROM jobs")}
    for id in launched:
        match rows.get(id):
            case None:
                yield f"job {id} was answered for and is not there"
            case ["finished", str(), _, end] if end is not None:
                pass
            case ["pending" | "blocked" | "waiting" | "suspended", None, *_]:
                pass
            case ["running" | "stopping", None, lease, None] if lease is not None:
                pass
            case row:
                yield f"job {id} has neither ended nor a lease: {row}"


def _processes(service: Service, workers: int) -> Iterator[str]:
    jobs = service.job_processes()
    if len(jobs) > workers + SPARE_CHILDREN:
        yield f"there are {len(jobs)} job processes for {workers} jobs at once"
    yield from (f"job process {pid} has left processes behind" for pid in jobs if children_of(pid))


def _written(service: Service, said: list[tuple[str, int, bytes]], given: set[str]) -> Mapping[str, bytes]:
    files = [path for path in service.data.rglob("*") if path.is_file() and not path.is_symlink()]
    kept = {str(path): _bytes(path) for path in files if str(path.relative_to(service.data)) not in given}
    kept[str(service.log)] = service.log.read_bytes()
    return kept | {f"the answer to {asked} ({number})": body for number, (asked, _, body) in enumerate(said)}


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:  # A file of SQLite's, which comes and goes.
        return b""


def _leaks(written: Mapping[str, bytes], canaries: Iterable[str]) -> Iterator[str]:
    forms = sorted({form for canary in canaries for form in spellings(canary)})
    for place, content in written.items():
        yield from (f"{place} holds the secret {form!r}" for form in forms if form in content)
