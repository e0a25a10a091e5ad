"""Where to go on from an answer: its `job_id` is the `id` of `/api/jobs/{id}`, and so with all of its kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Object = dict[str, Any]


def with_links(paths: dict[str, Object], components: Object) -> dict[str, Object]:
    """The same paths, in which each answer says which operations take its ids."""
    for methods in paths.values():
        for operation in methods.values():
            if "requestBody" in operation:
                for status in {"201", "202"} & operation["responses"].keys():
                    answer = operation["responses"][status]
                    links = dict(_links(answer, paths, components))
                    if links:
                        answer["links"] = links
    return paths


def _links(answer: Object, paths: dict[str, Object], components: Object) -> Iterator[tuple[str, Object]]:
    schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
    shown = components.get(schema.get("$ref", "").rpartition("/")[2], {}).get("properties", {})
    for field in (name for name in shown if name.endswith("_id")):
        place = f"/api/{field.removesuffix('_id')}s/{{id}}"
        for path, methods in paths.items():
            if path == place or path.startswith(place + "/"):
                for operation in methods.values():
                    name = operation["operationId"]
                    yield name, {"operationId": name, "parameters": {"id": f"$response.body#/{field}"}}
