"""The API described by itself, as OpenAPI 3.1: made of the operations, their models and their errors.

Only a request for the description imports this: it builds every model.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from engine import __version__
from functions._http import OPERATIONS, Operation
from functions._openapi.answers import Answers
from functions._openapi.errors import Errors
from functions._openapi.links import with_links
from functions._openapi.parameters import parameters, template
from functions._openapi.schemas import Schemas

if TYPE_CHECKING:
    from engine.settings import Settings

Object = dict[str, Any]

TAGS = {
    "jobs": "Jobs",
    "documents": "Documents",
    "flow_schema": "The shape of a flow",
    "schedules": "Schedules",
    "keys": "Keys",
    "audit": "The audit",
    "tick": "The tick",
    "health": "Health",
    "metrics": "Metrics",
    "docs": "This description",
    "older": "The first version",
}
"""Files of operations, in the order in which they are shown, each with its heading."""

ABOUT = """
Send the header `Authorization: Bearer <token>` with everything but the operations that are marked as open. `API_TOKEN`
is the first administrator's token, `POST /api/keys` makes others.

`/api/v1/...` is another name of each `/api/...`. Text is UTF-8 and bodies are JSON objects; a member or a parameter
that is not known is refused. Every error is an `Error`: a sentence for people and a word for programs. `HEAD` is
answered wherever `GET` is, and other methods with 405, whose `Allow` lists those that are possible.

Times are ISO 8601, in `TIMEZONE`. A parameter that is a time may also be epoch seconds, or words such as `2 hours ago`
and `yesterday 14:00`. A parameter without a value counts as not given.
""".strip()

TOKEN = {"type": "http", "scheme": "bearer", "description": "`API_TOKEN`, or the token of a key."}


def describe(settings: Settings, up: str = "..") -> Object:
    """The whole description; `up` leads from where it is read to where the paths begin."""
    schemas = Schemas(OPERATIONS)
    answers = Answers(schemas)
    errors = Errors(OPERATIONS)
    paths: dict[str, Object] = {}
    for operation in OPERATIONS:
        described = _describe_one(operation, answers, errors)
        paths.setdefault(template(operation.path), {})[operation.method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {"title": "Octoflow", "version": __version__, "description": ABOUT},
        "servers": _servers(settings, up),
        "security": [{"token": []}],
        "tags": _tags(OPERATIONS),
        "paths": with_links(paths, schemas.components),
        "components": {
            "schemas": schemas.components,
            "responses": errors.components,
            "securitySchemes": {"token": TOKEN},
        },
    }


def _describe_one(operation: Operation, answers: Answers, errors: Errors) -> Object:
    summary, _, rest = inspect.cleandoc(operation.function.__doc__ or "").partition(". ")
    role = f"Needs the role `{operation.role}`." if operation.role else "Open: needs no token."
    described: Object = {
        "operationId": operation.name,
        "tags": [_heading(operation)],
        "summary": " ".join(summary.split()).rstrip("."),
        "description": "\n\n".join(filter(None, (" ".join(rest.split()), role))),
        "parameters": parameters(operation),
        "responses": dict(sorted({**answers.of(operation), **errors.of(operation), **_too_long(operation)}.items())),
    }
    if operation.body_model is not None:
        schema = answers.schemas.body(operation.body_model)
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    if operation.role is None:
        described["security"] = []
    if _file(operation) == "older":
        described["deprecated"] = True
    return described


def _too_long(operation: Operation) -> Object:
    """What a server says before we are asked, and not as JSON."""
    return {"414": {"description": "The URL is longer than 8190 bytes."}} if parameters(operation) else {}


def _servers(settings: Settings, up: str) -> list[Object]:
    """Where the service is: first as seen from this description, which is right behind every proxy."""
    protocols = [protocol.strip() for protocol in settings.api_protocol.split(",")]
    variables = {
        "protocol": {"enum": protocols, "default": protocols[0]},
        "host": {"default": f"localhost:{settings.api_port}"},
    }
    return [
        {"url": up, "description": "This service"},
        {"url": "{protocol}://{host}", "description": "This service by its name", "variables": variables},
    ]


def _file(operation: Operation) -> str:
    return operation.function.__module__.rpartition(".")[2]


def _heading(operation: Operation) -> str:
    return TAGS.get(_file(operation), _file(operation))


def _tags(operations: Iterable[Operation]) -> list[Object]:
    about = {_heading(each): sys.modules[each.function.__module__].__doc__ or "" for each in operations}
    shown = list(TAGS.values())
    names = sorted(about, key=lambda name: shown.index(name) if name in shown else len(shown))
    return [{"name": name, "description": _below_heading(about[name])} for name in names]


def _below_heading(docstring: str) -> str:
    """A file's first sentence, which often begins with what the heading says."""
    sentence = docstring.strip().split("\n\n")[0]
    said = sentence.partition(": ")[2] or sentence
    return said[:1].upper() + said[1:]
