"""Services that are asked, killed and frozen at random: what was answered for ends, and no step is run twice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from faults import frozen
from flows import step
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from invariants import Watch, broken_rules
from requests import ConnectionError as Cut
from services import Service, answers, flow, start_service, until
from stored_rows import broken_row_rules

from engine.store.database import Database

EXAMPLES = int(os.environ.get("OCTOFLOW_TEST_KILLS", "3"))
"""How many lives are lived; each takes some seconds."""


def mark(name: str) -> dict[str, Any]:
    """A step that writes down its job each time it is run."""
    return step("file", name, path="marks.txt", mode="append", type="text", data_key="__job_id__")


WAIT, TIDY = step("sleep", "wait", seconds=60), step("debug", "tidy")
FLOWS: dict[str, dict[str, Any]] = {
    "quick.yml": {"steps": [mark("once")]},
    "short.yml": {"steps": [step("sleep", "wait", seconds=0.3), mark("once")]},
    "slow.yml": {"steps": [mark("once"), WAIT, TIDY], "finally_step": "tidy"},
    "due.yml": {"steps": [mark("once")]},
}
LAUNCHED = ("quick.yml", "short.yml", "slow.yml")
ACTIONS = st.one_of(
    st.tuples(st.just("launch"), st.integers(0, 5)),
    st.tuples(st.just("launch"), st.integers(0, 5)),
    st.tuples(st.just("tick"), st.integers(0, 1)),
    st.tuples(st.sampled_from(["cancel", "delete"]), st.integers(0, 7)),
    st.tuples(st.just("kill a job's process"), st.integers(0, 1)),
    st.tuples(st.sampled_from(["kill a worker", "kill a service"]), st.integers(0, 1)),
    st.tuples(st.just("start a service"), st.just(0)),
    st.tuples(st.just("freeze a service"), st.integers(0, 1)),
)


class Life:
    """Up to two services over one folder; there is always one that can be asked."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        (self.data / "flows").mkdir(parents=True)
        for name, document in FLOWS.items():
            flow(self.data, name, json.dumps({"name": name, **document}))
        self.services: list[Service] = []
        self.watches: list[Watch] = []
        self.answered: list[str] = []
        """The ids that launches were answered with; what was deleted since is not among them."""
        self.done: list[str] = []
        self.start()
        self.services[0].post("/api/schedules", {"path": "due.yml", "every_seconds": 1})

    def start(self) -> None:
        service = start_service(self.data, GRACE_SECONDS="2")
        self.services.append(service)
        until(lambda: answers(service, "/healthz"), 30, service.text)
        self.watches.append(Watch(service))

    def do(self, action: str, number: int) -> None:
        service = self.services[number % len(self.services)]
        self.done.append(f"{action} {number} ({service.process.pid})")
        match action:
            case "launch":
                self._launch(service, LAUNCHED[number % len(LAUNCHED)])
            case "tick":
                self._ask(service, "POST", "/api/tick", 200)
            case "cancel" if self.answered:
                self._ask(service, "POST", f"/api/jobs/{self._any(number)}/cancel", 202, 409)
            case "delete" if self.answered:
                id = self._any(number)
                if self._ask(service, "DELETE", f"/api/jobs/{id}", 204, 200, 409) in (200, 204):
                    self.answered.remove(id)
            case "kill a job's process":
                _kill(service.job_processes())
            case "kill a worker":
                _kill(service.workers())
                until(lambda: answers(service, "/healthz"), 30, service.text)
            case "kill a service":
                service.kill()
                self.services.remove(service)
                if not self.services:
                    self.start()
            case "start a service" if len(self.services) < 2:
                self.start()
            case "freeze a service":
                self._freeze(service)

    def _launch(self, service: Service, path: str) -> None:
        with suppress(Cut):
            answer = service.post("/api/jobs", {"path": path})
            assert answer.status_code in (202, 409), answer.text
            if answer.status_code == 202:
                self.answered.append(answer.json()["job_id"])

    def _ask(self, service: Service, method: str, path: str, *expected: int) -> int | None:
        """The status; None when the connection was cut, so that nobody knows."""
        try:
            answer = service.session.request(method, service.url + path, timeout=20)
        except Cut:
            return None
        assert answer.status_code in expected, answer.text
        return answer.status_code

    def _any(self, number: int) -> str:
        return self.answered[-1 - number % len(self.answered)]

    def _freeze(self, service: Service) -> None:
        """For longer than leases last, while another looks after what was left."""
        workers = service.workers()
        with closing(sqlite3.connect(self.data / "jobs.sqlite", timeout=10)) as database:
            # Whoever is frozen while it writes holds everybody up, for as long as it is frozen: here nobody writes.
            database.execute("BEGIN IMMEDIATE")
            with frozen([*workers, *service.forkservers(), *service.job_processes()]):
                for pid in workers:
                    database.execute("UPDATE jobs SET lease_until = 1 WHERE owner LIKE ?", (f"%:{pid}:%",))
                database.commit()
                for other in self.services:
                    if other is not service:
                        self._ask(other, "POST", "/api/tick", 200)

    def end(self) -> list[dict[str, Any]]:
        """What was answered for, once all of it has ended."""
        service = self.services[0]
        self._ask(service, "POST", "/api/tick", 200)
        for id in self.answered:
            if service.job(id)["state"] != "finished":
                self._ask(service, "POST", f"/api/jobs/{id}/cancel", 202, 409)
        # Ticks come for ever: at the first one somebody who was killed may not have been dead yet.
        until(lambda: self._ask(service, "POST", "/api/tick", 200) and not self._open(), 40, self.story)
        return [service.job(id) for id in self.answered]

    def _open(self) -> list[Any]:
        """What was answered for and has not ended."""
        with closing(sqlite3.connect(self.data / "jobs.sqlite", timeout=10)) as database:
            query = "SELECT id, path, state, reason, owner, epoch, lease_until FROM jobs WHERE state <> 'finished'"
            return [row for row in database.execute(query) if row[0] in self.answered]

    def story(self) -> str:
        """What was done, and what came of it."""
        return "\n".join([*self.done, *map(str, self._open()), *(watch.service.text() for watch in self.watches)])

    def broken_rules(self) -> list[str]:
        found = [rule for watch in self.watches for rule in broken_rules(watch, [])]
        database = Database(f"sqlite:///{self.data}/jobs.sqlite")
        found += broken_row_rules(database)
        database.dispose()
        return found

    def marks(self) -> Counter[str]:
        """How often each job ran the step that it should run once at most."""
        path = self.data / "marks.txt"
        return Counter(path.read_text().split()) if path.exists() else Counter()


@contextmanager
def life() -> Iterator[Life]:
    folder = Path(mkdtemp(prefix="octoflow-test-"))
    lived = Life(folder)
    try:
        yield lived
    finally:
        for watch in lived.watches:
            watch.service.session.close()
            watch.service.kill()
        shutil.rmtree(folder)


def _kill(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # Making it smaller would take minutes.
)
@given(actions=st.lists(ACTIONS, min_size=4, max_size=12))
def test_whatever_is_killed_all_that_was_answered_for_ends_and_no_step_is_run_twice(actions):
    with life() as lived:
        for action, number in actions:
            lived.do(action, number)
        jobs = lived.end()
        marks = lived.marks()

        assert lived.broken_rules() == [], lived.story()
        assert [id for id, times in marks.items() if times > 1] == []
        assert [job["id"] for job in jobs if job["status"] == "success" and marks[job["id"]] != 1] == []
