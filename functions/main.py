"""Every operation as a functions-framework target of its own, and `api`, which is all of them behind one function."""

from __future__ import annotations

import sys
from pathlib import Path

import flask

# functions-framework loads this file by its path; the packages beside it need not be installed.
sys.path.append(str(Path(__file__).resolve().parents[1]))

from functions._http import every_route, serve, serve_nothing
from functions.audit import list_audit
from functions.docs import apidocs, docs_file, docs_page, openapi_json
from functions.documents import get_document, launch_document, list_documents, validate_document
from functions.flow_schema import flow_schema
from functions.health import healthz, healthz_tick, readyz
from functions.jobs import cancel_job, delete_job, delete_jobs, get_job, get_job_logs, launch_job, list_jobs
from functions.keys import create_key, list_keys, revoke_key
from functions.metrics import metrics
from functions.older import (
    add_flow,
    delete_flow,
    get_flow,
    launch_flow,
    list_flows,
    list_locks,
    release_lock,
    release_locks,
)
from functions.schedules import (
    create_schedule,
    delete_schedule,
    forecast_schedules,
    get_schedule,
    get_schedule_slots,
    list_schedules,
    pause_schedule,
    resume_schedule,
)
from functions.tick import run_tick

__all__ = [
    "add_flow",
    "api",
    "apidocs",
    "cancel_job",
    "create_key",
    "create_schedule",
    "delete_flow",
    "delete_job",
    "delete_jobs",
    "delete_schedule",
    "docs_file",
    "docs_page",
    "flow_schema",
    "forecast_schedules",
    "get_document",
    "get_flow",
    "get_job",
    "get_job_logs",
    "get_schedule",
    "get_schedule_slots",
    "healthz",
    "healthz_tick",
    "launch_document",
    "launch_flow",
    "launch_job",
    "list_audit",
    "list_documents",
    "list_flows",
    "list_jobs",
    "list_keys",
    "list_locks",
    "list_schedules",
    "metrics",
    "openapi_json",
    "pause_schedule",
    "readyz",
    "release_lock",
    "release_locks",
    "resume_schedule",
    "revoke_key",
    "run_tick",
    "validate_document",
]

if flask.has_app_context():
    # What the framework has no route for, such as a path with a line break, is answered as all else is.
    flask.current_app.register_error_handler(404, serve_nothing)


def api(request: flask.Request) -> flask.Response:
    """Every operation of the API."""
    return serve(request, every_route())
