"""The settings: read once from the environment at start, checked there, passed on from there."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from engine.errors import SettingInvalid, StorageDown

DEFAULT_TOKEN = "default_token"
"""Accepted from the loopback interface only."""


def _setting(
    default: Any, help: str, read: Callable[[str], Any], variable: str | None = None, *, secret: bool = False
) -> Any:
    return field(default=default, metadata={"help": help, "read": read, "variable": variable}, repr=not secret)


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise ValueError("must be a whole number") from None
        if not low <= value <= high:
            raise ValueError(f"must be from {low} to {high}")
        return value

    return read


def _level(text: str) -> str:
    if text.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
        raise ValueError("must be DEBUG, INFO, WARNING, ERROR or CRITICAL")
    return text.upper()


def _zone(text: str) -> ZoneInfo:
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError("is not a time zone of the tz database, such as UTC or Europe/Berlin") from error


def _name(text: str) -> str:
    if "/" in text or "\0" in text or text in (".", ".."):
        raise ValueError("must be a file name without a folder")
    return text


def _database_uri(text: str) -> str:
    kind = text.partition("://")[0].partition("+")[0]
    if kind not in ("sqlite", "postgresql", "postgres", "mysql", "mariadb"):
        raise ValueError("must begin with sqlite://, postgresql://, mysql:// or mariadb://")
    return text


def _protocols(text: str) -> str:
    if not {protocol.strip() for protocol in text.split(",")} <= {"http", "https"}:
        raise ValueError("must be http, https, or both, comma-separated")
    return text


def _path(text: str) -> Path:
    if "\0" in text:
        raise ValueError("must not hold a NUL")
    return Path(text)


def _under_data(name: str) -> Any:
    return _setting(None, f"`{name}` of the data folder by default.", _path)


@dataclass(frozen=True)
class Settings:
    """Every setting with its default; the environment's name is the field's in upper case."""

    data_path: Path = _setting(
        Path("data"), "The folder that holds everything: flows, templates, secrets, files, database.", _path
    )
    log_path: Path = _under_data("logs")
    log_file_name: str = _setting("spooler_service.log", "The service log's file name.", _name)
    log_level: str = _setting("INFO", "The least level that is logged.", _level)
    flows_path: Path = _under_data("flows")
    templates_path: Path = _under_data("templates")
    secrets_path: Path = _under_data("secrets.yml")
    config_file: Path = _under_data("config.yml")
    jobs_db_path: Path = _under_data("jobs.sqlite")
    sqlalchemy_database_uri: str | None = _setting(
        None,
        "Another database for the jobs, such as postgresql+psycopg://user@host/name; the SQLite file by default.",
        _database_uri,
        secret=True,
    )
    api_port: int = _setting(5000, "The port that `octoflow serve` listens on.", _whole(1, 65535), variable="PORT")
    api_host: str = _setting("0.0.0.0", "The address that `octoflow serve` listens on.", str)
    api_protocol: str = _setting("http", "The schemes that the API is reached by, comma-separated.", _protocols)
    api_token: str = _setting(
        DEFAULT_TOKEN, "The bearer token. The default one is accepted from loopback only.", str, secret=True
    )
    flow_timeout_seconds: int = _setting(
        600, "How long a flow may run when its launch does not say.", _whole(1, 2_592_000)
    )
    flow_max_workers: int = _setting(8, "How many jobs run at once in this service process.", _whole(1, 256))
    timezone: ZoneInfo = _setting(
        ZoneInfo("UTC"), "The zone of times in answers, and of times given without one.", _zone
    )
    max_content_length: int = _setting(10_000_000, "The most bytes a request's body may have.", _whole(1, 1 << 30))
    job_memory_mb: int = _setting(512, "The most memory a job's process may take, in MiB.", _whole(64, 1 << 20))
    max_step_runs: int = _setting(10_000, "The most step runs in one job.", _whole(1, 10_000_000))
    max_flow_depth: int = _setting(10, "How deep sub-flows may be nested.", _whole(1, 100))
    max_loop_items: int = _setting(10_000, "The most items of one flow_loop.", _whole(1, 10_000_000))
    max_result_bytes: int = _setting(16_000_000, "The most bytes of JSON a job's result may have.", _whole(1, 1 << 30))
    max_document_bytes: int = _setting(1_000_000, "The most bytes of a document's text.", _whole(1, 1 << 30))
    max_rendered_bytes: int = _setting(10_000_000, "The most characters one template may render.", _whole(1, 1 << 30))
    max_response_bytes: int = _setting(
        10_000_000, "The most bytes a REST call's answer may have, decoded.", _whole(1, 1 << 30)
    )
    max_file_bytes: int = _setting(100_000_000, "The most bytes a file step reads or writes.", _whole(1, 1 << 40))
    max_log_lines: int = _setting(100_000, "The most log lines of one job.", _whole(1, 10_000_000))
    max_recorded_steps: int = _setting(
        1_000,
        "The most step runs inside sub-flows that are kept as rows; failures go on being kept.",
        _whole(0, 10_000_000),
    )
    grace_seconds: int = _setting(10, "How long a `finally_step` may run after a stop.", _whole(1, 3600))

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """The settings of this process; SettingInvalid names the variable that cannot be used. Empty means unset."""
        environment = os.environ if environment is None else environment
        values: dict[str, Any] = {}
        for setting in fields(cls):
            names = (setting.name.upper(), setting.metadata["variable"])
            variable = next((name for name in names if name and environment.get(name, "").strip()), None)
            if variable:
                text = environment[variable].strip()
                try:
                    values[setting.name] = setting.metadata["read"](text)
                except ValueError as error:
                    shown = f"{variable}={text!r}" if setting.repr else variable
                    raise SettingInvalid(f"{shown} {error}.") from error
        return cls(**values)

    def __post_init__(self) -> None:
        data = Path(os.path.abspath(self.data_path))
        defaults = {
            "log_path": "logs", "flows_path": "flows", "templates_path": "templates",
            "secrets_path": "secrets.yml", "config_file": "config.yml", "jobs_db_path": "jobs.sqlite",
        }  # fmt: skip
        object.__setattr__(self, "data_path", data)
        for name, place in defaults.items():
            given = getattr(self, name)
            object.__setattr__(self, name, data / place if given is None else Path(os.path.abspath(given)))

    @property
    def database_uri(self) -> str:
        """Where the jobs are kept, as SQLAlchemy writes it."""
        return self.sqlalchemy_database_uri or f"sqlite:///{self.jobs_db_path}"

    @property
    def stop_seconds(self) -> int:
        """How long a shutdown waits for jobs: 2 s to hear of it, their grace, and a second to write it down."""
        return self.grace_seconds + 3

    @property
    def run_path(self) -> Path:
        """Where processes that share one database file leave their locks."""
        return self.jobs_db_path.parent / ".octoflow"

    def make_folders(self) -> None:
        """Make the folders that are missing; StorageDown names one that cannot be made."""
        for folder in (self.data_path, self.flows_path, self.templates_path, self.log_path, self.run_path / "owners"):
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StorageDown(f"The folder {folder} cannot be made: {error.strerror}.") from error
