"""The page about the keys of a flow, from the JSON Schema that editors have and from what schedules take."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from engine.checking.schema import flow_schema
from engine.models.requests import AddFlow

TYPES = {"string": "text", "boolean": "true or false", "integer": "whole number", "number": "number"}


def page() -> str:
    """The text of the page."""
    return "".join(_page())


def _page() -> Iterator[str]:
    yield "# Flows\n\nMade from the code by `make docs`.\n\n"
    yield "A flow is a YAML document below FLOWS_PATH: an object with these keys. [Steps](steps.md) have a page of\n"
    yield "their own. [Editors](../how-to/editors-and-ci.md) complete and check it by the JSON Schema that\n"
    yield "`octoflow schema` prints and `/api/schema/flow.json` answers.\n\n"
    yield "| key | value | default | what it is |\n|---|---|---|---|\n"
    yield from _rows(flow_schema())


def _rows(schema: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in schema["properties"].items():
        default = "needed" if key in schema["required"] else _code(value["default"]) if "default" in value else ""
        about = value["description"].replace("|", "\\|")
        yield f"| `{prefix}{key}` | {_value(_typed(key, value))} | {default} | {about} |\n"
        if "properties" in value.get("items", {}):
            yield from _rows(value["items"], f"{prefix}{key}[].")


def _typed(key: str, value: dict[str, Any]) -> dict[str, Any]:
    """The times of a flow are let through whatever they are: what they have to be, schedules say."""
    if key not in ("cron", "every_seconds"):
        return value
    taken: dict[str, Any] = AddFlow.model_json_schema()["properties"][key]
    return taken


def _value(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_value(each) for each in schema["anyOf"] if each != {"type": "null"})
    if "enum" in schema:
        return ", ".join(_code(each) for each in schema["enum"])
    if "const" in schema:
        return _code(schema["const"])
    kinds = schema.get("type", "any")
    (kind,) = [each for each in ([kinds] if isinstance(kinds, str) else kinds) if each != "null"]
    if kind == "array":
        return "list of steps" if "$ref" in schema.get("items", {}) else "list"
    bounds = f" from {schema['minimum']} to {schema['maximum']}" if "minimum" in schema else ""
    return f"{TYPES.get(kind, kind)}{bounds}"


def _code(value: Any) -> str:
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"
