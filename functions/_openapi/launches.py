"""For each document that declares inputs, an operation that launches it and says what they are."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

from engine.models.flow import FlowInputs
from engine.models.input_schema import schema_of_values
from functions._openapi.parameters import template

Object = dict[str, Any]

GENERIC = "/api/documents/<path:path>/launch"


def with_launches(description: Object, flows: Sequence[FlowInputs]) -> Object:
    """The description with these as well, each like the operation that launches any document."""
    generic = description["paths"][template(GENERIC)]["post"]
    launches = {_place(flow.path): {"post": _describe(flow, generic)} for flow in flows}
    return {**description, "paths": {**description["paths"], **launches}}


def operation_id(path: str) -> str:
    """Unique for each path, whatever other documents there are, and the same for ever."""
    words = re.sub(r"[^A-Za-z0-9]+", "_", path).strip("_")[:60]
    return f"launch_{words}_{hashlib.sha256(path.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def _place(path: str) -> str:
    return template(GENERIC).replace("{path}", quote(path, safe="/", errors="surrogatepass"))


def _describe(flow: FlowInputs, generic: Object) -> Object:
    schema = schema_of_values(flow.inputs)
    needs = generic["description"].rpartition("\n\n")[2]
    return {
        **generic,
        "operationId": operation_id(flow.path),
        "summary": f"Launch {flow.name}",
        "description": "\n\n".join(filter(None, (flow.description, f"The document `{flow.path}`.", needs))),
        "parameters": [each for each in generic["parameters"] if each["in"] != "path"],
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
    }


def fingerprint(flows: Iterable[FlowInputs]) -> str:
    """What changes with any of them."""
    told = "\n".join(f"{flow.digest} {flow.path}" for flow in flows)
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()
