"""What the files in deploy/ say: their documents, and the commands by which they call the tick."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
TICK_URL = re.compile(r"http://[\w.-]+(:\d+)?/api/tick")


def documents(name: str) -> dict[str, Any]:
    """The documents of a file in deploy/, by their kind."""
    return {document["kind"]: document for document in yaml.safe_load_all((DEPLOY / name).read_text())}


def compose() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "compose.yml").read_text())


def pod_of(document: dict[str, Any]) -> dict[str, Any]:
    """The pod that a document with a template makes."""
    spec = document["spec"]
    while "jobTemplate" in spec or "template" in spec:
        spec = (spec.get("jobTemplate") or spec["template"])["spec"]
    return spec


def tick_scripts() -> dict[str, str]:
    """For each file that calls the tick, what it gives to a shell for that, as the shell sees it."""
    line = next(line for line in (DEPLOY / "crontab").read_text().splitlines() if line.startswith("* * * * * "))
    unit = (DEPLOY / "systemd" / "octoflow-tick.service").read_text()
    quoted = re.search(r"^ExecStart=/bin/sh -c '(.*)'$", unit, re.MULTILINE)
    assert quoted
    scripts = {
        "crontab": line.removeprefix("* * * * * ").replace(r"\%", "%"),
        "systemd": quoted[1].replace("%%", "%").replace("$$", "$").replace("\\\\", "\\"),
        "compose.yml": compose()["services"]["clock"]["entrypoint"][2].replace("$$", "$"),
    }
    for name in ("kubernetes.yml", "knative.yml"):
        shell, option, script = pod_of(documents(name)["CronJob"])["containers"][0]["command"]
        assert (shell, option) == ("sh", "-c")
        scripts[name] = script
    return scripts


def healthcheck() -> list[str]:
    """The command that says whether a container of the image is healthy."""
    text = (ROOT / "Dockerfile").read_text()
    return json.loads(text.split("HEALTHCHECK", 1)[1].split("CMD ", 1)[1].splitlines()[0])


def readme_commands(heading: str) -> list[str]:
    """The blocks of shell commands below a heading of the README."""
    section = (ROOT / "README.md").read_text().split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"```bash\n(.*?)```", section, re.DOTALL)
