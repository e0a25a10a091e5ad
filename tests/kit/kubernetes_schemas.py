"""The schemas that the files for Kubernetes are held against: the few that they need, out of Kubernetes' own.

They are in kubernetes.json, since the package that they come from has 17 000 files. To take them from a newer one:
`pip install kubernetes-validate`, then run this file with its version of Kubernetes, such as 1.37.0.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).with_name("kubernetes.json")
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

    schema = json.loads(HERE.read_text()) | {"$ref": f"#/$defs/{KINDS[kind]}"}
    found = Draft202012Validator(schema).iter_errors(document)
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in found]


def take(version: str) -> dict[str, Any]:
    """The definitions that KINDS stand on, without their descriptions."""
    import kubernetes_validate

    folder = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema" / f"v{version}-local-strict"
    definitions = json.loads((folder / "_definitions.json").read_text())["$defs"]
    taken: dict[str, Any] = {}
    missing = set(KINDS.values())
    while missing:
        name = missing.pop()
        text = json.dumps(_without_descriptions(definitions[name]))
        text = text.replace("_definitions.json#", "#")
        taken[name] = json.loads(text)
        missing |= set(re.findall(r'"#/\$defs/([^"]+)"', text)) - taken.keys()
    comment = f"Of Kubernetes {version} (Apache-2.0), strict, without descriptions; made by kubernetes_schemas.py."
    return {"$comment": comment, "$defs": dict(sorted(taken.items()))}


def _without_descriptions(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_descriptions(item) for item in value]
    if isinstance(value, dict):
        return {
            key: _without_descriptions(item)
            for key, item in value.items()
            if not (key == "description" and isinstance(item, str)) and not key.startswith("x-kubernetes")
        }
    return value


if __name__ == "__main__":
    HERE.write_text(json.dumps(take(sys.argv[1]), separators=(",", ":")).replace('},"io.', '},\n"io.') + "\n")
