"""The settings: from the environment, checked, and told apart from what is secret."""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from engine.errors import SettingInvalid, StorageDown
from engine.settings import DEFAULT_TOKEN, Settings

SAMPLES = {
    "api_port": ("6001", 6001),
    "log_level": ("debug", "DEBUG"),
    "timezone": ("Europe/Berlin", ZoneInfo("Europe/Berlin")),
    "job_memory_mb": ("64", 64),
    "sqlalchemy_database_uri": ("mysql+pymysql://user@host/name", "mysql+pymysql://user@host/name"),
    "api_protocol": ("http, https", "http, https"),
    "log_max_bytes": ("7000", 7000),
    "egress_deny": ("10.0.0.0/8, ::1", "10.0.0.0/8,::1"),
    "egress_allow": ("127.0.0.1", "127.0.0.1"),
    "hashicorp_vault_cacert": (__file__, Path(__file__)),
    "egress_cacert": (__file__, Path(__file__)),
    "executor": ("Inline", "inline"),
    "tick_inside": ("true", True),
    "octoflow_url": ("https://octoflow.example.com/", "https://octoflow.example.com"),
}
PATHS = [field.name for field in fields(Settings) if field.name.endswith(("_path", "_file")) and field.default is None]


def sample(field):
    """A text for the variable, and the value that it means."""
    if field.name in SAMPLES:
        return SAMPLES[field.name]
    if field.name == "data_path" or field.name in PATHS:
        return "/some/place", Path("/some/place")
    return ("7", 7) if isinstance(field.default, int) else ("word", "word")


@pytest.mark.parametrize("field", fields(Settings), ids=lambda field: field.name)
def test_every_setting_is_read_from_its_variable(field):
    text, value = sample(field)

    settings = Settings.from_environment({field.name.upper(): f" {text} "})

    assert getattr(settings, field.name) == value


@pytest.mark.parametrize("field", fields(Settings), ids=lambda field: field.name)
def test_every_setting_says_what_it_is_for(field):
    assert field.metadata["help"].endswith(".")


@pytest.mark.parametrize("empty", ["", "  "])
@pytest.mark.parametrize("field", fields(Settings), ids=lambda field: field.name)
def test_an_empty_variable_is_unset(field, empty):
    assert Settings.from_environment({field.name.upper(): empty}) == Settings()


