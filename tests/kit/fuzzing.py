"""What schemathesis loads before it asks a service: how to write the texts that a schema can name, but not describe."""

from __future__ import annotations

import re
from datetime import datetime
from itertools import count
from typing import Any

import schemathesis
from hypothesis import strategies

FLOWS = {
    "quick.yml": "name: quick\nmax_concurrent: unlimited\nevery_seconds: 86400\n"
    "steps:\n  - {name: v, type: set_fact, set_fact: {value: 1}}\n",
    "slow.yml": "name: slow\nmax_concurrent: unlimited\nevery_seconds: 86400\n"
    "steps:\n  - {name: wait, type: sleep, sleep: {seconds: 60}}\n",
    "alone.yml": "name: alone\nevery_seconds: 86400\nsteps:\n  - {name: wait, type: sleep, sleep: {seconds: 1}}\n",
    "wrong.yml": "name: wrong\nevery_seconds: 86400\nsteps:\n  - {name: v, type: exit, exit: {message: no}}\n",
}
"""The documents of the service that is asked: one ends at once, one does not, one has a lock, one is left early."""


def _field(low: int, high: int) -> strategies.SearchStrategy[str]:
    return strategies.just("*") | strategies.integers(low, high).map(str)


_numbers = count()
_known = strategies.sampled_from(sorted(FLOWS))
_unknown = strategies.text("abc0_-ü ", min_size=1, max_size=20).map(lambda name: f"none/{name.strip()}x.yml")
_fields = strategies.tuples(_field(0, 59), _field(0, 23), _field(1, 28), _field(1, 12), _field(0, 6)).map(" ".join)
_units = strategies.sampled_from("hdw")
_moments = strategies.datetimes(datetime.fromisoformat("1971-01-01")).map(datetime.isoformat)

FORMATS = {
    "document-path": _known | _known | _known | _unknown,
    "cron": _fields | strategies.sampled_from(["@hourly", "@daily", "0 6 * * mon-fri"]),
    "time-zone": strategies.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"]),
    "lifetime": strategies.tuples(strategies.integers(1, 999), _units).map(lambda life: f"{life[0]}{life[1]}"),
    "moment": _moments
    | strategies.integers(10**9, 2**31).map(str)
    | strategies.sampled_from(["2 hours ago", "yesterday 14:00"]),
}

for name, strategy in FORMATS.items():
    schemathesis.openapi.format(name, strategy)


@schemathesis.hook
def map_query(context: Any, query: dict[str, Any] | None) -> dict[str, Any] | None:
    """To delete jobs takes a filter, which OpenAPI cannot say of parameters that can each be left out."""
    if context.operation.label == "DELETE /api/jobs" and not query:
        return {"status": "skipped"}
    return query


@schemathesis.hook
def filter_query(context: Any, query: dict[str, Any] | None) -> bool:
    """A parameter without a value counts as not given, which is no violation of a schema, whatever its type."""
    return not any(map(_is_sent_empty, (query or {}).values()))


@schemathesis.hook
def filter_body(context: Any, body: Any) -> bool:
    """A path that comes with a text is only a name, and nearly every text is one: none violates its format for sure."""
    is_text = isinstance(body, dict) and isinstance(body.get("text"), str) and isinstance(body.get("path"), str)
    return not (is_text and context.operation.label == "POST /api/validate") or body["path"].endswith(".yml")


@schemathesis.hook
def map_headers(context: Any, headers: Any) -> Any:
    """Each request under an Idempotency-Key of its own: a repeat is told of what it made, also when that is gone."""
    key = (headers or {}).get("Idempotency-Key")
    if isinstance(key, str) and re.fullmatch("[!-~]{1,200}", key):
        headers["Idempotency-Key"] = f"{key}{next(_numbers)}"
    return headers


def _is_sent_empty(value: Any) -> bool:
    return all(map(_is_sent_empty, value)) if isinstance(value, list | dict) else value in ("", None)
