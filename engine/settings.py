"""The settings: read once from the environment at start, checked there, passed on from there."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from engine.errors import SettingInvalid, StorageDown

DEFAULT_TOKEN = "default_token"
"""Accepted from the loopback interface only."""

log = logging.getLogger("octoflow")


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


def _service_url(text: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#@]*)?", text):
        raise ValueError("must be where a service is, such as https://octoflow.example.com, without a user or a query")
    return text.rstrip("/")


def _header(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must be one line without control characters")
    return text


def _networks(text: str) -> str:
    from ipaddress import ip_network

    items = [item.strip() for item in text.split(",") if item.strip()]
    for item in items:
        try:
            ip_network(item)
        except ValueError as error:
            raise ValueError(f"must be networks or addresses, comma-separated: {error}") from error
    return ",".join(items)


def _executor(text: str) -> str:
    if text.lower() not in ("local", "inline"):
        raise ValueError("must be local or inline")
    return text.lower()


def _switch(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("must be true or false")
    return text.lower() == "true"


def _path(text: str) -> Path:
    if "\0" in text:
        raise ValueError("must not hold a NUL")
    return Path(text)


def _file(text: str) -> Path:
    path = _path(text)
    if not path.is_file():
        raise ValueError("must be a file that is there")
    return path


def _under_data(name: str) -> Any:
    return _setting(None, f"`{name}` of the data folder by default.", _path)


_PLACES = ("data_path", "log_path", "flows_path", "templates_path", "secrets_path", "config_file")
"""Settings that name a folder or a file which is looked at where it is."""


def _variable_of(setting: Field[Any], environment: Mapping[str, str]) -> str | None:
    """The name that the environment sets it by, if it does; empty means unset."""
    names = (setting.name.upper(), setting.metadata["variable"])
    return next((name for name in names if name and environment.get(name, "").strip()), None)


def set_in_environment(**variables: str) -> None:
    """Set these variables for the rest of this process's life and for the processes it starts."""
    os.environ.update(variables)


