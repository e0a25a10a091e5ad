"""What a function imports before it has answered anything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from stores import upgraded_sqlite
from werkzeug.routing import Map, Rule

from functions import main  # noqa: F401
from functions._http import OPERATIONS, route

ROOT = Path(__file__).resolve().parents[2]
DEAR = (
    "sqlalchemy alembic pydantic yaml jq requests hvac croniter dateparser psycopg "
    "engine.orchestrator engine.models.answers functions._openapi functions._queries "
    "engine.models.job engine.models.schedule engine.models.document engine.models.audit"
)


def modules_after(code: str) -> set[str]:
    script = f"{code}\nimport sys\nprint(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    return set(run.stdout.split())


def test_importing_the_functions_imports_nothing_dear():
    assert modules_after("import functions.main").isdisjoint(DEAR.split())


def test_the_first_health_check_imports_nothing_dear():
    code = (
        "from functions import main, _engine\n"
        "_engine.FIRST_WAIT_SECONDS = 60\n"
        "from functions_framework import create_app\n"
        "client = create_app('healthz', 'functions/main.py').test_client()\n"
        "assert client.get('/healthz').status_code == 200\n"
        "assert client.post('/healthz', data=b'x').status_code == 405\n"
    )

    assert modules_after(code).isdisjoint(DEAR.split())


def test_no_code_is_compiled_that_builds_urls(monkeypatch):
    compiled = []
    monkeypatch.setattr(Rule, "_get_func_code", staticmethod(lambda *code: compiled.append(code) or modules_after))
    Map([Rule("/as/<werkzeug>")])
    by_werkzeug = len(compiled)

    routes = route(OPERATIONS)

    assert routes.bind("").match("/api/jobs/7", "GET")[1] == {"id": "7"}
    assert len(compiled) == by_werkzeug > 0


def test_the_settings_of_the_server_import_neither_the_application_nor_the_engine():
    modules = modules_after("import functions.server as server\nassert server.worker_class == 'gthread'")

    assert modules.isdisjoint([*DEAR.split(), "flask", "functions_framework", "functions.main"])


def test_serving_imports_no_other_command():
    modules = modules_after("import engine.cli; engine.cli.parser('serve').parse_args(['serve'])")

    assert {name for name in modules if name.startswith("engine.cli.")} == {"engine.cli.serve"}


def test_a_store_imports_only_the_dialect_of_its_database(tmp_path):
    (tmp_path / "jobs.sqlite").write_bytes(upgraded_sqlite())

    modules = modules_after(
        "from engine.store.database import Database; from engine.store.jobs import JobStore\n"
        f"database = Database('sqlite:///{tmp_path / 'jobs.sqlite'}'); database.upgrade()\n"
        "JobStore(database).has_pending(); database.dispose()"
    )

    dialects = {name.split(".")[2] for name in modules if name.startswith("sqlalchemy.dialects.")}
    assert dialects.isdisjoint(["mysql", "postgresql", "mssql", "oracle"])
