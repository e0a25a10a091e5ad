"""What may stand behind the question mark."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.models.job import JobFilter, State, Status


def test_every_filter_reaches_the_engine(client, engine):
    query = {
        "state": "finished", "status": "failed", "path": "a/b.yml", "schedule_id": "s1", "limit": "10", "offset": "20",
        "before": "019a",
        "start_time_from": "2026-03-01", "start_time_to": "2026-03-02T10:00:00Z",
        "end_time_from": "1772359200", "end_time_to": "2 hours ago",
    }  # fmt: skip

    answer = client.get("/api/jobs", query_string=query)

    assert answer.status_code == 200
    assert engine.asked[-1][1] == JobFilter(
        state=State.FINISHED,
        status=Status.FAILED,
        path="a/b.yml",
        schedule_id="s1",
        start_time_from=datetime(2026, 2, 28, 23, tzinfo=UTC),
        start_time_to=datetime(2026, 3, 2, 10, tzinfo=UTC),
        end_time_from=datetime(2026, 3, 1, 10, tzinfo=UTC),
        end_time_to=datetime(2026, 3, 15, 10, tzinfo=UTC),
        before="019a",
        limit=11,
        offset=20,
    )
    assert type(engine.asked[-1][1]) is JobFilter


def test_without_a_query_there_are_defaults(client, engine):
    client.get("/api/jobs")

    assert engine.asked[-1][1] == JobFilter(limit=51)


def test_an_empty_value_counts_as_not_given(client, engine):
    client.delete("/api/jobs?older_than_days=30&state=&status=")

    assert engine.asked[-1] == ("delete_jobs", {"older_than_days": 30.0, "state": None, "status": None})


def test_deleting_without_a_filter_is_refused(client):
    assert client.delete("/api/jobs").status_code == 400
    assert client.delete("/api/jobs?state=").status_code == 400


@pytest.mark.parametrize(
    ("query", "field", "words"),
    [
        ("limit=0", "limit", "must be a whole number from 1 to 500, not '0'"),
        ("limit=501", "limit", "from 1 to 500"),
        ("limit=-1", "limit", "from 1 to 500"),
        ("limit=ten", "limit", "not 'ten'"),
        ("limit=1.5", "limit", "not '1.5'"),
        ("limit=١", "limit", "whole number"),
        ("limit=5%00", "limit", "whole number"),
        ("offset=-1", "offset", "must be a whole number from 0 to 1 000 000 000"),
        ("offset=99999999999999999999", "offset", "whole number"),
        ("state=done", "state", "must be one of blocked, pending, running"),
        ("status=FAILED", "status", "must be one of success, failed"),
        ("start_time_from=whenever", "start_time_from", "'whenever' is not a time"),
        ("end_time_to=99999999999999", "end_time_to", "is not a time"),
        ("count=maybe", "count", "must be true or false"),
        ("path=a%00b", "path", "without a NUL"),
        ("path=" + "x" * 1025, "path", "at most 1024 characters"),
        ("limit=5&limit=6", "limit", "was given 2 times"),
        ("page=2", "page", "is not known here (known: state, status, path"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_named(client, query, field, words):
    answer = client.get("/api/jobs?" + query)

    assert answer.status_code == 400
    assert [each["field"] for each in answer.json["details"]] == [field]
    assert words in answer.json["error"]


def test_all_wrong_parameters_are_told_at_once(client):
    answer = client.get("/api/jobs?limit=x&state=y&z=1")

    assert {each["field"] for each in answer.json["details"]} == {"limit", "state", "z"}


@pytest.mark.parametrize("days", ["nan", "inf", "-1", "1e9", "soon"])
def test_an_age_must_be_a_number_of_days(client, days):
    assert client.delete(f"/api/jobs?older_than_days={days}").status_code == 400


def test_an_operation_without_a_query_takes_none(client, engine):
    answer = client.delete("/api/jobs/job-1?dry_run=true")

    assert answer.status_code == 400
    assert "`dry_run` is not known here (this operation takes none)" in answer.json["error"]
    assert "job-1" in engine.held


def test_health_checks_may_carry_a_query(client):
    assert client.get("/healthz?t=123").status_code == 200


def test_a_plus_that_was_not_encoded_is_read_all_the_same(client, engine):
    client.get("/api/jobs?start_time_from=2026-03-01T12:00:00+02:00")

    assert engine.asked[-1][1].start_time_from == datetime(2026, 3, 1, 10, tzinfo=UTC)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    name=st.sampled_from(["state", "limit", "offset", "path", "start_time_from", "end_time_to", "count"]),
    value=st.text(st.characters(codec="utf-8"), max_size=40),
)
def test_no_value_breaks_a_list(client, name, value):
    assert client.get("/api/jobs", query_string={name: value}).status_code in (200, 400)
