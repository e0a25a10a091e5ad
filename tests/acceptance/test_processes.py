"""Job processes: what hangs, aborts, is killed or is stopped costs its own job only."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from services import flow, is_alive, until

ENDLESS = "name: endless\nsteps:\n  - name: spin\n    type: jq\n    jq: {expression: 'def f: f; f'}\n"
SLOW = (
    "name: slow\nfinally_step: tidy\nsteps:\n"
    "  - {name: first, type: set_fact, set_fact: {value: 41}}\n"
    "  - {name: wait, type: sleep, sleep: {seconds: 60}}\n"
    "  - {name: tidy, type: file, file: {path: output/tidy.json, mode: append, type: json, data_key: first}}\n"
)


def test_an_endless_jq_is_stopped_by_its_deadline_while_the_api_goes_on_answering(data, start):
    flow(data, "endless.yml", ENDLESS)
    service = start()
    service.get("/api/jobs")

    job_id = service.launch("endless.yml", timeout_seconds=1)
    service.running_step(job_id, "spin")
    times = []
    while service.job(job_id)["state"] != "finished":
        begun = time.perf_counter()
        assert service.get("/api/jobs").status_code == 200
        times.append(time.perf_counter() - begun)
    job = service.job(job_id)

    assert (job["status"], job["reason"]) == ("failed", "timeout")
    assert job["errors"][0]["step"] == "spin"
    assert "timed out after 1 seconds" in job["errors"][0]["error"]
    assert 1 <= job["duration_seconds"] < 5
    assert sorted(times)[len(times) // 2] < 0.05


def test_a_timeout_runs_the_finally_step_over_what_the_finished_steps_left(data, start):
    flow(
        data,
        "endless.yml",
        ENDLESS.replace("name: endless", "name: endless\nfinally_step: tidy").replace(
            "steps:\n", "steps:\n  - {name: first, type: set_fact, set_fact: {value: 41}}\n"
        )
        + "  - {name: tidy, type: file, file: {path: output/tidy.json, mode: write, type: json, data_key: first}}\n",
    )
    service = start()

    job = service.run("endless.yml", timeout_seconds=1)

    assert (job["status"], job["reason"]) == ("failed", "timeout")
    assert (data / "output" / "tidy.json").read_text().strip() == "41"
    assert [step["name"] for step in job["steps"]] == ["first", "spin", "tidy"]
    assert job["steps"][-1]["is_finally"]
    assert job["result"]["first"] == 41


ABORTED = "step 'eat': the job's process was killed by SIGABRT, as jq does when memory runs out"


@pytest.mark.parametrize(
    ("expression", "timeout_seconds", "reason", "sentence"),
    [
        ("def f: 1+f; f", 60, "limit", ABORTED),
        ('"x" | . * 2000000000', 60, "limit", ABORTED),
        ("[range(1e9)]", 60, "limit", ABORTED),
        ("last(range(infinite))", 2, "timeout", "The job timed out after 2 seconds."),
    ],
)
def test_a_jq_that_eats_its_process_costs_its_own_job_only(data, start, expression, timeout_seconds, reason, sentence):
    flow(data, "evil.yml", f"name: evil\nsteps:\n  - name: eat\n    type: jq\n    jq: {{expression: '{expression}'}}\n")
    flow(data, "good.yml", "name: good\nsteps:\n  - {name: v, type: set_fact, set_fact: {value: 1}}\n")
    service = start(JOB_MEMORY_MB="256")

    evil = service.launch("evil.yml", timeout_seconds=timeout_seconds)
    good = service.run("good.yml")
    job = service.finished(evil)

    assert good["status"] == "success"
    assert (job["status"], job["reason"]) == ("failed", reason)
    assert job["errors"] == [{"step": "eat", "type": "jq", "error": sentence}]
    assert service.run("good.yml")["status"] == "success"


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


def test_a_killed_service_takes_its_jobs_along_and_the_next_tick_closes_them(data, start):
    flow(data, "slow.yml", SLOW)
    service, other = start(), start()
    job_id = service.launch("slow.yml")
    other.running_step(job_id, "wait")
    owner, survivor = (service, other) if _runs(service) else (other, service)
    processes, workers = owner.job_processes(), owner.workers()

    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    owner.process.kill()
    begun = time.monotonic()
    until(lambda: not [pid for pid in processes if is_alive(pid)], 5)
    gone = time.monotonic() - begun
    until(lambda: not [pid for pid in workers if is_alive(pid)], 5)
    survivor.post("/api/tick")
    job = survivor.finished(job_id)

    assert processes
    assert gone < 1
    assert (job["status"], job["reason"]) == ("failed", "worker_lost")
    assert [(step["name"], step["status"]) for step in job["steps"]] == [
        ("first", "success"),
        ("wait", "stopped"),
        ("tidy", "success"),
    ]
    assert (data / "output" / "tidy.json").read_text() == "41\n"
    assert survivor.post("/api/jobs", {"path": "slow.yml"}).status_code == 202


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


def _runs(service):
    """Whether the running job is this service's: the row names the process that owns it."""
    import sqlite3

    with sqlite3.connect(service.data / "jobs.sqlite") as database:
        owners = [row[0] for row in database.execute("SELECT owner FROM jobs WHERE state = 'running'")]
    return any(owner.split(":")[1] in map(str, service.workers()) for owner in owners)


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


def test_a_dead_forkserver_is_replaced_and_no_job_is_lost(data, start):
    flow(data, "good.yml", "name: good\nsteps:\n  - {name: v, type: set_fact, set_fact: {value: 1}}\n")
    service = start()
    assert service.run("good.yml")["status"] == "success"
    dead = service.forkservers()

    for pid in dead:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not [pid for pid in dead if is_alive(pid)])
    jobs = [service.run("good.yml") for _ in range(3)]

    assert dead
    assert [job["status"] for job in jobs] == ["success"] * 3
    assert service.forkservers() != dead


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


def test_fifty_launches_at_once_over_two_services_start_one_job(data, start):
    flow(data, "slow.yml", "name: slow\nsteps:\n  - {name: wait, type: sleep, sleep: {seconds: 60}}\n")
    services = start(), start()
    for service in services:
        service.get("/api/jobs")
    barrier = threading.Barrier(50)
    answers = []

    def launch(number):
        import requests
        from services import TOKEN

        service = services[number % 2]
        barrier.wait()
        answer = requests.post(
            service.url + "/api/jobs",
            json={"path": ("slow.yml", "./slow.yml")[number % 4 // 2]},
            headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=30,
        )
        answers.append((answer.status_code, answer.json()["job_id"]))

    threads = [threading.Thread(target=launch, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(status for status, _ in answers) == [202] + [409] * 49
    assert len({job_id for _, job_id in answers}) == 1
