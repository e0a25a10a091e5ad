"""What the flows of one job share."""

from __future__ import annotations

from threading import Barrier, Thread

import pytest
import requests

from engine.models.limits import RunLimits
from engine.runner.job import JobRun


@pytest.fixture
def job(message, host, data_path):
    return JobRun(host, RunLimits(data_path=str(data_path)), message("steps: [{name: a, type: debug, debug: {}}]"))


def test_threads_that_ask_at_the_same_moment_share_one_session(job):
    meet, sessions = Barrier(8), []

    def ask():
        meet.wait(10)
        sessions.append(job.session())

    threads = [Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(sessions) == 8
    assert len({id(session) for session in sessions}) == 1
    job.close()


def test_the_session_takes_nothing_from_the_environment(job):
    assert job.session().trust_env is False
    job.close()


def test_a_flow_is_parsed_once(job):
    assert job.flow(job.revision, job.path) is job.flow(job.revision, job.path)


def test_a_job_without_a_timeout_has_no_deadline(job):
    assert job.remaining_seconds() == float("inf")


def test_the_deadline_counts_from_the_jobs_start(message, host, data_path):
    flow = "steps: [{name: a, type: debug, debug: {}}]"
    job = JobRun(host, RunLimits(data_path=str(data_path)), message(flow, timeout_seconds=60.0))

    assert 0 < job.remaining_seconds() <= 60


def test_the_connections_are_closed_at_the_end_of_the_job(run, peer, monkeypatch):
    closed = []
    close = requests.Session.close
    monkeypatch.setattr("requests.Session.close", lambda session: (closed.append(session), close(session)))

    run([{"name": "call", "type": "rest", "rest": {"uri": peer(200, "{}")}}])

    assert len(closed) == 1
