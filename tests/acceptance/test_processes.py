"""Job processes: what hangs, aborts, is killed or is stopped costs its own job only."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from services import flow

SLOW = (
    "name: slow\nfinally_step: tidy\nsteps:\n"
    "  - {name: first, type: set_fact, set_fact: {value: 41}}\n"
    "  - {name: wait, type: sleep, sleep: {seconds: 60}}\n"
    "  - {name: tidy, type: file, file: {path: output/tidy.json, mode: append, type: json, data_key: first}}\n"
)


def test_a_jq_that_eats_the_process_that_compiles_it_is_refused_and_nobody_else_notices(data, start):
    flow(data, "evil.yml", "name: evil\nsteps:\n  - {name: eat, type: jq, jq: {expression: '\"x\" * 2000000000'}}\n")
    flow(data, "good.yml", "name: good\nsteps:\n  - {name: v, type: jq, jq: {expression: 1 + 1}}\n")
    service = start(JOB_MEMORY_MB="256")
    workers = service.workers()

    answers = [service.post("/api/jobs", {"path": "evil.yml"}) for _ in range(3)]
    schedule = service.post("/api/schedules", {"path": "evil.yml", "every_seconds": 60})

    assert [answer.status_code for answer in (*answers, schedule)] == [400] * 4
    [problem] = schedule.json()["details"]
    assert (problem["code"], problem["path"], problem["line"]) == ("expression", "steps.0.jq.expression", 3)
    assert "killed by SIGABRT" in problem["message"]
    assert service.run("good.yml")["result"]["v"] == 2
    assert workers
    assert service.workers() == workers
    assert all("/jq." not in Path(f"/proc/{pid}/maps").read_text() for pid in workers)


TRAPS = ("gunicorn.py", "dateparser.py", "selectors.py", "engine/__init__.py", "functions/__init__.py")


def test_a_service_imports_nothing_from_its_current_folder(data, start):
    marker = data / "imported"
    for trap in TRAPS:
        (data / trap).parent.mkdir(exist_ok=True)
        (data / trap).write_text(f"with open({str(marker)!r}, 'a') as file:\n    file.write({trap!r})\n")
    flow(data, "good.yml", "name: good\nsteps:\n  - {name: v, type: set_fact, set_fact: {value: 1}}\n")

    service = start(cwd=data)
    answer = service.get("/api/jobs?start_time_from=yesterday 14:00")
    job = service.run("good.yml")

    assert answer.status_code == 200
    assert job["status"] == "success"
    assert not marker.exists()


def test_a_killed_job_process_fails_its_job_and_says_so(data, start):
    flow(data, "slow.yml", SLOW)
    service = start()
    job_id = service.launch("slow.yml")
    service.running_step(job_id, "wait")

    for pid in service.job_processes():
        os.kill(pid, signal.SIGKILL)
    job = service.finished(job_id)

    assert (job["status"], job["reason"]) == ("failed", "process_died")
    assert "killed by SIGKILL" in job["errors"][0]["error"]
    assert (data / "output" / "tidy.json").read_text() == "41\n"


def test_children_are_kept_warm_and_reused(data, start):
    flow(data, "good.yml", "name: good\nsteps:\n  - {name: v, type: set_fact, set_fact: {value: 1}}\n")
    service = start()
    service.run("good.yml")
    before = service.job_processes()

    for _ in range(5):
        service.run("good.yml")

    assert before
    assert service.job_processes() == before


def test_a_job_process_has_no_environment_and_no_database(data, start):
    flow(data, "slow.yml", "name: slow\nsteps:\n  - {name: wait, type: sleep, sleep: {seconds: 60}}\n")
    service = start(SOME_CANARY="canary-in-the-environment")
    service.running_step(service.launch("slow.yml"), "wait")

    processes = service.job_processes() + service.forkservers()
    environments = [Path(f"/proc/{pid}/environ").read_bytes() for pid in processes]
    files = [os.readlink(f"/proc/{pid}/fd/{fd}") for pid in processes for fd in os.listdir(f"/proc/{pid}/fd")]

    assert processes
    assert not [text for text in environments if b"canary" in text or b"TOKEN" in text]
    assert not [name for name in files if "jobs.sqlite" in name]
