"""The load: clients that launch, look, cancel and delete, clocks that tick, a reader of what flows write."""

from __future__ import annotations

import json
import random
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import requests
from counts import Counts
from documents import WHOLE
from fleet import Fleet, session

AHEAD = 8
"""So many jobs a client launches before it waits for its first to end."""
KINDS = ["quick"] * 5 + ["locked"] * 3 + ["tidy", "failing", "slow", "looping", "nested", "writes", "calls", "endless"]
REPEATS = 20
"""So often a launch is repeated under its key when nobody knows what became of it."""


class Client:
    """Knows what it was answered, and says what is not as it was answered."""

    def __init__(self, fleet: Fleet, counts: Counts, choose: random.Random) -> None:
        self._fleet, self._counts, self._choose = fleet, counts, choose
        self._session = session()
        self._open: deque[tuple[str, str]] = deque()
        self.launched: dict[str, str] = {}
        """The flow of each job whose launch was answered with 202, without those that were deleted."""
        self.ended: dict[str, tuple[str, str | None]] = {}
        """Status and reason of those that were seen to have ended: they stay so."""
        self.perhaps_gone: set[str] = set()
        """Deletes whose answer was lost."""
        self.wrong: list[str] = []

    def run(self, over: threading.Event) -> None:
        while not over.wait(self._choose.uniform(0, 0.2)):
            if len(self._open) >= AHEAD:
                self._look()
            else:
                self._launch(over)

    def _launch(self, over: threading.Event) -> None:
        kind, key = self._choose.choice(KINDS), str(uuid4())
        body = {"path": f"{kind}.yml", "data": {"key": key}}
        if kind == "endless":
            body["timeout_seconds"] = self._choose.choice([1, 3, 600])
        for _ in range(REPEATS):
            answer = self._ask("POST", "/api/jobs", body, {"Idempotency-Key": key})
            if answer is not None and answer.status_code < 500:
                break
            if over.wait(0.1):
                return
        else:
            return
        if answer.status_code == 409 and kind == "locked":
            self._counts.add("launches", "409")
        elif answer.status_code != 202:
            self._counts.add("launches", str(answer.status_code), answer.text)
            self.wrong.append(f"a launch of {kind} was answered with {answer.status_code}: {answer.text[:300]}")
        else:
            self._counts.add("launches", "202")
            id = answer.json()["job_id"]
            if id in self.launched:
                self.wrong.append(f"job {id} was answered to two launches")
            self.launched[id] = kind
            self._open.append((id, kind))
            if kind == "endless" and body["timeout_seconds"] == 600:
                self._cancel_at_last(id, over)

    def _cancel_at_last(self, id: str, over: threading.Event) -> None:
        while (answer := self._ask("POST", f"/api/jobs/{id}/cancel")) is None or answer.status_code >= 500:
            if over.wait(0.2):
                return
        self._counts.add("cancels", str(answer.status_code))

    def _look(self) -> None:
        id, kind = self._open[0]
        answer = self._ask("GET", f"/api/jobs/{id}")
        if answer is None or answer.status_code >= 500:
            return
        if answer.status_code != 200:
            self.wrong.append(f"job {id} of {kind} was answered for, and is answered with {answer.status_code}")
            self._open.popleft()
            return
        job = answer.json()
        if job["state"] != "finished":
            self._open.rotate(-1)
            return
        self._open.popleft()
        self.ended[id] = (job["status"], job["reason"])
        self._counts.add("seen to end", f"{job['status']}/{job['reason']}" if job["reason"] else job["status"])
        if self._choose.random() < 0.1:
            self._delete(id)

    def _delete(self, id: str) -> None:
        answer = self._ask("DELETE", f"/api/jobs/{id}")
        if answer is None or answer.status_code >= 500:
            self.perhaps_gone.add(id)
        elif answer.status_code == 200:
            self._counts.add("deletes")
            del self.launched[id], self.ended[id]
        else:
            self.wrong.append(f"job {id} had ended, and its DELETE was answered with {answer.status_code}")

    def _ask(self, method: str, path: str, body: Any = None, headers: Any = None) -> requests.Response | None:
        return ask(self._session, self._fleet, self._counts, self._choose, method, path, body, headers)


class Reader:
    """Looks at the files that `writes` replaces all the time: each is whole whenever it is there."""

    def __init__(self, data: Path, counts: Counts) -> None:
        self._files = [data / "output" / f"whole-{number}.json" for number in range(2)]
        self._counts = counts
        self.wrong: list[str] = []

    def run(self, over: threading.Event) -> None:
        while not over.wait(0.02):
            self.look()

    def look(self) -> None:
        for path in self._files:
            with suppress(FileNotFoundError):
                text = path.read_text()
                self._counts.add("files read")
                if not _is_whole(text):
                    self.wrong.append(f"{path.name} was not whole: {len(text)} characters, {text[-40:]!r}")


def tick(fleet: Fleet, counts: Counts, over: threading.Event, choose: random.Random) -> None:
    """A clock that is in a hurry."""
    own = session()
    while not over.wait(choose.uniform(0.2, 1.5)):
        answer = ask(own, fleet, counts, choose, "POST", "/api/tick")
        if answer is not None:
            counts.add("ticks", str(answer.status_code))


def ask(
    own: requests.Session,
    fleet: Fleet,
    counts: Counts,
    choose: random.Random,
    method: str,
    path: str,
    body: Any = None,
    headers: Any = None,
) -> requests.Response | None:
    """The answer of one of the services; None when there was none, as when it was killed."""
    try:
        answer = own.request(method, fleet.any(choose).url + path, json=body, headers=headers, timeout=15)
    except requests.RequestException as error:
        counts.add("no answer", type(error).__name__)
        return None
    if answer.status_code >= 500:
        counts.add("5xx", f"{answer.status_code} {_code(answer)}", answer.text)
    return answer


def _code(answer: requests.Response) -> str:
    try:
        return str(answer.json()["code"])
    except (ValueError, KeyError, TypeError):
        return "without a code"


def _is_whole(text: str) -> bool:
    try:
        return json.loads(text)["numbers"] == list(range(WHOLE))
    except (ValueError, KeyError, TypeError):
        return False
