"""The flows of the load: quick, slow, failing, looping, nested ones, some that write, one that calls a peer."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flows import fact, step
from peers import Handler, peer, send

USER, PASSWORD = "canary-user", "canary/pass word+1&"
SECRETS = [{"name": "basic", "type": "credential", "username": USER, "password": PASSWORD}]
WHOLE = 3000
"""So many numbers are in a file that is whole."""


def mark(name: str, file: str) -> dict[str, Any]:
    """A step that leaves the job's id behind each time it is run."""
    return step("file", name, path=f"marks/{file}.txt", mode="append", type="text", data_key="__job_id__")


def sleep(seconds: float) -> dict[str, Any]:
    return step("sleep", "wait", seconds=seconds)


def documents(url: str) -> dict[str, dict[str, Any]]:
    """Each flow by its name; but for `locked` any number of jobs of it may be active."""
    numbers = step("jq", "numbers", expression=f"{{job: .__job_id__, numbers: [range({WHOLE})]}}")
    whole = [
        step("file", f"write {n}", path=f"output/whole-{n}.json", mode="write", data_key="numbers") for n in range(2)
    ]
    call = step("rest", "call", uri=url, authentication={"type": "basic", "secret": "basic"})
    flows: dict[str, dict[str, Any]] = {
        "quick": {"steps": [fact("value", 1), mark("once", "steps")]},
        "slow": {"steps": [mark("once", "steps"), sleep(1.5), fact("value", 1)]},
        "failing": {"steps": [step("jq", "fail", expression="error(\"as it should\")"), mark("tidy", "tidied")]},
        "tidy": {"steps": [mark("once", "steps"), sleep(0.7), mark("tidy", "tidied")]},
        "endless": {"steps": [mark("once", "steps"), sleep(600), mark("tidy", "tidied")]},
        "looping": {"steps": [
            step("jq", "items", expression="[range(6)]"),
            step("flow_loop", "each", path="item.yml", data_key="items", max_workers=3),
        ]},
        "nested": {"steps": [step("flow", "inner", path="item.yml"), mark("once", "steps")]},
        "item": {"steps": [sleep(0.05), fact("value", "{{ __input__ }}")]},
        "writes": {"steps": [numbers, *whole, mark("once", "steps")]},
        "calls": {"steps": [call, step("debug", "show")]},
        "locked": {"steps": [sleep(0.3), mark("once", "steps")]},
        "each-second": {"steps": [fact("value", 1)]},
        "often-late": {"steps": [sleep(2.5)]},
    }  # fmt: skip
    for name in ("failing", "tidy", "endless"):
        flows[name]["finally_step"] = "tidy"
    for name in flows.keys() - {"locked", "often-late"}:
        flows[name]["max_concurrent"] = "unlimited"
    return {name: {"name": name, **flow} for name, flow in flows.items()}


@contextmanager
def peer_with_secrets(data: Path) -> Iterator[list[str]]:
    """The documents are there, and a peer that says back what it is told; the words that may be in no byte."""
    basic = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    def echo(handler: Handler) -> None:
        other.asked.clear()
        send(handler, 200, {"headers": dict(handler.headers), "known": [PASSWORD, basic]})

    with peer(echo) as other:
        for folder in ("flows", "templates", "output", "marks"):
            (data / folder).mkdir()
        for name, document in documents(other.url).items():
            (data / "flows" / f"{name}.yml").write_text(json.dumps(document))
        (data / "secrets.yml").write_text(json.dumps(SECRETS))
        (data / "secrets.yml").chmod(0o600)
        yield [PASSWORD, f"{USER}:{PASSWORD}"]