@pytest.mark.parametrize(
    ("variable", "text", "why"),
    [
        ("API_PORT", "abc", "must be a whole number"),
        ("API_PORT", "80.5", "must be a whole number"),
        ("API_PORT", "9" * 5000, "must be a whole number"),
        ("API_PORT", "0", "must be from 1 to 65535"),
        ("API_PORT", "65536", "must be from 1 to 65535"),
        ("PORT", "http", "must be a whole number"),
        ("FLOW_TIMEOUT_SECONDS", "0", "must be from 1 to 2592000"),
        ("FLOW_TIMEOUT_SECONDS", "-5", "must be from 1 to 2592000"),
        ("FLOW_MAX_WORKERS", "0", "must be from 1 to 256"),
        ("FLOW_MAX_WORKERS", "257", "must be from 1 to 256"),
        ("JOB_MEMORY_MB", "63", "must be from 64 to 1048576"),
        ("GRACE_SECONDS", "nan", "must be a whole number"),
        ("MAX_RECORDED_STEPS", "-1", "must be from 0 to 10000000"),
        ("LOG_LEVEL", "loud", "must be DEBUG, INFO, WARNING, ERROR or CRITICAL"),
        ("TIMEZONE", "Mars/Olympus", "is not a time zone of the tz database, such as UTC or Europe/Berlin"),
        ("TIMEZONE", "Europe", "is not a time zone of the tz database, such as UTC or Europe/Berlin"),
        ("TIMEZONE", "../../etc/passwd", "is not a time zone of the tz database, such as UTC or Europe/Berlin"),
        ("TIMEZONE", "/etc/localtime", "is not a time zone of the tz database, such as UTC or Europe/Berlin"),
        ("LOG_FILE_NAME", "a/b.log", "must be a file name without a folder"),
        ("LOG_FILE_NAME", "..", "must be a file name without a folder"),
        ("DATA_PATH", "a\0b", "must not hold a NUL"),
        ("EGRESS_CACERT", "/no/such/ca.pem", "must be a file that is there"),
        ("HASHICORP_VAULT_CACERT", "/", "must be a file that is there"),
        ("API_PROTOCOL", "gopher", "must be http, https, or both, comma-separated"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_used_is_one_sentence_that_names_its_variable(variable, text, why):
    with pytest.raises(SettingInvalid) as caught:
        Settings.from_environment({variable: text})

    assert str(caught.value) == f"{variable}={text!r} {why}."


def test_a_platforms_port_is_obeyed_and_ours_wins():
    assert Settings.from_environment({"PORT": "8080"}).api_port == 8080
    assert Settings.from_environment({"PORT": "8080", "API_PORT": "6001"}).api_port == 6001
    assert Settings.from_environment({"PORT": "8080", "API_PORT": ""}).api_port == 8080


def test_variables_of_others_are_left_alone():
    assert Settings.from_environment({"HOME": "/root", "api_port": "abc", "DATAPATH": "x"}) == Settings()


def test_this_processes_environment_is_read_when_none_is_given(monkeypatch):
    for field in fields(Settings):
        monkeypatch.delenv(field.name.upper(), raising=False)
    monkeypatch.delenv("PORT", raising=False)
    monkeypatch.setenv("GRACE_SECONDS", "3")

    assert Settings.from_environment() == Settings(grace_seconds=3)


# Paths


@pytest.mark.parametrize("name", PATHS)
def test_paths_are_below_the_data_folder_unless_they_are_given(name, tmp_path):
    below = Settings(data_path=tmp_path)
    apart = Settings.from_environment({"DATA_PATH": str(tmp_path), name.upper(): "/elsewhere"})

    assert getattr(below, name).parent == tmp_path
    assert getattr(apart, name) == Path("/elsewhere")


def test_paths_are_absolute_from_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    settings = Settings.from_environment({"DATA_PATH": "here/../data", "FLOWS_PATH": "my flows"})

    assert settings.data_path == tmp_path / "data"
    assert settings.flows_path == tmp_path / "my flows"
    assert settings.jobs_db_path == tmp_path / "data" / "jobs.sqlite"


def test_the_database_is_the_file_unless_another_is_named(tmp_path):
    assert Settings(data_path=tmp_path).database_uri == f"sqlite:///{tmp_path}/jobs.sqlite"
    assert Settings(sqlalchemy_database_uri="postgresql://h/d").database_uri == "postgresql://h/d"


def test_locks_are_beside_the_database(tmp_path):
    assert Settings(jobs_db_path=tmp_path / "db" / "jobs.sqlite").run_path == tmp_path / "db" / ".octoflow"


def test_folders_are_made_and_made_again(tmp_path):
    settings = Settings(data_path=tmp_path / "a" / "data")

    settings.make_folders()
    settings.make_folders()

    made = {path.relative_to(settings.data_path).as_posix() for path in settings.data_path.rglob("*")}
    assert made == {"flows", "templates", "logs", ".octoflow", ".octoflow/owners"}


def test_a_new_folder_that_the_environment_names_is_told_of_once(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("DATA_PATH", str(tmp_path))
    monkeypatch.setenv("FLOWS_PATH", str(tmp_path / "flosw"))
    monkeypatch.setenv("SECRETS_PATH", str(tmp_path / "secrets.yml"))
    settings = Settings.from_environment()

    settings.make_folders()
    settings.make_folders()

    assert [record.getMessage() for record in caplog.records] == [
        f"FLOWS_PATH: the folder {tmp_path}/flosw was not there; it is made new, and empty."
    ]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(StorageDown, match=f"The folder {tmp_path}/file/data cannot be made: Not a directory."):
        Settings(data_path=tmp_path / "file" / "data").make_folders()


# Secrets


def test_no_secret_is_in_a_representation():
    settings = Settings(api_token="canary-1", sqlalchemy_database_uri="postgresql://user:canary-2@host/name")

    assert "canary" not in repr(settings)
    assert "canary" not in str(settings)
    assert "api_port=5000" in repr(settings)


def test_a_secret_value_that_cannot_be_used_is_not_shown():
    with pytest.raises(SettingInvalid, match=r"^SQLALCHEMY_DATABASE_URI must begin with sqlite://") as caught:
        Settings.from_environment({"SQLALCHEMY_DATABASE_URI": "oracle://user:canary@host/name"})

    assert "canary" not in str(caught.value)


def test_the_token_is_the_default_one_until_it_is_set():
    assert Settings().api_token == DEFAULT_TOKEN
    assert Settings.from_environment({"API_TOKEN": "my own"}).api_token == "my own"


def test_settings_do_not_change():
    with pytest.raises(AttributeError):
        Settings().api_port = 1  # type: ignore[misc]


def test_the_environment_is_not_changed_by_reading_it(monkeypatch):
    before = dict(os.environ)

    Settings.from_environment()

    assert dict(os.environ) == before


def test_a_clock_inside_a_service_that_only_runs_during_requests_is_refused():
    with pytest.raises(SettingInvalid, match=r"EXECUTOR='inline' .* TICK_INSIDE"):
        Settings.from_environment({"EXECUTOR": "inline", "TICK_INSIDE": "true"})
