"""Every operation as a functions-framework target of its own, and `api`, which is all of them behind one function."""

from __future__ import annotations

import sys
from pathlib import Path

import flask

# functions-framework loads this file by its path; the packages beside it need not be installed.
sys.path.append(str(Path(__file__).resolve().parents[1]))

from functions._http import every_route, serve
from functions.health import healthz, readyz
from functions.jobs import cancel_job, delete_job, delete_jobs, get_job, get_job_logs, launch_job, list_jobs
from functions.tick import run_tick

__all__ = [
    "api",
    "cancel_job",
    "delete_job",
    "delete_jobs",
    "get_job",
    "get_job_logs",
    "healthz",
    "launch_job",
    "list_jobs",
    "readyz",
    "run_tick",
]


def api(request: flask.Request) -> flask.Response:
    """Every operation of the API."""
    return serve(request, every_route())
