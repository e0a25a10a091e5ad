"""The operations on schedules and the clock's health: what they ask of the engine and how they answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from fake_schedules import NOON, a_schedule

from engine.errors import ClockSilent, ScheduleExists
from engine.models.schedule import Misfire, Overlap, ScheduleFilter, ScheduleSource, Slot, Timing, Verdict

SHOWN = {
    "schedule_id": "schedule-1",
    "path": "hello.yml",
    "cron": "0 * * * *",
    "every_seconds": None,
    "timezone": None,
    "overlap": "skip",
    "misfire": "latest",
    "misfire_grace_seconds": None,
    "timeout_seconds": None,
    "data": None,
    "source": "api",
    "state": "active",
    "created_time": "2026-03-15T13:00:00.000+01:00",
    "next_run_time": "2026-03-15T14:00:00.000+01:00",
    "last_job_id": None,
    "last_error": None,
    "last_slot": None,
}
EVERY_FIELD = {
    "path": "a/b.yml",
    "cron": "0 6 * * mon-fri",
    "timezone": "Europe/Berlin",
    "overlap": "queue",
    "misfire": "skip",
    "misfire_grace_seconds": 60,
    "timeout_seconds": 2.5,
    "data": {"n": [1, None]},
}


# Making


def test_a_schedule_is_made_of_all_that_the_body_says(client, engine):
    answer = client.post("/api/schedules", json=EVERY_FIELD)

    assert (answer.status_code, answer.json) == (201, {"schedule_id": "schedule-new"})
    fields = {name: value for name, value in EVERY_FIELD.items() if name != "path"}
    assert engine.asked[-1] == ("create_schedule", "a/b.yml", {**fields, "every_seconds": None})


def test_what_the_body_leaves_out_is_left_to_defaults(client, engine):
    client.post("/api/schedules", json={"path": "a.yml", "every_seconds": 60})

    assert engine.asked[-1][2] == {
        "cron": None,
        "every_seconds": 60,
        "timezone": None,
        "overlap": Overlap.SKIP,
        "misfire": Misfire.LATEST,
        "misfire_grace_seconds": None,
        "timeout_seconds": None,
        "data": None,
    }


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"every_seconds": -5}, "every_seconds", "must be a whole number from 1 to 31 536 000, not -5"),
        ({"every_seconds": 0}, "every_seconds", "from 1 to 31 536 000, not 0"),
        ({"every_seconds": True}, "every_seconds", "31 536 000, not true"),
        ({"every_seconds": 1e12}, "every_seconds", "31 536 000, not 1000000000000"),
        ({"every_seconds": 10**12}, "every_seconds", "31 536 000, not 1000000000000"),
        ({"every_seconds": 1.5}, "every_seconds", "31 536 000, not 1.5"),
        ({"every_seconds": "60"}, "every_seconds", "31 536 000, not '60'"),
        ({}, "cron", "is required where there is no `every_seconds`"),
        ({"cron": None, "every_seconds": None}, "cron", "is required"),
        ({"cron": "@daily", "every_seconds": 60}, "every_seconds", "together with `cron`"),
        ({"cron": ""}, "cron", "must not be empty"),
        ({"cron": "*" * 256}, "cron", "at most 255 characters, not 256"),
        ({"cron": 5}, "cron", "must be text, not a number"),
        (
            {"cron": "@daily", "timezone": "Mars/Phobos"},
            "timezone",
            "must be a time zone of the tz database, such as UTC or Europe/Berlin, not 'Mars/Phobos'",
        ),
        ({"cron": "@daily", "timezone": ""}, "timezone", "must be a time zone"),
        ({"cron": "@daily", "timezone": "../../etc/passwd"}, "timezone", "must be a time zone"),
        ({"cron": "@daily", "timezone": "Europe"}, "timezone", "must be a time zone"),
        ({"cron": "@daily", "timezone": "\0"}, "timezone", "must be a time zone"),
        ({"cron": "@daily", "overlap": "allow"}, "overlap", "must be 'skip' or 'queue', not 'allow'"),
        ({"cron": "@daily", "misfire": "all"}, "misfire", "must be 'latest' or 'skip', not 'all'"),
        ({"cron": "@daily", "misfire_grace_seconds": 0}, "misfire_grace_seconds", "from 1 to 31 536 000, not 0"),
        ({"cron": "@daily", "misfire_grace_seconds": 10**9}, "misfire_grace_seconds", "31 536 000, not 1000000000"),
        (
            {"cron": "@daily", "timeout_seconds": 0.5},
            "timeout_seconds",
            "must be a number from 1 to 2 592 000, not 0.5",
        ),
        ({"cron": "@daily", "timeout_seconds": 2_592_001}, "timeout_seconds", "not 2592001"),
        ({"cron": "@daily", "priority": 1}, "priority", "is not known here"),
        ({"cron": "@daily", "path": ""}, "path", "must not be empty"),
    ],
)
def test_a_body_that_cannot_be_used_is_refused_by_the_fields_name(client, engine, changes, field, words):
    answer = client.post("/api/schedules", json={"path": "a.yml", **changes})

    assert answer.status_code == 400
    assert words in answer.json["error"]
    assert [each["field"] for each in answer.json["details"]] == [field]
    assert not any(asked[0] == "create_schedule" for asked in engine.asked)


def test_a_schedule_that_is_there_already_is_named(client, engine):
    engine.error = ScheduleExists("schedule-1")

    answer = client.post("/api/schedules", json={"path": "a.yml", "every_seconds": 60})

    assert answer.status_code == 409
    assert (answer.json["code"], answer.json["schedule_id"]) == ("schedule_exists", "schedule-1")


# Looking


def test_a_schedule_is_shown_whole(client):
    answer = client.get("/api/schedules/schedule-1")

    assert (answer.status_code, answer.json) == (200, SHOWN)


def test_a_schedule_that_is_paused_has_no_next_run_and_shows_what_it_did_last(client, engine):
    slot = Slot(NOON, Verdict.EXPIRED, NOON + timedelta(hours=2), "too late", count=3, first_due_time=NOON)
    engine.kept["schedule-1"] = a_schedule(
        timing=Timing(NOON, every_seconds=90),
        source=ScheduleSource.CONFIG,
        is_paused=True,
        next_due=None,
        last_job_id="job-1",
        last_error="There is no flow 'hello.yml' in FLOWS_PATH.",
        last_slot=slot,
    )

    shown = client.get("/api/schedules/schedule-1").json

    assert shown == SHOWN | {
        "cron": None,
        "every_seconds": 90,
        "source": "config",
        "state": "paused",
        "next_run_time": None,
        "last_job_id": "job-1",
        "last_error": "There is no flow 'hello.yml' in FLOWS_PATH.",
        "last_slot": {
            "due_time": "2026-03-15T13:00:00.000+01:00",
            "first_due_time": "2026-03-15T13:00:00.000+01:00",
            "count": 3,
            "verdict": "expired",
            "reason": "too late",
            "job_id": None,
            "tick_time": "2026-03-15T15:00:00.000+01:00",
        },
    }


@pytest.mark.parametrize(
    ("query", "ids", "following"),
    [
        ("limit=2", ["schedule-1", "schedule-2"], 2),
        ("limit=2&offset=2", ["schedule-3"], None),
        ("limit=3", ["schedule-1", "schedule-2", "schedule-3"], None),
        ("limit=1&offset=9", [], None),
    ],
)
def test_pages(client, query, ids, following):
    page = client.get("/api/schedules?" + query).json

    assert [schedule["schedule_id"] for schedule in page["schedules"]] == ids
    assert page["next"] == following
    assert "total" not in page


def test_the_schedules_of_one_document_are_listed_and_counted(client, engine):
    page = client.get("/api/schedules?path=a.yml&count=true").json

    assert engine.asked[-2:] == [
        ("schedules", ScheduleFilter(path="a.yml", limit=51)),
        ("count_schedules", ScheduleFilter(path="a.yml")),
    ]
    assert (page["limit"], page["offset"], page["total"]) == (50, 0, 3)


def test_slots_come_newest_first_and_each_page_names_the_next(client, engine):
    first = client.get("/api/schedules/schedule-1/slots?limit=2").json
    second = client.get("/api/schedules/schedule-1/slots?limit=2&before=" + first["next"]).json

    assert [slot["job_id"] for slot in first["slots"]] == ["job-0", "job-1"]
    assert first["next"] == "2026-03-15T12:00:00.000+01:00"
    assert engine.asked[-1] == ("slots", "schedule-1", 3, datetime(2026, 3, 15, 11, tzinfo=UTC))
    assert [slot["job_id"] for slot in second["slots"]] == ["job-2"]
    assert second["next"] is None


def test_a_forecast_has_its_runs_and_warnings(client, engine):
    answer = client.get("/api/schedules/forecast?hours=1.5&limit=7&path=hello.yml")

    assert answer.status_code == 200
    assert engine.asked[-1] == ("forecast", 1.5, 7, "hello.yml")
    assert answer.json == {
        "runs": [
            {
                "schedule_id": "schedule-1",
                "path": "hello.yml",
                "time": "2026-03-15T13:00:00.000+01:00",
                "local_time": "2026-03-15T21:00:00.000+09:00",
                "timezone": "Asia/Tokyo",
            }
        ],
        "warnings": [
            {
                "code": "crowded",
                "message": "Many at once.",
                "schedule_id": None,
                "path": None,
                "time": "2026-03-15T13:00:00.000+01:00",
            },
            {
                "code": "never_due",
                "message": "Never due.",
                "schedule_id": "schedule-2",
                "path": "hello.yml",
                "time": None,
            },
        ],
        "truncated": True,
    }


def test_a_forecast_looks_a_day_ahead_and_at_most_a_year(client, engine):
    client.get("/api/schedules/forecast")
    refused = client.get("/api/schedules/forecast?hours=8785&limit=0")

    assert engine.asked[-2] == ("forecast", 24.0, 500, None)
    assert refused.status_code == 400
    assert [each["field"] for each in refused.json["details"]] == ["hours", "limit"]


# Changing


def test_pause_and_resume_answer_with_the_schedule(client):
    paused = client.post("/api/schedules/schedule-1/pause")
    resumed = client.post("/api/schedules/schedule-1/resume")

    assert (paused.status_code, paused.json) == (200, SHOWN | {"state": "paused", "next_run_time": None})
    assert (resumed.status_code, resumed.json) == (200, SHOWN)


def test_delete(client, engine):
    answer = client.delete("/api/schedules/schedule-1")

    assert (answer.status_code, answer.json) == (200, {"schedule_id": "schedule-1", "deleted": True})
    assert "schedule-1" not in engine.kept


@pytest.mark.parametrize(("method", "place"), [("GET", ""), ("DELETE", ""), ("POST", "/pause"), ("POST", "/resume")])
def test_a_schedule_that_is_not_there(client, method, place):
    answer = client.open(f"/api/schedules/nothing{place}", method=method)

    assert answer.status_code == 404
    assert answer.json == {"error": "There is no schedule 'nothing'.", "code": "schedule_not_found"}


# Who may


@pytest.mark.parametrize(
    ("method", "path", "least"),
    [
        ("GET", "/api/schedules", "viewer"),
        ("GET", "/api/schedules/schedule-1", "viewer"),
        ("GET", "/api/schedules/schedule-1/slots", "viewer"),
        ("GET", "/api/schedules/forecast", "viewer"),
        ("POST", "/api/schedules/schedule-1/pause", "operator"),
        ("POST", "/api/schedules/schedule-1/resume", "operator"),
        ("POST", "/api/schedules", "editor"),
        ("DELETE", "/api/schedules/schedule-1", "editor"),
        ("GET", "/api/flows", "viewer"),
        ("GET", "/api/flows/schedule-1", "viewer"),
        ("GET", "/api/locks", "viewer"),
        ("POST", "/api/flows/launch", "operator"),
        ("DELETE", "/api/locks/hello.yml", "operator"),
        ("DELETE", "/api/locks", "operator"),
        ("POST", "/api/flows/add", "editor"),
        ("DELETE", "/api/flows/schedule-1", "editor"),
    ],
)
def test_each_operation_needs_its_role(app_of, engine, method, path, least):
    client = app_of("api").test_client()
    ladder = ["viewer", "operator", "editor", "admin"]

    def is_admitted(role):
        headers = {"Authorization": f"Bearer {role}"}
        body = {"path": "a.yml"} | ({"every_seconds": 60} if least == "editor" else {})
        return client.open(path, method=method, headers=headers, json=body).status_code != 403

    assert [role for role in ladder if is_admitted(role)] == ladder[ladder.index(least) :]


# The clock


def test_the_clock_is_well(app_of, engine):
    answer = app_of("api").test_client().get("/healthz/tick")

    assert (answer.status_code, answer.json) == (200, {"status": "ok", "last_tick": "2026-03-15T13:00:00.000+01:00"})


def test_a_clock_that_was_never_heard_and_is_not_missed_is_well(app_of, engine):
    engine.ticked = None

    assert app_of("healthz_tick").test_client().get("/healthz/tick").json == {"status": "ok", "last_tick": None}
    assert app_of("api").test_client().get("/readyz").json["last_tick"] is None


def test_a_clock_that_is_silent_is_told(app_of, engine):
    engine.error = ClockSilent("No tick has come yet.")

    answer = app_of("api").test_client().get("/healthz/tick")

    assert answer.status_code == 503
    assert answer.json == {"error": "No tick has come yet.", "code": "clock_silent"}
