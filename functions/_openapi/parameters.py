"""The parameters of an operation: the parts of its path, and the fields of its query."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import MISSING, fields
from datetime import datetime
from enum import StrEnum
from typing import Any, get_type_hints

from functions._http import Operation
from functions._query import LONGEST, plain

Object = dict[str, Any]

_PART = re.compile(r"<(?:(?P<converter>\w+):)?(?P<name>\w+)>")

ABOUT = {
    "action": "The name of an operation, such as `launch_job`.",
    "actor": "The name of a key, `API_TOKEN`, or `cli:` and a login name.",
    "after": "Only lines after the one of this number, which `next` of the page before says.",
    "before": "Only jobs before the one of this id: the last one of the page before.",
    "count": "Whether the answer has the `total` of all that match.",
    "end_time_from": "Ended then or later.",
    "end_time_to": "Ended before.",
    "file": "A file of the page.",
    "flow": "Its path, slashes included, its file's name with or without the suffix, or the document's own name.",
    "glob": "Only documents whose path it means: `*` is any text, slashes too, `?` is one character.",
    "hours": "How far to look ahead.",
    "id": "Its id.",
    "limit": "How many there may be in one answer.",
    "offset": "How many to pass over, which `next` of the page before says.",
    "older_than_days": "Ended so many days ago, or earlier.",
    "path": "A document's path below FLOWS_PATH.",
    "priority": "The lowest number runs first, as with nice(1).",
    "q": "Only documents with this in their path, in whatever case.",
    "schedule_id": "Launched by this schedule.",
    "start_time_from": "Started then or later.",
    "start_time_to": "Started before.",
    "state": "Where the job is.",
    "status": "How the job ended.",
    "time_from": "Made then or later.",
    "time_to": "Made before.",
    "timeout_seconds": "How long the job may run; FLOW_TIMEOUT_SECONDS when it does not say.",
}

BEFORE_TIME = "Only due times before this one, which `next` of the page before says."


def template(path: str) -> str:
    """The path as OpenAPI writes it: `/api/jobs/{id}`."""
    return _PART.sub(lambda part: f"{{{part['name']}}}", path)


def names_in_path(path: str) -> list[str]:
    """The parts of the path that differ from request to request."""
    return [part["name"] for part in _PART.finditer(path)]


WAIT: Object = {
    "name": "Prefer",
    "in": "header",
    "description": "`wait=20` waits up to so many seconds, at most 60, for the job's end.",
    "schema": {"type": "string"},
}
ONCE: Object = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "A text of your own, such as a UUID. Sent again with the same request within 24 hours, it makes "
    "nothing, and is answered with what it made at first.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
}


def parameters(operation: Operation) -> list[Object]:
    """Everything that stands in the URL, and the headers that are the operation's own."""
    headers = [each for name, each in (("wait", WAIT), ("once", ONCE)) if operation.takes(name)]
    return [*_of_path(operation.path), *_of_query(operation.query_type), *headers]


def _of_path(path: str) -> Iterator[Object]:
    for part in _PART.finditer(path):
        schema: Object = {"type": "string", "minLength": 1}
        if part["converter"] is None:
            schema["pattern"] = "^[^/]+$"
        if part["name"] == "path":
            schema["format"] = "document-path"
        yield {
            "name": part["name"],
            "in": "path",
            "required": True,
            "description": ABOUT[part["name"]],
            "schema": schema,
        }


def _of_query(query: type[Any] | None) -> Iterator[Object]:
    hints = {} if query is None else get_type_hints(query)
    for each in () if query is None else fields(query):
        kind = plain(hints[each.name])
        schema = _schema(kind)
        bounds = {"low": "minimum", "high": "maximum"}
        schema |= {bounds[name]: bound for name, bound in each.metadata.items()}
        if each.name == "path":
            schema["format"] = "document-path"
        if each.default not in (None, MISSING):
            schema["default"] = each.default
        yield {
            "name": each.name,
            "in": "query",
            "description": _about(each.name, kind),
            "schema": schema,
        }


def _about(name: str, kind: Any) -> str:
    return BEFORE_TIME if (name, kind) == ("before", datetime) else ABOUT[name]


def _schema(kind: Any) -> Object:
    if kind is bool:
        return {"type": "boolean"}
    if kind is int:
        return {"type": "integer"}
    if kind is float:
        return {"type": "number"}
    if kind is datetime:
        return {"type": "string", "format": "moment"}
    if issubclass(kind, StrEnum):
        return {"type": "string", "enum": [member.value for member in kind]}
    return {"type": "string", "maxLength": LONGEST, "pattern": "^[^\\u0000]*$"}