@dataclass(frozen=True)
class Settings:
    """Every setting with its default; the environment's name is the field's in upper case."""

    data_path: Path = _setting(
        Path("data"), "The folder that holds everything: flows, templates, secrets, files, database.", _path
    )
    log_path: Path = _under_data("logs")
    log_file_name: str = _setting("spooler_service.log", "The service log's file name.", _name)
    log_level: str = _setting("INFO", "The least level that is logged.", _level)
    log_max_bytes: int = _setting(
        10_000_000, "The size at which the service log's file is put aside and begun anew.", _whole(1_000, 1 << 40)
    )
    log_backups: int = _setting(5, "How many of the files that were put aside are kept.", _whole(0, 1_000))
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
        DEFAULT_TOKEN,
        "The bearer token of the first admin, who can make keys for others. The default one is accepted from loopback "
        "only.",
        str,
        secret=True,
    )
    hashicorp_vault_token: str | None = _setting(
        None, "The token that secrets of type `hashicorp-vault` are read with.", _header, secret=True
    )
    hashicorp_vault_cache_ttl: int = _setting(
        60, "How many seconds a secret from HashiCorp Vault is used before it is read again.", _whole(0, 86_400)
    )
    hashicorp_vault_cacert: Path | None = _setting(
        None, "A file of certificates that Vault's own is verified with, instead of the public ones.", _file
    )
    flow_timeout_seconds: int = _setting(
        600, "How long a flow may run when its launch does not say.", _whole(1, 2_592_000)
    )
    flow_max_workers: int = _setting(8, "How many jobs run at once in this service process.", _whole(1, 256))
    executor: str = _setting(
        "local",
        "`local`: jobs run beside the requests. `inline`: the request that launches a job runs it, for hosts that give "
        "no processor time once it is answered.",
        _executor,
    )
    timezone: ZoneInfo = _setting(
        ZoneInfo("UTC"), "The zone of times in answers, of times given without one, and of cron expressions.", _zone
    )
    tick_inside: bool = _setting(
        False, "Call the tick each minute from inside the service, where no clock outside does.", _switch
    )
    retention_days: int = _setting(
        30, "How many days jobs that have ended, and slots of schedules, are kept; 0: for ever.", _whole(0, 36_500)
    )
    retention_failed_days: int = _setting(
        90, "How many days jobs that have failed are kept; 0: for ever.", _whole(0, 36_500)
    )
    retention_jobs_per_flow: int = _setting(
        0,
        "How many ended jobs of one flow are kept, and as many failed ones beside them; 0: all.",
        _whole(0, 10_000_000),
    )
    retention_audit_days: int = _setting(
        365, "How many days the audit's rows are kept; 0: for ever.", _whole(0, 36_500)
    )
    max_content_length: int = _setting(10_000_000, "The most bytes a request's body may have.", _whole(1, 1 << 30))
    max_schedule_data_bytes: int = _setting(
        100_000,
        "The most bytes of JSON the data of a schedule may have, which each of its jobs gets.",
        _whole(1, 1 << 30),
    )
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
    egress_deny: str | None = _setting(
        None,
        "Networks and addresses that no flow may reach, comma-separated, such as 10.0.0.0/8,192.168.1.5; link-local, "
        "cloud metadata, multicast, unspecified and reserved addresses are refused whatever the settings say.",
        _networks,
    )
    egress_allow: str | None = _setting(
        None, "The only networks and addresses that flows may reach, comma-separated; all others by default.", _networks
    )
    egress_cacert: Path | None = _setting(
        None,
        "A file of certificates that those of the hosts that flows call are verified with, instead of the public ones.",
        _file,
    )
    grace_seconds: int = _setting(10, "How long a `finally_step` may run after a stop.", _whole(1, 3600))

    octoflow_url: str | None = _setting(
        None,
        "The service that `octoflow jobs`, `schedules` and `forecast` ask; otherwise the data folder of this machine.",
        _service_url,
    )
    octoflow_token: str | None = _setting(
        None, "The token that is shown to that service, API_TOKEN by default.", _header, secret=True
    )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """The settings of this process; SettingInvalid names the variable that cannot be used. Empty means unset."""
        environment = os.environ if environment is None else environment
        values: dict[str, Any] = {}
        for setting in fields(cls):
            if variable := _variable_of(setting, environment):
                text = environment[variable].strip()
                try:
                    values[setting.name] = setting.metadata["read"](text)
                except ValueError as error:
                    shown = f"{variable}={text!r}" if setting.repr else variable
                    raise SettingInvalid(f"{shown} {error}.") from error
        settings = cls(**values)
        if settings.executor == "inline" and settings.tick_inside:
            raise SettingInvalid("EXECUTOR='inline' lets nothing run between requests, so TICK_INSIDE cannot be true.")
        return settings

    @classmethod
    def variables(cls, environment: Mapping[str, str] | None = None) -> dict[str, str]:
        """The settings that the environment sets, each with the name of the variable that does."""
        environment = os.environ if environment is None else environment
        found = {setting.name: _variable_of(setting, environment) for setting in fields(cls)}
        return {name: variable for name, variable in found.items() if variable}

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

    @property
    def missing(self) -> dict[str, Path]:
        """The places that the environment names and that are not there, each by the variable."""
        named = {variable: getattr(self, name) for name, variable in self.variables().items() if name in _PLACES}
        return {variable: place for variable, place in named.items() if not os.path.exists(place)}

    def make_folders(self) -> None:
        """Make the folders that are missing; StorageDown names one that cannot be made and that jobs need.

        Those that the environment names are told of: whoever names a folder has mostly made it, or has mistyped it.
        """
        missing = self.missing
        for folder in (self.data_path, self.flows_path, self.templates_path, self.run_path / "owners"):
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StorageDown(f"The folder {folder} cannot be made: {error.strerror}.") from error
        with suppress(OSError):  # The log says itself that it cannot be written, and nobody waits for it.
            self.log_path.mkdir(parents=True, exist_ok=True)
        for variable, folder in missing.items():
            if folder.is_dir():
                log.warning("%s: the folder %s was not there; it is made new, and empty.", variable, folder)
