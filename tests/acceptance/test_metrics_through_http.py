"""The numbers for a monitor, of a service that does something."""

from __future__ import annotations

import time

import requests
from flows import QUICK, SLOW
from prometheus_client.parser import text_string_to_metric_families
from services import flow, until

from engine.models.job import Status


def scraped(service):
    """Each number, by its name and the value of its label."""
    answer = service.get("/metrics")
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.text)
    return {(sample.name, *sample.labels.values()): sample.value for family in families for sample in family.samples}


def test_the_numbers_follow_what_the_service_does(data, start):
    flow(data, "slow.yml", SLOW)
    flow(data, "quick.yml", QUICK)
    service = start(FLOW_MAX_WORKERS="1")
    before = scraped(service)

    service.run("quick.yml")
    service.running_step(service.launch("slow.yml"), "wait")
    service.launch("quick.yml")
    began = time.time()
    assert service.post("/api/tick").status_code == 200
    # The last tick is looked up once a second.
    during = until(lambda: (now := scraped(service))[("octoflow_last_tick_timestamp_seconds",)] > began - 5 and now)

    assert before[("octoflow_jobs", "running")] == before[("octoflow_last_tick_timestamp_seconds",)] == 0
    assert [before[("octoflow_jobs_ended_total", status)] for status in Status] == [0] * len(Status)
    assert (during[("octoflow_jobs", "running")], during[("octoflow_jobs", "pending")]) == (1, 1)
    assert during[("octoflow_jobs_ended_total", "success")] == 1
    assert (during[("octoflow_jobs_running_here",)], during[("octoflow_workers",)]) == (1, 1)
    assert during[("octoflow_oldest_pending_seconds",)] > 0
    assert during[("octoflow_schedules_overdue",)] == 0


def test_a_stranger_and_a_key_of_some_flows_see_no_number(data, start):
    service = start()
    key = service.post("/api/keys", {"name": "some", "role": "viewer", "flows": "team/*"}).json()["token"]

    stranger = requests.get(f"{service.url}/metrics", timeout=20)
    limited = requests.get(f"{service.url}/metrics", headers={"Authorization": f"Bearer {key}"}, timeout=20)

    assert (stranger.status_code, limited.status_code) == (401, 403)
