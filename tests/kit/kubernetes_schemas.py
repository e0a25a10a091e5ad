"""What the files for Kubernetes are held against: its own strict schemas, from the package that has them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

KINDS = {
    "Deployment": "io.k8s.api.apps.v1.Deployment",
    "CronJob": "io.k8s.api.batch.v1.CronJob",
    "Service": "io.k8s.api.core.v1.Service",
    "PersistentVolumeClaim": "io.k8s.api.core.v1.PersistentVolumeClaim",
    "PodSpec": "io.k8s.api.core.v1.PodSpec",
}


def problems(document: Any, kind: str) -> list[str]:
    """What Kubernetes would refuse in this document, unknown keys included; each with its place."""
    from jsonschema import Draft202012Validator

    schema = _definitions() | {"$ref": f"#/$defs/{KINDS[kind]}"}
    found = Draft202012Validator(schema).iter_errors(document)
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in found]


@cache
def _definitions() -> dict[str, Any]:
    """Of the newest version of Kubernetes that the package knows."""
    import kubernetes_validate

    folder = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
    newest = max(
        folder.glob("v*-local-strict"), key=lambda path: [int(n) for n in path.name[1:].split("-")[0].split(".")]
    )
    text = (newest / "_definitions.json").read_text()
    definitions: dict[str, Any] = json.loads(text.replace("_definitions.json#", "#"))
    return {"$defs": definitions["$defs"]}
