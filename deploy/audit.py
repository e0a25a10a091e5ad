"""Looks the versions of constraints.txt up among known vulnerabilities: `make audit`.

A service of vulnerabilities counts only if it tells of one that is known to be there: a mirror of PyPI answers 404, a
filter may answer with nothing, and both look like good news. Where none can be reached that is said, and no failure
unless AUDIT=required: a machine without the internet must be able to run the tests. What is found always is one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

CONSTRAINTS = Path(__file__).resolve().parents[1] / "constraints.txt"
VULNERABLE = "jinja2==2.11.2\n"
"""Of which any service knows."""
SECONDS = "15"
SERVICES = (("OSV", ("--vulnerability-service", "osv")), ("PyPI", ("--vulnerability-service", "pypi")))


def main() -> int:
    """0 when nothing is known, or nobody could be asked; 1 when something was found, or AUDIT=required is not met."""
    for name, options in services():
        if not findings(VULNERABLE, options):
            continue
        found = findings(CONSTRAINTS.read_text(encoding="utf-8"), options)
        if found is None:
            print(f"Not audited: {name} answered, but not for all of constraints.txt.")
            return 1
        for each in found:
            print(each)
        print(f"{len(found)} known vulnerabilities in constraints.txt, says {name}.")
        return 1 if found else 0
    print("Not audited: no service of vulnerabilities can be reached from here (OSV, PyPI).")
    return 1 if os.environ.get("AUDIT") == "required" else 0


def services() -> list[tuple[str, tuple[str, ...]]]:
    """Name and options of each service; AUDIT_URL names another that speaks as OSV does, and is then the only one."""
    url = os.environ.get("AUDIT_URL")
    return [(url, ("--vulnerability-service", "osv", "--osv-url", url))] if url else list(SERVICES)


def findings(pins: str, options: tuple[str, ...]) -> list[str] | None:
    """A sentence for each known vulnerability of these versions; None when the service cannot tell of all of them."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "pins.txt")
        file.write_text(pins, encoding="utf-8")
        fixed = ("--requirement", str(file), "--no-deps", "--disable-pip", "--strict", "--format", "json")
        quiet = ("--progress-spinner", "off", "--timeout", SECONDS, "--cache-dir", folder)
        done = subprocess.run(
            [sys.executable, "-m", "pip_audit", *fixed, *quiet, *options], capture_output=True, text=True, check=False
        )
    try:
        audited: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        return None
    if any("skip_reason" in each for each in audited):
        return None
    return [_sentence(each, hole) for each in audited for hole in each["vulns"]]


def _sentence(package: dict[str, Any], hole: dict[str, Any]) -> str:
    ids = ", ".join([hole["id"], *hole["aliases"]])
    fixed = ", ".join(hole["fix_versions"]) or "no version"
    return f"{package['name']} {package['version']}: {ids}; mended in {fixed}"


if __name__ == "__main__":
    sys.exit(main())
