"""gunicorn's settings for `octoflow serve`; `gunicorn -c python:functions.server functions.wsgi:app` takes them too."""

from __future__ import annotations

import gc
from typing import Any

from gunicorn.glogging import Logger

from engine import service_log
from engine.errors import SettingInvalid
from engine.settings import Settings

try:
    _settings = Settings.from_environment()
except SettingInvalid as error:
    raise SystemExit(f"octoflow: {error}") from error

_host = f"[{_settings.api_host}]" if ":" in _settings.api_host else _settings.api_host

bind = f"{_host}:{_settings.api_port}"
worker_class = "gthread"
workers = 1
threads = 64
keepalive = 5
timeout = 300
"""The worker's main thread reports each second, and is replaced when it hangs for so long; requests have no limit."""
graceful_timeout = _settings.stop_seconds + 1
"""Longer than the engine takes to stop its jobs: 14 s by default, within the 15 s after which containers are killed."""
limit_request_line = 8190
accesslog = None
errorlog = "-"
loglevel = _settings.log_level.lower()


class ServiceLogger(Logger):  # type: ignore[misc]
    """gunicorn's own lines go into the service log; it sets this up before it forks and at each reload."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True
        service_log.begin(_settings)


logger_class = ServiceLogger
control_socket_disable = True
proc_name = "octoflow"


def when_ready(server: Any) -> None:
    """The process that watches over the worker has imported all it needs."""
    gc.enable()


def post_fork(server: Any, worker: Any) -> None:
    """Imports make many objects and little garbage: looking for it would be a tenth of the worker's start."""
    gc.disable()


def post_worker_init(worker: Any) -> None:
    """Jobs that wait in the database are taken up without a request."""
    from functions import _engine

    gc.freeze()  # What was imported stays for good: nobody need look through it again.
    gc.enable()
    _engine.PROCESS.start_soon()


def worker_exit(server: Any, worker: Any) -> None:
    """Stop the jobs that run here, in good order."""
    from functions import _engine

    _engine.PROCESS.close()
