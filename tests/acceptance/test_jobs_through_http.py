"""A flow runs as a job, from an HTTP launch to a finished row."""

from __future__ import annotations

import pytest
from services import flow, is_alive

HELLO = """
name: hello
steps:
  - name: greet
    type: jinja
    jinja:
      template: "Hello {{ name }}"
  - name: count
    type: jq
    jq:
      expression: .greet | length
"""


def test_a_launch_answers_before_the_job_has_run_and_the_job_then_succeeds(data, start):
    flow(data, "slow.yml", "name: slow\nsteps:\n  - {name: wait, type: sleep, sleep: {seconds: 3}}\n")
    service = start()

    answer = service.post("/api/jobs", {"path": "slow.yml"})

    assert answer.status_code == 202
    assert service.job(answer.json()["job_id"])["state"] != "finished"
    job = service.finished(answer.json()["job_id"])
    assert job["status"] == "success"
    assert job["duration_seconds"] >= 3


def test_a_job_shows_its_input_its_steps_and_its_result(data, start):
    flow(data, "hello.yml", HELLO)
    service = start()

    job = service.run("hello.yml", {"name": "Ada"})

    assert job["result"]["greet"] == "Hello Ada"
    assert job["result"]["count"] == 9
    assert job["result"]["__input__"] == {"name": "Ada"}
    assert "name" not in job["result"]
    assert [(step["name"], step["status"], step["output"]) for step in job["steps"]] == [
        ("greet", "success", "Hello Ada"),
        ("count", "success", 9),
    ]


def test_a_job_outlives_an_edit_of_its_flow(data, start):
    flow(
        data,
        "f.yml",
        "name: f\nsteps:\n  - {name: wait, type: sleep, sleep: {seconds: 1}}\n"
        "  - {name: v, type: set_fact, set_fact: {value: old}}\n",
    )
    service = start()

    job_id = service.launch("f.yml")
    flow(data, "f.yml", "name: f\nsteps:\n  - {name: v, type: set_fact, set_fact: {value: new}}\n")
    old = service.finished(job_id)
    new = service.run("f.yml")

    assert old["result"]["v"] == "old"
    assert new["result"]["v"] == "new"
    assert old["revision"] != new["revision"]


def test_a_second_launch_of_a_running_flow_is_refused_with_the_job_that_runs(data, start):
    flow(data, "slow.yml", "name: slow\nsteps:\n  - {name: wait, type: sleep, sleep: {seconds: 30}}\n")
    service = start()

    job_id = service.launch("slow.yml")
    for spelling in ("slow.yml", "./slow.yml", "x/../slow.yml"):
        (data / "flows" / "x").mkdir(exist_ok=True)
        answer = service.post("/api/jobs", {"path": spelling})

        assert answer.status_code == 409, spelling
        assert answer.json()["error"] == "A job for this flow is already running."
        assert answer.json()["job_id"] == job_id


def test_a_cancelled_job_runs_its_finally_step_and_frees_its_flow(data, start):
    flow(
        data,
        "slow.yml",
        "name: slow\nfinally_step: tidy\nsteps:\n"
        "  - {name: before, type: set_fact, set_fact: {value: 1}}\n"
        "  - {name: wait, type: sleep, sleep: {seconds: 60}}\n"
        "  - {name: tidy, type: file, file: {path: output/tidy.json, mode: write, type: json, data_key: before}}\n",
    )
    service = start()
    job_id = service.launch("slow.yml")
    service.running_step(job_id, "wait")

    answer = service.post(f"/api/jobs/{job_id}/cancel")
    job = service.finished(job_id)

    assert answer.status_code == 202
    assert answer.json() == {"job_id": job_id, "state": "stopping"}
    assert (job["status"], job["reason"]) == ("cancelled", "cancelled")
    assert (data / "output" / "tidy.json").read_text().strip() == "1"
    assert [step["status"] for step in job["steps"]] == ["success", "stopped", "success"]
    assert service.post(f"/api/jobs/{job_id}/cancel").status_code == 409
    assert service.post("/api/jobs", {"path": "slow.yml"}).status_code == 202


def test_jobs_over_the_limit_wait_and_start_by_priority(data, start):
    for name in ("a", "b", "c"):
        flow(data, f"{name}.yml", f"name: {name}\nsteps:\n  - {{name: wait, type: sleep, sleep: {{seconds: 0.3}}}}\n")
    service = start(FLOW_MAX_WORKERS="1")

    first = service.launch("a.yml")
    service.running_step(first, "wait")
    later = service.launch("b.yml", priority=5)
    sooner = service.launch("c.yml", priority=-5)
    states = {service.job(later)["state"], service.job(sooner)["state"]}
    jobs = [service.finished(job_id) for job_id in (first, sooner, later)]

    assert states == {"pending"}
    assert [job["start_time"] for job in jobs] == sorted(job["start_time"] for job in jobs)


def test_the_outputs_of_steps_are_kept_as_long_as_they_are_not_more_than_a_result_may_be(data, start):
    step = "  - {{name: {0}, type: jq, result_key: big, jq: {{expression: '\"x\" * 10000'}}}}\n"
    flow(data, "big.yml", "name: big\nsteps:\n" + "".join(step.format(name) for name in "abcd"))
    service = start(MAX_RESULT_BYTES="25000")

    job = service.run("big.yml")
    lines = service.get(f"/api/jobs/{job['id']}/logs").json()["logs"]

    assert (job["status"], len(job["result"]["big"])) == ("success", 10000)
    assert [len(step["output"] or "") for step in job["steps"]] == [10000, 10000, 0, 0]
    assert [line["level"] for line in lines if "MAX_RESULT_BYTES" in line["message"]] == ["warning"]


def test_every_form_of_the_service_shares_one_data_folder(data, start):
    flow(data, "hello.yml", HELLO)
    container = start()
    development = start("functions-framework", target="api")
    launch_only = start("functions-framework", target="launch_job", wait="/api/jobs")

    for service in (container, development, launch_only):
        job_id = service.launch("hello.yml", {"name": "Ada"})

        assert container.finished(job_id)["status"] == "success"
        assert development.job(job_id)["result"]["count"] == 9
    assert launch_only.get("/api/jobs").status_code == 405
    assert launch_only.get("/healthz").status_code == 404


def test_a_stopped_service_leaves_with_zero_and_no_process_behind(data, start):
    flow(data, "hello.yml", HELLO)
    service = start()
    service.run("hello.yml", {"name": "Ada"})
    left_over = service.forkservers() + service.job_processes()
    code = service.stop()

    assert code == 0
    assert left_over
    assert not [pid for pid in left_over if is_alive(pid)]


@pytest.mark.parametrize("kind", ["serve", "functions-framework"])
def test_a_pending_job_is_taken_by_a_service_that_is_only_asked_for_its_health(data, start, kind):
    flow(data, "hello.yml", HELLO)
    busy = start(FLOW_MAX_WORKERS="1")
    flow(data, "slow.yml", "name: slow\nsteps:\n  - {name: wait, type: sleep, sleep: {seconds: 60}}\n")
    busy.running_step(busy.launch("slow.yml"), "wait")
    job_id = busy.launch("hello.yml", {"name": "Ada"})
    busy.kill()

    service = start(kind)

    assert service.finished(job_id)["status"] == "success"
