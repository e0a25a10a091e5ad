"""A client that holds every answer to what the API says of itself."""

from __future__ import annotations

import json
from functools import cache
from typing import Any
from urllib.parse import unquote, urlsplit

import requests
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from werkzeug.exceptions import HTTPException

from engine.settings import Settings
from functions import _engine, _http, main
from functions._openapi import describe
from functions._openapi.parameters import template

assert main.api  # Every operation is defined by now.

ELSEWHERE = ("not_found", "method_not_allowed")
"""What is answered where there is no operation, or where another one is the only one that is served."""


@cache
def description() -> dict[str, Any]:
    return json.loads(json.dumps(describe(Settings())))


def operations() -> dict[str, dict[str, Any]]:
    """What is said of each operation, by its name."""
    found = (each for methods in description()["paths"].values() for each in methods.values())
    return {each["operationId"]: each for each in found}


def answer_of(described: dict[str, Any], status: int) -> dict[str, Any] | None:
    """What is said of the operation's answers with this status; None when nothing is."""
    answer = described["responses"].get(str(status))
    if answer is not None and "$ref" in answer:
        answer = description()["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    return answer


@cache
def validator(name: str, status: int) -> Draft202012Validator:
    """What the JSON of such an answer is held to."""
    answer = answer_of(operations()[name], status)
    assert answer is not None, f"{name} answers {status}, and nobody says that it may"
    schema = answer["content"]["application/json"]["schema"]
    return Draft202012Validator({**schema, "components": description()["components"]})


class DescribedClient(FlaskClient):
    """Fails where an answer is not as described; an error that a test makes up may come from anywhere."""

    def open(self, *args: Any, **options: Any) -> Any:
        response = super().open(*args, **options)
        if getattr(_engine.PROCESS._engine, "error", None) is None:
            check(response)
        return response


def check(response: Any) -> None:
    """Hold the answer that a test's client got to the description of the operation that gave it."""
    request = response.request
    _check(request.method, request.path, response.status_code, response.mimetype, response.data)


def check_over_network(response: requests.Response, **_: object) -> None:
    """The same for the answer of a real service; as a hook of a session it looks at each."""
    method, path = str(response.request.method), unquote(urlsplit(str(response.request.url)).path)
    media_type = response.headers.get("Content-Type", "").partition(";")[0]
    _check(method, path, response.status_code, media_type, response.content)


def _check(method: str, path: str, status: int, media_type: str, content: bytes) -> None:
    try:
        operation, _ = _http.every_route().bind("").match(path, method)
    except HTTPException:
        operation = None
    if operation is None or (status in (404, 405) and json.loads(content)["code"] in ELSEWHERE):
        assert status in (404, 405)
        assert set(json.loads(content)) == {"error", "code"}
        return
    described = description()["paths"][template(operation.path)][operation.method.lower()]
    answer = answer_of(described, status)
    assert answer is not None, f"{operation.name} answers {status}, and nobody says that it may"
    if "content" in answer:
        assert media_type in answer["content"]
    if media_type == "application/json" and method != "HEAD":
        validator(operation.name, status).validate(json.loads(content))
