"""What must hold inside the image: user, size, health check, volume, sample flows. `image_test.sh` runs it there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import demo

HERE = Path(__file__).resolve().parent
INSTALLED = Path(sys.prefix)
MOST_BYTES = 120_000_000
"""With the 125 MB of python:3.12-slim the image stays below 250 MB."""


def healthcheck() -> list[str]:
    """The command by which the image's health is checked, as the Dockerfile has it."""
    text = (HERE.parent / "Dockerfile").read_text()
    command: list[str] = json.loads(text.split("HEALTHCHECK", 1)[1].split("CMD ", 1)[1].splitlines()[0])
    return command


def is_healthy(environment: dict[str, str]) -> bool:
    return subprocess.run(healthcheck(), env=environment, capture_output=True, timeout=10).returncode == 0


def check_user_and_size() -> None:
    demo.require(os.getuid() != 0, "The image runs as root.")
    demo.require(re.fullmatch(r"[0-9]+(:[0-9]+)?", user()) is not None, "The image's user is not a number.")
    writable = [path for path in (Path("/"), INSTALLED, INSTALLED / "bin", HERE) if os.access(path, os.W_OK)]
    demo.require(not writable, f"{writable} can be written.")
    size = sum(path.lstat().st_size for path in INSTALLED.rglob("*"))
    demo.require(size < MOST_BYTES, f"{INSTALLED} has {size} bytes, more than {MOST_BYTES}.")
    sources, compiled = (len(list(INSTALLED.rglob(f"*.{kind}"))) for kind in ("py", "pyc"))
    demo.require(compiled > 0.95 * sources, f"Only {compiled} of {sources} modules are compiled.")
    print(f"User {os.getuid()}, {size / 1e6:.0f} MB in {INSTALLED}, {compiled} modules compiled.")


def user() -> str:
    return (HERE.parent / "Dockerfile").read_text().split("\nUSER ", 1)[1].splitlines()[0]


def check_service(**settings: str) -> None:
    """The image's own command becomes healthy, keeps its jobs on the volume, and stops in good order."""
    environment = {**os.environ, "API_TOKEN": "a-token-of-this-test", **settings}
    demo.require(not is_healthy(environment), "The image is healthy although nothing runs.")
    service = subprocess.Popen(["octoflow", "serve"], env=environment)
    deadline = time.monotonic() + 60
    while not is_healthy(environment):
        demo.require(service.poll() is None and time.monotonic() < deadline, "The service did not become healthy.")
        time.sleep(0.1)
    while not (Path(environment["DATA_PATH"]) / "jobs.sqlite").exists():
        demo.require(time.monotonic() < deadline, "The service left no database on the volume.")
        time.sleep(0.1)
    service.terminate()
    demo.require(service.wait(30) == 0, f"The service ended with {service.returncode}.")
    print(f"The service was healthy with {settings or 'its own settings'}.")


def main() -> int:
    """0 when all holds, else 1 and the reason on stderr."""
    try:
        check_user_and_size()
        check_service()
        check_service(PORT="8080")
    except demo.DemoFailed as error:
        print(f"\nThe image is not in order: {error}", file=sys.stderr)
        return 1
    return demo.main()


if __name__ == "__main__":
    sys.exit(main())
