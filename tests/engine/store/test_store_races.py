"""Several processes want the same thing at the same moment."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterable

from engine.models.job import JobFilter, State

LAUNCH = """
import sys
from concurrent.futures import ThreadPoolExecutor
from engine.clock import Clock, new_id
from engine.errors import FlowRunning
from engine.models.flow import Document
from engine.models.job import NewJob
from engine.store.database import Database
from engine.store.jobs import JobStore

database = Database(sys.argv[1])
database.ping(write=False)
jobs = JobStore(database)
documents = [Document("a.yml", "text", "r1", {"flow:b.yml": "r2"}), Document("b.yml", "text", "r2")]

def launch(_):
    now = Clock().now()
    try:
        id = new_id(now)
        slots = tuple(f"a.yml#{n}" for n in range(int(sys.argv[2])))
        jobs.insert(NewJob(id, "a.yml", "a", "r1", lock_slots=slots), now, documents=documents)
        return id
    except FlowRunning as error:
        return f"refused by {error.fields['job_id']}"

print("ready", flush=True)
sys.stdin.readline()
with ThreadPoolExecutor(8) as pool:
    print(*pool.map(launch, range(16)), sep="\\n", flush=True)
database.dispose()
"""

CLAIM = """
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from engine.clock import Clock
from engine.models.job import Owner
from engine.store.database import Database
from engine.store.jobs import JobStore

database = Database(sys.argv[1])
database.ping(write=False)
jobs = JobStore(database)

def claim(number):
    owner, taken = Owner(f"{sys.argv[2]}-{number}", "host"), []
    now = Clock().now()
    while claims := jobs.claim(owner, now, now + timedelta(seconds=30), limit=1 + number % 3):
        taken += [claim.id for claim in claims]
    return taken

print("ready", flush=True)
sys.stdin.readline()
with ThreadPoolExecutor(4) as pool:
    print(*(id for taken in pool.map(claim, range(4)) for id in taken), sep="\\n", flush=True)
database.dispose()
"""


def at_once(script: str, uri: str, arguments: Iterable[str]) -> list[str]:
    """The lines that the processes print, all of them let go at the same moment."""
    command = [sys.executable, "-c", script, uri]
    racers = [
        subprocess.Popen([*command, argument], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for argument in arguments
    ]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    lines = [line for racer in racers for line in racer.communicate(timeout=60)[0].splitlines() if line]
    assert [racer.returncode for racer in racers] == [0] * len(racers)
    return lines


def test_of_many_launches_of_a_flow_exactly_one_wins(database, uri, jobs):
    answers = at_once(LAUNCH, uri, ["1"] * 3)

    winners = [answer for answer in answers if not answer.startswith("refused")]
    assert len(answers) == 48
    assert [job.id for job in jobs.list(JobFilter())] == winners
    assert Counter(answers)[f"refused by {winners[0]}"] == 47


def test_of_many_launches_of_a_flow_with_five_slots_exactly_five_win(database, uri, jobs):
    answers = at_once(LAUNCH, uri, ["5"] * 3)

    winners = {answer for answer in answers if not answer.startswith("refused")}
    assert {job.id for job in jobs.list(JobFilter())} == winners
    assert len(winners) == 5
    assert {answer for answer in answers if answer.startswith("refused")} <= {f"refused by {id}" for id in winners}


def test_a_job_is_claimed_by_one_worker_only(database, uri, jobs, bench):
    queued = [bench.queue() for _ in range(60)]

    claimed = at_once(CLAIM, uri, ["left", "right"])

    assert sorted(claimed) == queued
    assert jobs.count(JobFilter(state=State.RUNNING)) == 60
