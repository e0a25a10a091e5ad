"""Faults of whole processes, by their numbers: services that are killed, that freeze, that have too much to do."""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from faults import end_lease, fault, frozen, row
from flows import SLOW, step
from services import Service, flow, is_alive, until

GONE_SECONDS = 1
"""So soon a job's process is gone after its service was killed."""


def made(data: Path, name: str, *steps: dict[str, Any], **keys: Any) -> str:
    """A flow of these steps; its path."""
    return flow(data, name, json.dumps({"name": name, "steps": steps, **keys}))


def mark(name: str) -> dict[str, Any]:
    """A step that leaves a line behind each time it is run."""
    return step("file", name, path="marks.txt", mode="append", type="text", data_key="__flow_path__")


def marks(data: Path) -> int:
    """How often a `mark` was run."""
    path = data / "marks.txt"
    return len(path.read_text().splitlines()) if path.exists() else 0


def sleep(seconds: float) -> dict[str, Any]:
    return step("sleep", "wait", seconds=seconds)


def processes(service: Service) -> list[int]:
    return [*service.workers(), *service.forkservers(), *service.job_processes()]


def gone(pids: list[int]) -> bool:
    return not any(map(is_alive, pids))


def launch_fatally(service: Service, path: str) -> None:
    """A launch that is answered or not, and then the service is dead."""
    with suppress(OSError):
        service.post("/api/jobs", {"path": path})
    service.process.wait(10)


def steps_of(job: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each["name"], each["status"]) for each in job["steps"]]


# Killed


def test_row_1_a_killed_worker_takes_its_jobs_along_and_the_next_tick_closes_them(data, start):
    made(data, "slow.yml", sleep(60), mark("tidy"), finally_step="tidy")
    made(data, "other.yml", sleep(60))
    service = start()
    lost = service.launch("slow.yml")
    service.running_step(lost, "wait")
    jobs, workers = service.job_processes(), service.workers()
    there = start()
    untouched = there.launch("other.yml")
    there.running_step(untouched, "wait")

    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    until(lambda: gone(jobs), GONE_SECONDS)
    until(lambda: gone(workers))
    tick = there.post("/api/tick")
    job = there.finished(lost)

    assert tick.status_code == 200
    assert jobs
    assert (job["status"], job["reason"]) == ("failed", "worker_lost")
    assert steps_of(job) == [("wait", "stopped"), ("tidy", "success")]
    assert marks(data) == 1
    assert there.job(untouched)["state"] == "running"
    there.launch("slow.yml")


def test_row_2_a_job_that_nobody_had_begun_is_run_once_after_all_was_killed(data, start):
    made(data, "slow.yml", sleep(60))
    made(data, "quick.yml", mark("once"))
    service = start(FLOW_MAX_WORKERS="1")
    slow = service.launch("slow.yml")
    service.running_step(slow, "wait")
    waiting = service.launch("quick.yml")

    service.kill()
    state = row(data, "SELECT state FROM jobs WHERE id = ?", waiting)
    again = start()
    job = again.finished(waiting)
    for _ in range(2):
        assert again.post("/api/tick").status_code == 200

    assert state == "pending"
    assert job["status"] == "success"
    assert again.finished(slow)["reason"] == "worker_lost"
    assert marks(data) == 1


@pytest.mark.parametrize(
    "place", ["engine.store.jobs:JobStore.insert", "engine.supervisor.supervision:Supervision._run"]
)
def test_row_2_a_job_that_was_taken_and_not_begun_is_run_once_by_the_next_service(data, start, place):
    made(data, "quick.yml", mark("once"))
    kind = "after" if place.endswith("insert") else "before"
    service = start(**fault(place, kind))

    launch_fatally(service, "quick.yml")
    state = row(data, "SELECT state FROM jobs")
    again = start()
    job = again.finished(row(data, "SELECT id FROM jobs"))

    assert state == "running"
    assert (job["status"], steps_of(job)) == ("success", [("once", "success")])
    assert marks(data) == 1


FIVE = [mark("first"), mark("second"), mark("third"), sleep(60), mark("fifth"), step("debug", "tidy", data_key="first")]


def test_row_3_steps_that_have_ended_are_not_run_again_after_a_kill(data, start):
    made(data, "five.yml", *FIVE, finally_step="tidy")
    service = start()
    job_id = service.launch("five.yml")
    service.running_step(job_id, "wait")

    service.kill()
    job = start().finished(job_id)

    done = [(name, "success") for name in ("first", "second", "third")]
    assert (job["status"], job["reason"]) == ("failed", "worker_lost")
    assert steps_of(job) == [*done, ("wait", "stopped"), ("tidy", "success")]
    assert marks(data) == 3


def test_row_3_a_step_whose_end_was_heard_and_not_written_is_not_run_again_either(data, start):
    made(data, "five.yml", *FIVE, finally_step="tidy")
    service = start(**fault("engine.supervisor.supervision:Supervision._note_end", "after", 3))

    launch_fatally(service, "five.yml")
    job = start().finished(row(data, "SELECT id FROM jobs"))

    assert (job["status"], job["reason"]) == ("failed", "worker_lost")
    assert steps_of(job)[:2] == [("first", "success"), ("second", "success")]
    assert steps_of(job)[-1] == ("tidy", "success")
    assert marks(data) == 3


