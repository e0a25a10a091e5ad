"""`make serve`: the service, which says how to reach it as soon as it listens."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path
from typing import Any

from engine import cli
from engine.catalog import Catalog
from engine.settings import DEFAULT_TOKEN, Settings
from functions import server

PROJECT = Path(__file__).resolve().parent.parent
HERE = ("0.0.0.0", "::", "127.0.0.1", "::1", "localhost")


def main() -> int:
    """Becomes the service; the exit code where it cannot."""
    listens = server.when_ready

    def when_ready(arbiter: Any) -> None:
        listens(arbiter)
        print(how_to_reach(Settings.from_environment()), flush=True)

    server.when_ready = when_ready
    return cli.main(["serve"])


def how_to_reach(settings: Settings) -> str:
    """Where the service is, and what to type."""
    host = "localhost" if settings.api_host in HERE else settings.api_host
    address = f"http://{f'[{host}]' if ':' in host else host}:{settings.api_port}"
    if settings.api_token == DEFAULT_TOKEN:
        token, note = DEFAULT_TOKEN, f"{DEFAULT_TOKEN} (from this machine only; set API_TOKEN for others)"
    else:
        token, note = "$API_TOKEN", "the one in API_TOKEN"
    header = f'-H "Authorization: Bearer {token}"'
    return f"""\
Octoflow on {address} over {settings.data_path} (stop it with Ctrl-C)
Token: {note}

{how_to_launch(settings, address, header)}
See the newest jobs:
  curl "{address}/api/jobs?limit=5" {header}
See and try the whole API in a browser:
  {address}/api/docs/
"""


def how_to_launch(settings: Settings, address: str, header: str) -> str:
    """A launch of a flow that is there."""
    flows = Catalog.from_settings(settings).list()
    if not flows:
        return f"There is no flow in {settings.flows_path} yet."
    body = {"path": "hello.yml", "data": {"name": "Ada"}} if "hello.yml" in flows else {"path": flows[0]}
    return f"""\
Launch a flow:
  curl -X POST {address}/api/jobs {header} -H "Content-Type: application/json" -d {shlex.quote(json.dumps(body))}"""


if __name__ == "__main__":
    os.chdir(PROJECT)
    sys.exit(main())
