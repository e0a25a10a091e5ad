"""What everything is measured against: a bare function, and one that makes three durable SQLite commits."""

import json
import os
import sqlite3
import threading
import uuid

_local = threading.local()


def hello(request):
    """A function that answers JSON, and nothing else."""
    return json.dumps({"hello": request.path}), 200, {"Content-Type": "application/json"}


def three_commits(request):
    """What no durable launch can do without: read a body, insert, claim, finish, each with its own commit."""
    request.get_json()
    connection = _connection()
    job = str(uuid.uuid4())
    connection.execute("INSERT INTO jobs VALUES (?, 'pending', NULL)", (job,))
    connection.execute("UPDATE jobs SET state = 'running' WHERE id = ?", (job,))
    connection.execute("UPDATE jobs SET state = 'finished', result = '{}' WHERE id = ?", (job,))
    return json.dumps({"job_id": job}), 202, {"Content-Type": "application/json"}


def _connection():
    if not hasattr(_local, "connection"):
        connection = sqlite3.connect(os.environ["FLOOR_DB"], isolation_level=None, timeout=5)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE IF NOT EXISTS jobs (id TEXT PRIMARY KEY, state TEXT, result TEXT)")
        _local.connection = connection
    return _local.connection
