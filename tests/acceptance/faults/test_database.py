"""Faults of the database and its volume, by their numbers, as the callers of a service meet them."""

from __future__ import annotations

import json
import os
import resource
import sqlite3
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
import requests
from faults import fault, row
from flows import QUICK, SLOW, step
from services import Service, flow, is_alive, start_service, until
from stores import sqlite_database
from volumes import full, may_mount, read_only, small_volume

needs_mounts = pytest.mark.skipif(not may_mount(), reason="only root may mount a volume, where it may")


@pytest.fixture
def small(data: Path) -> Iterator[Path]:
    """The same on a volume of 8 MB."""
    with small_volume(data, 8):
        (data / "flows").mkdir()
        yield data


def refused_at_last(look: Callable[[], requests.Response]) -> requests.Response:
    """The first answer that is a refusal; there may be none at all before it, as when a service starts."""

    def refused() -> list[requests.Response]:
        with suppress(requests.ConnectionError):
            answer = look()
            return [answer] if answer.status_code >= 400 and answer.json().get("code") != "starting" else []
        return []

    return until(refused)[0]


@contextmanager
def held(data: Path) -> Iterator[None]:
    """Another process has the database to itself."""
    with closing(sqlite3.connect(data / "jobs.sqlite", timeout=10, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        yield


def sound(data: Path) -> bool:
    return row(data, "PRAGMA integrity_check") == "ok"


# The lock


def test_row_18_of_a_hundred_launches_at_once_over_two_services_one_starts_a_job(data, start):
    flow(data, "slow.yml", SLOW)
    services = start(), start()
    for service in services:
        service.get("/api/jobs")
    barrier = threading.Barrier(100)
    answers: list[tuple[int, str]] = []

    def launch(number: int) -> None:
        barrier.wait()
        answer = services[number % 2].ask("POST", "/api/jobs", {"path": ("slow.yml", "./slow.yml")[number % 4 // 2]})
        answers.append((answer.status_code, answer.json()["job_id"]))

    threads = [threading.Thread(target=launch, args=(number,)) for number in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(status for status, _ in answers) == [202] + [409] * 99
    assert len({job_id for _, job_id in answers}) == 1


def test_row_19_a_flow_is_locked_however_it_is_spelled(data, start):
    name = unicodedata.normalize("NFC", "é.yml")
    flow(data, name, SLOW)
    (data / "flows" / "a").mkdir()
    (data / "flows" / "link.yml").symlink_to(name)
    service = start()
    running = service.launch(name)

    spellings = [f"./{name}", f"a/../{name}", f"a//..//{name}", unicodedata.normalize("NFD", name), "link.yml"]
    answers = [service.post("/api/jobs", {"path": path}) for path in spellings]

    # A path that is not as it should be may be refused; what it may not is start a second job.
    assert {answer.status_code for answer in answers} <= {400, 404, 409}
    assert {answer.json()["job_id"] for answer in answers if answer.status_code == 409} == {running}
    assert answers[0].status_code == 409
    assert row(data, "SELECT count(*) FROM jobs") == 1


# A database that others hold


def test_row_20_a_launch_waits_for_a_database_that_is_held_for_a_moment(data, start):
    flow(data, "quick.yml", QUICK)
    service = start()
    answers: list[requests.Response] = []
    launching = threading.Thread(target=lambda: answers.append(service.ask("POST", "/api/jobs", {"path": "quick.yml"})))

    with held(data):
        launching.start()
        launching.join(0.5)
        waited = launching.is_alive()
    launching.join()

    assert waited
    assert [answer.status_code for answer in answers] == [202]
    assert service.finished(answers[0].json()["job_id"])["status"] == "success"


def test_row_20_and_is_answered_with_503_after_five_seconds_and_has_done_nothing(data, start):
    flow(data, "quick.yml", QUICK)
    service = start()
    before = service.run("quick.yml")["id"]

    with held(data):
        begun = time.monotonic()
        refused = service.ask("POST", "/api/jobs", {"path": "quick.yml"})
        seconds = time.monotonic() - begun
        listed = service.get("/api/jobs").json()["jobs"]

    assert (refused.status_code, refused.json()["code"]) == (503, "database_busy")
    assert refused.headers["Retry-After"]
    assert 4 < seconds < 15
    assert [job["id"] for job in listed] == [before]
    assert row(data, "SELECT count(*) FROM jobs") == 1
    assert service.run("quick.yml")["status"] == "success"


# The volume


@needs_mounts
def test_row_22_a_full_disk_refuses_launches_shows_what_is_there_and_loses_no_result(small, start):
    flow(small, "quick.yml", QUICK)
    large = step("jq", "large", expression='"x" * 400000')
    flow(small, "soon.yml", json.dumps({"name": "soon", "steps": [step("sleep", "wait", seconds=2), large]}))
    service = start()
    before = service.run("quick.yml")["id"]
    running = service.launch("soon.yml")
    service.running_step(running, "wait")

    with full(small):
        refused = refused_at_last(lambda: fill(service))
        shown = service.get(f"/api/jobs/{before}").json()
        ready = service.ask("GET", "/readyz")
        until(lambda: f"job {running}: The database" in service.text(), 20, service.text)
        state = row(small, "SELECT state FROM jobs WHERE id = ?", running)
    job = service.finished(running)

    assert (refused.status_code, refused.json()["code"]) == (503, "storage_full")
    assert shown["status"] == "success"
    assert ready.status_code == 503
    assert (state, job["status"], len(job["result"]["large"])) == ("running", "success", 400_000)
    assert sound(small)
    assert service.run("quick.yml")["status"] == "success"


def fill(service: Service) -> requests.Response:
    """Launch what takes room; a launch that is refused will do so again."""
    answer = service.ask("POST", "/api/jobs", {"path": "quick.yml", "data": "x" * 200_000})
    if answer.status_code == 202:
        service.launched.append(answer.json()["job_id"])
        service.finished(service.launched[-1])
    return answer


def test_row_22_a_file_that_may_not_grow_refuses_launches_likewise(data, start):
    flow(data, "quick.yml", QUICK)
    service = start()
    before = service.run("quick.yml")["id"]
    limits = {pid: resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in service.workers()}

    for pid in limits:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1 << 16, limits[pid][1]))
    refused = refused_at_last(lambda: fill(service))
    shown = service.get(f"/api/jobs/{before}").json()
    for pid, limit in limits.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limit)

    assert limits
    assert refused.status_code == 503
    assert refused.json()["code"] in ("storage_full", "database_down")
    assert shown["status"] == "success"
    assert sound(data)
    assert service.run("quick.yml")["status"] == "success"


def test_row_21_a_network_file_system_is_refused_and_no_database_is_made_there(data, start):
    service = start(wait="/healthz", **fault("engine.store.volumes:file_system", "nfs4"))

    refused = refused_at_last(lambda: service.ask("GET", "/readyz"))

    assert refused.status_code == 503
    assert f"{data}/jobs.sqlite would lie on a nfs4 file system" in refused.json()["error"]
    assert service.ask("POST", "/api/jobs", {"path": "quick.yml"}).status_code == 503
    assert not (data / "jobs.sqlite").exists()
    sqlite_database(data / "jobs.sqlite").dispose()  # What the fixture looks at afterwards.


@needs_mounts
def test_row_23_a_volume_that_cannot_be_written_is_told_by_its_path_and_served_once_it_can_be(data, start):
    flow(data, "quick.yml", QUICK)
    job = stopped(start(), "quick.yml")

    with read_only(data):
        service = start_service(data)
        try:
            refused = refused_at_last(lambda: service.ask("GET", "/readyz"))
            said = service.text()
        finally:
            service.session.close()
            service.kill()

    assert refused.status_code == 503
    assert f"{data}/jobs.sqlite cannot be reached or written" in refused.json()["error"]
    assert "Traceback" not in said
    assert start().job(job)["status"] == "success"


# The file


@pytest.mark.parametrize("damage", ["header", "pages"])
def test_row_24_a_damaged_database_is_refused_named_and_left_as_it_is(data, start, damage):
    flow(data, "quick.yml", QUICK)
    job = stopped(start(), "quick.yml")
    file, copy = data / "jobs.sqlite", (data / "jobs.sqlite").read_bytes()
    pages = range(1, len(copy) // 4096)
    damaged = b"\xff" * 4096 + copy[4096:] if damage == "header" else copy[:4096] + b"\xff" * 4096 * len(pages)
    file.write_bytes(damaged)

    service = start_service(data)
    try:
        refused = refused_at_last(lambda: service.ask("GET", "/readyz"))
        launch = service.ask("POST", "/api/jobs", {"path": "quick.yml"})
    finally:
        service.session.close()
        service.kill()
    left = file.read_bytes()
    file.write_bytes(copy)

    assert (refused.status_code, launch.status_code) == (503, 503)
    assert f"{file} is damaged" in refused.json()["error"]
    assert "Put a backup in its place" in refused.json()["error"]
    assert left == damaged
    assert start().job(job)["status"] == "success"


def test_row_25_a_copy_that_is_made_while_jobs_run_is_whole_and_can_be_served(data, start, tmp_path):
    flow(data, "quick.yml", QUICK)
    flow(data, "slow.yml", SLOW)
    service = start()
    ended = [service.run("quick.yml")["id"] for _ in range(3)]
    running = service.launch("slow.yml")
    service.running_step(running, "wait")
    with closing(sqlite3.connect(data / "jobs.sqlite")) as connection:
        connection.execute("VACUUM INTO ?", [str(tmp_path / "copy")])
    later = service.run("quick.yml")["id"]
    service.kill()
    for file in data.glob("jobs.sqlite*"):
        file.unlink()
    (tmp_path / "copy").rename(data / "jobs.sqlite")
    service.launched.remove(later)  # The copy is older.

    again = start()

    assert [again.job(id)["status"] for id in ended] == ["success"] * 3
    assert again.finished(running)["reason"] == "worker_lost"
    assert again.ask("GET", f"/api/jobs/{later}").status_code == 404
    assert again.run("quick.yml")["status"] == "success"


def test_row_25_without_the_newest_part_what_is_left_is_sound_or_refused(data, start):
    flow(data, "quick.yml", QUICK)
    service = start()
    jobs = [service.run("quick.yml")["id"] for _ in range(20)]
    service.kill()
    for suffix in ("-wal", "-shm"):
        (data / f"jobs.sqlite{suffix}").unlink()
    service.launched.clear()  # They were in the part that is gone.

    again = start()

    assert sound(data)
    assert {again.ask("GET", f"/api/jobs/{id}").status_code for id in jobs} <= {200, 404}
    assert again.run("quick.yml")["status"] == "success"


def test_row_26_no_process_but_the_one_that_serves_has_the_database_open(data, start):
    flow(data, "slow.yml", SLOW)
    service = start()
    service.running_step(service.launch("slow.yml"), "wait")

    others = {"forkserver": service.forkservers(), "job": service.job_processes()}
    having = {name: [pid for pid in pids if has_database(pid)] for name, pids in others.items()}

    assert all(others.values())
    assert having == {"forkserver": [], "job": []}
    assert any(map(has_database, service.workers()))


def has_database(pid: int) -> bool:
    names = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    return any("jobs.sqlite" in name for name in names)


# The rows


def test_row_32_a_job_that_runs_is_not_deleted_and_its_lock_never_vanishes(data, start):
    flow(data, "slow.yml", SLOW)
    service = start()
    running = service.launch("slow.yml")
    service.running_step(running, "wait")

    refused = service.session.delete(f"{service.url}/api/jobs/{running}")
    deleted = service.session.delete(f"{service.url}/api/jobs?older_than_days=0").json()
    again = service.post("/api/jobs", {"path": "slow.yml"})

    assert (refused.status_code, refused.json()["code"]) == (409, "job_active")
    assert deleted == {"deleted": 0}
    assert (again.status_code, again.json()["job_id"]) == (409, running)


def test_row_33_a_job_whose_row_is_gone_is_ended_by_its_next_renewal(data, start):
    flow(data, "quick.yml", QUICK)
    flow(data, "slow.yml", SLOW)
    service = start()
    running = service.launch("slow.yml")
    service.running_step(running, "wait")
    processes = service.job_processes()

    with closing(sqlite3.connect(data / "jobs.sqlite", timeout=10)) as connection, connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("DELETE FROM jobs WHERE id = ?", [running])
    service.launched.remove(running)

    until(lambda: not all(map(is_alive, processes)), 15, service.text)  # Others are kept for the next jobs.
    assert service.run("quick.yml")["status"] == "success"


def stopped(service: Service, path: str) -> str:
    """A job of this service, which has ended and left."""
    job = service.run(path)["id"]
    service.session.close()
    assert service.stop() == 0
    return job