@pytest.mark.parametrize(
    ("kind", "end"), [("before", ("failed", "worker_lost")), ("after", ("success", None))], ids=["before", "after"]
)
def test_row_4_a_kill_at_the_last_commit_loses_the_result_or_nothing_and_runs_nothing_again(data, start, kind, end):
    made(data, "quick.yml", mark("once"))
    service = start(**fault("engine.store.jobs:JobStore.finish", kind))

    launch_fatally(service, "quick.yml")
    again = start()
    job = again.finished(row(data, "SELECT id FROM jobs"))

    assert (job["status"], job["reason"]) == end
    assert marks(data) == 1
    assert again.run("quick.yml")["status"] == "success"


def test_row_5_without_its_service_a_job_does_not_run_on(data, start):
    made(data, "slow.yml", sleep(60), mark("tidy"), finally_step="tidy")
    service = start()
    job_id = service.launch("slow.yml")
    service.running_step(job_id, "wait")
    left = processes(service)
    jobs, workers = service.job_processes(), service.workers()

    service.process.kill()
    for pid in workers:  # Asked for before: a process that is dead has no children any more.
        os.kill(pid, signal.SIGKILL)
    until(lambda: gone(jobs), GONE_SECONDS)
    until(lambda: gone(left))
    job = start().finished(job_id)

    assert jobs
    assert (job["status"], job["reason"]) == ("failed", "worker_lost")
    assert marks(data) == 1


def test_row_9_a_service_that_starts_again_leaves_the_jobs_of_others_alone(data, start):
    made(data, "slow.yml", sleep(60))
    made(data, "other.yml", sleep(60))
    service = start()
    lost = service.launch("slow.yml")
    service.running_step(lost, "wait")
    there = start()
    untouched = there.launch("other.yml")
    there.running_step(untouched, "wait")
    owner = row(data, "SELECT owner FROM jobs WHERE id = ?", untouched)

    service.kill()
    again = start()
    job = again.finished(lost)

    assert job["reason"] == "worker_lost"
    assert row(data, "SELECT owner FROM jobs WHERE id = ? AND state = 'running'", untouched) == owner
    assert there.post(f"/api/jobs/{untouched}/cancel").status_code == 202
    assert there.finished(untouched)["status"] == "cancelled"


# Frozen


@pytest.fixture
def late(data, start):
    """A service in the first step of a flow that leaves a mark in its second, and the job's id."""
    made(data, "late.yml", sleep(1), mark("second"), step("debug", "tidy"), finally_step="tidy")
    service = start()
    job_id = service.launch("late.yml")
    service.running_step(job_id, "wait")
    return service, job_id


def taken_over(data: Path, start: Any, job_id: str) -> dict[str, Any]:
    """The job after its lease has ended, and another service has closed it."""
    end_lease(data, job_id)
    there = start()
    assert there.post("/api/tick").status_code == 200
    job: dict[str, Any] = there.finished(job_id)
    return job


def test_row_6_an_owner_that_wakes_after_its_lease_writes_nothing_and_stops_its_job(data, start, late):
    service, job_id = late

    with frozen(service.workers()):
        job = taken_over(data, start, job_id)
    until(lambda: "the lease was lost" in service.text())

    assert (job["status"], job["reason"]) == ("failed", "worker_lost")
    assert steps_of(job) == [("wait", "stopped"), ("tidy", "success")]
    assert service.job(job_id) == job
    assert marks(data) == 0


def test_row_16_a_frozen_service_finds_its_job_taken_over_and_never_runs_it_twice(data, start, late):
    service, job_id = late

    with frozen(processes(service)):
        job = taken_over(data, start, job_id)
    until(lambda: "the lease was lost" in service.text())

    assert (job["status"], job["reason"]) == ("failed", "worker_lost")
    assert service.job(job_id) == job
    assert marks(data) == 0


def test_row_16_a_frozen_service_goes_on_with_a_job_that_nobody_has_taken(data, late):
    service, job_id = late

    with frozen(processes(service)):
        end_lease(data, job_id)
    job = service.finished(job_id)

    assert job["status"] == "success"
    assert marks(data) == 1


# Too much to do


def test_row_17_a_hundred_launches_wait_their_turn_and_their_timeouts_wait_with_them(data, start):
    holders = [flow(data, f"slow-{number}.yml", SLOW) for number in range(4)]
    queued = [made(data, f"quick-{number}.yml", step("set_fact", "v", value=1)) for number in range(96)]
    service = start(FLOW_MAX_WORKERS="4")
    for job_id in (held := [service.launch(path) for path in holders]):
        service.running_step(job_id, "wait")

    jobs = [service.launch(path, timeout_seconds=1) for path in queued]
    states = service.get("/api/jobs?state=pending&limit=500").json()["jobs"]
    first = datetime.fromisoformat(service.job(jobs[0])["queued_time"])
    until(lambda: (datetime.now(first.tzinfo) - first).total_seconds() > 1)
    service.post(f"/api/jobs/{held[0]}/cancel")
    ended = [service.finished(job_id) for job_id in jobs]

    assert len(states) == 96
    assert {job["status"] for job in ended} == {"success"}
    begun = [job["start_time"] for job in ended]
    assert begun == sorted(begun)
    assert [service.job(job_id)["state"] for job_id in held[1:]] == ["running"] * 3
