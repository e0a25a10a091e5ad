"""The page about the API, from the description that the service itself gives."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from engine.settings import Settings
from functions import main
from functions._openapi import ABOUT, describe
from functions._openapi.errors import LATER

Object = dict[str, Any]

COMMON = ("unauthenticated", "forbidden", "request_invalid", "not_found", "internal", *(leaf.code for leaf in LATER))
"""What is not said of each operation again."""

assert main.api  # Every operation is defined by now.


def page() -> str:
    """The text of the page."""
    return "".join(_page(describe(Settings())))


def _page(described: Object) -> Iterator[str]:
    yield "# The API\n\nMade from the code by `make docs`. A service says the same to programs at "
    yield f"`/api/openapi.json`,\nand to people at `/api/docs/`, where each operation can be tried.\n\n{ABOUT}\n\n"
    yield f"[Errors](errors.md) that any operation may answer: {', '.join(f'`{code}`' for code in COMMON)}.\n"
    for tag in described["tags"]:
        yield f"\n## {tag['name']}: operations\n\n{_line(tag['description'])}\n"
        for path, methods in described["paths"].items():
            for method, operation in methods.items():
                if tag["name"] in operation["tags"]:
                    yield from _operation(f"{method.upper()} {path}", operation, described["components"]["responses"])
    yield "\n## Objects\n"
    for name, schema in sorted(described["components"]["schemas"].items()):
        yield from _object(name, schema)


def _operation(title: str, operation: Object, shared: Object) -> Iterator[str]:
    yield f"\n### {title}\n\n{operation['summary']}. {_line(operation['description'])}\n"
    if operation["parameters"]:
        yield "\n| parameter | value | default | what it is |\n|---|---|---|---|\n"
    for each in operation["parameters"]:
        yield _row(each["name"], each["schema"], each["description"], is_needed=each.get("required", False))
    answers = {
        status: shared[_name(each)] if "$ref" in each else each for status, each in operation["responses"].items()
    }
    takes, own = "", [f"`{code}` ({status})" for status, code in _codes(answers) if code not in COMMON]
    if "requestBody" in operation:
        takes = f" takes {_shape(operation['requestBody']['content']['application/json']['schema'])},"
    gives = " or ".join(f"{status} {_answer(each)}".rstrip() for status, each in answers.items() if status < "4")
    yield f"\n`{operation['operationId']}`{takes} answers {gives}."
    yield f" Errors of its own: {', '.join(own)}.\n" if own else "\n"


def _codes(answers: Object) -> Iterator[tuple[str, str]]:
    """Each word that `code` can be, after its status."""
    for status, answer in answers.items():
        schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
        for code in schema["allOf"][1]["properties"]["code"]["enum"] if "allOf" in schema else ():
            yield status, code


def _answer(answer: Object) -> str:
    """What is answered, in a word."""
    content = answer.get("content", {})
    schema = content.get("application/json", {}).get("schema", {})
    return _shape(schema) if "$ref" in schema else " or ".join(content)


def _object(name: str, schema: Object) -> Iterator[str]:
    yield f"\n### {name}\n\n{_line(schema.get('description', ''))}\n\n"
    if "enum" in schema:
        yield f"{_shape(schema)}\n"
        return
    yield "| member | value | default | what it is |\n|---|---|---|---|\n"
    for member, about in schema["properties"].items():
        yield _row(member, about, about.get("description", ""), is_needed=member in schema.get("required", ()))
    for example in schema.get("examples", ()):
        yield f"\n```json\n{json.dumps(example)}\n```\n"


def _row(name: str, schema: Object, about: str, *, is_needed: bool) -> str:
    default = "" if schema.get("default") is None else f"`{json.dumps(schema['default']).strip(chr(34))}`"
    return f"| `{name}` | {_shape(schema)} | {'always' if is_needed else default} | {_line(about)} |\n"


def _shape(schema: Object) -> str:
    """What a value looks like, in words."""
    match schema:
        case {"$ref": _}:
            return f"[{_name(schema)}](#{_name(schema).lower()})"
        case {"anyOf": kinds}:
            return " or ".join(map(_shape, kinds))
        case {"const": value}:
            return f"`{json.dumps(value)}`"
        case {"enum": values}:
            return ", ".join(f"`{value}`" for value in values)
        case {"type": "array", "items": items}:
            return f"list of {_shape(items)}"
        case {"type": list(kinds)}:
            return " or ".join(_shape({**schema, "type": kind}) for kind in kinds)
        case {"type": kind}:
            return _bounded(str(schema.get("format", kind)) if kind == "string" else str(kind), schema)
    return "any JSON"


def _bounded(kind: str, schema: Object) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    return kind if kind == "null" or low is high is None else f"{kind} {low}..{high}"


def _name(reference: Object) -> str:
    return str(reference["$ref"]).rpartition("/")[2]


def _line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
