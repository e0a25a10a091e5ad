"""What holds after any fault, whatever it was: looked for in a service's rows, processes, files and answers."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

from requests import Response
from services import Service, children_of

SPARE_CHILDREN = 2
"""So many processes may be on their way in or out beside those that run or wait for jobs."""


class Watch:
    """What a service said to one session, and what it wrote since it was last looked at."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._said: list[tuple[str, int, bytes]] = []
        self._seen: dict[Path, tuple[int, int]] = {}
        service.session.hooks["response"].append(self._keep)

    def _keep(self, response: Response, **_: object) -> None:
        self._said.append((f"{response.request.method} {response.url}", response.status_code, response.content))

    def said(self) -> list[tuple[str, int, bytes]]:
        """Each answer since the last time: what was asked, the status, the body."""
        said, self._said = self._said, []
        return said

    def written(self, given: set[str]) -> Iterator[tuple[str, bytes]]:
        """Each file that has changed since the last time, a log from where it was; but for the `given` ones."""
        for path in [self.service.log, *self.service.data.rglob("*")]:
            if path.is_symlink() or not path.is_file():
                continue
            with suppress(FileNotFoundError):  # A file of SQLite's, which comes and goes.
                status = path.stat()
                before, self._seen[path] = self._seen.get(path, (0, 0)), (status.st_size, status.st_mtime_ns)
                if before != self._seen[path] and path.name not in given:
                    start = before[0] if path.suffix == ".log" and before[0] <= status.st_size else 0
                    yield str(path), path.read_bytes()[start:]


def broken_rules(watch: Watch, canaries: Iterable[str], *, workers: int = 8, given: Iterable[str] = ()) -> list[str]:
    """Every rule that does not hold, each in a sentence; empty when all is well.

    `canaries` are secrets that may be in no byte that the service wrote or said; the `given` files are the test's own.
    """
    service, said = watch.service, watch.said()
    with closing(sqlite3.connect(f"file:{service.data}/jobs.sqlite?mode=ro", uri=True, timeout=10)) as connection:
        rules = [*_rows(connection, service.launched)]
        is_at_rest = not rules and not connection.execute("SELECT 1 FROM jobs WHERE state <> 'finished'").fetchone()
    rules += _processes(service, workers)
    if is_at_rest:
        rules += [f"{path} was left behind" for path in service.data.rglob(".tmp-*")]
    rules += [f"{asked} was answered with {status}: {body[:200]!r}" for asked, status, body in said if status >= 500]
    forms = sorted({form for canary in canaries for form in spellings(canary)})
    written = list(watch.written(set(given)))
    rules += [f"{place} has a traceback" for place, content in written if b"Traceback (most" in content]
    places = [*written, *((f"the answer to {asked}", body) for asked, _, body in said)]
    return [*rules, *(f"{place} holds {form!r}" for place, content in places for form in _found(content, forms))]


def spellings(secret: str) -> set[bytes]:
    """A secret as it is, and as a URL, JSON and Base64 would write it."""
    texts = {secret, quote(secret, safe=""), json.dumps(secret)[1:-1]}
    return {text.encode() for text in texts} | {base64.b64encode(secret.encode()).rstrip(b"=")[:-1]}


def _found(content: bytes, forms: list[bytes]) -> list[bytes]:
    """The forms that are in there; most begin alike, so that few searches rule out all of them."""
    begins = {begin for begin in {form[:6] for form in forms} if begin in content}
    return [form for form in forms if form[:6] in begins and form in content]


def _rows(connection: sqlite3.Connection, launched: list[str]) -> Iterator[str]:
    try:
        verdict = connection.execute("PRAGMA quick_check").fetchone()[0]
    except sqlite3.DatabaseError as error:
        verdict = str(error)
    if verdict != "ok":
        yield f"the database is not sound: {verdict}"
        return
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
