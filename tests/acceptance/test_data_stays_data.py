"""Data that looks like an expression, wherever it comes from and wherever it goes: nobody computes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from peers import Peer, peer, send
from services import Service, answers, flow, start_service, until

BAIT = ["{{ 7191 * 7 }}", "{% set x = 7191 * 7 %}{{ x }}", "\\(7191 * 7)", "${{ 7191 * 7 }}", "{{ '{{' }} 7191 * 7 }}"]
COMPUTED = str(7191 * 7)
INNER = {
    "name": "inner",
    "steps": [
        {"name": "see", "type": "set_fact", "set_fact": {"value": "{{ __input__ }}"}},
        {"name": "say", "type": "jinja", "jinja": {"template": "said: {{ __input__ | tojson }}"}},
    ],
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    data = tmp_path_factory.mktemp("bait") / "data"
    for folder in ("flows", "templates", "input"):
        (data / folder).mkdir(parents=True)
    (data / "templates" / "show.j2").write_text("{{ data | tojson }} {{ __input__ }}")
    (data / "input" / "bait.json").write_text(json.dumps(BAIT))
    flow(data, "inner.yml", json.dumps(INNER))
    started = start_service(data, LOG_LEVEL="DEBUG")
    try:
        until(lambda: answers(started, "/healthz"), 30, started.text)
        yield started
    finally:
        started.session.close()
        started.kill()


@pytest.fixture(scope="module")
def echo() -> Iterator[Peer]:
    """A peer that answers with bait, and with what it was sent."""
    with peer() as made:
        made.answer = lambda handler: send(handler, 200, {"bait": BAIT, "{{ 7191 * 7 }}": BAIT[0]})
        yield made


def steps(url: str) -> list[dict[str, Any]]:
    """Every way from one step to another."""
    return [
        {"name": "call", "type": "rest", "rest": {"uri": url, "method": "POST", "data_key": "__input__"}},
        {"name": "call again", "type": "rest", "rest": {
            "uri": url + "/{{ __input__[0] | urlencode }}", "method": "POST",
            "headers": {"X-Bait": "{{ call.bait[0] }}"}, "query": {"q": "{{ call.bait[0] }}"},
            "body": {"b": "{{ call.bait[1] }}", "t": "x {{ call.bait[0] }}"},
        }},
        {"name": "read", "type": "file", "file": {"path": "input/bait.json", "mode": "read"}},
        {"name": "fact", "type": "set_fact", "set_fact": {"value": {"a": "{{ read }}", "b": ["x{{ read[0] }}"]}}},
        {"name": "program", "type": "jq", "jq": {"expression": ".call, .read | tostring"}},
        {"name": "rendered", "type": "jinja", "jinja": {"path": "show.j2", "data_key": "call"}},
        {"name": "twice", "type": "jinja", "jinja": {"template": "{{ rendered }} {{ fact.b[0] }}"}},
        {"name": "shown", "type": "debug", "debug": {"type": "json"}},
        {"name": "sub", "type": "flow", "flow": {"path": "inner.yml", "data_key": "read"}},
        {"name": "loop", "type": "flow_loop", "flow_loop": {"path": "inner.yml", "data_key": "read"}},
        {"name": "written", "type": "file", "file": {"path": "output/{{ read[2] | length }}.json", "mode": "write",
                                                     "data_key": "."}},
        {"name": "fails", "type": "jq", "jq": {"expression": "error(.call.bait[0])"}, "ignore_errors": [".*"]},
        {"name": "errors", "type": "jinja", "jinja": {"template": "{{ __errors__ | tojson }}"}},
        {"name": "end", "type": "exit", "exit": {"message": "{{ call.bait[0] }} {{ __errors__[0].error }}"}},
    ]  # fmt: skip


def test_nothing_that_looks_like_an_expression_is_computed(service: Service, echo: Peer) -> None:
    flow(service.data, "bait.yml", json.dumps({"name": "bait", "steps": steps(echo.url)}))

    job = service.run("bait.yml", BAIT)

    assert job["status"] == "exit", job
    asked = json.dumps([[each.path, dict(each.headers), str(each.body)] for each in echo.asked])
    logs = service.get(f"/api/jobs/{job['id']}/logs").text
    files = "".join(path.read_text() for path in Path(service.data / "output").iterdir())
    assert COMPUTED not in service.text()
    for text in (json.dumps(job), asked, logs, files):
        assert "7191" in text
        assert COMPUTED not in text


def test_the_name_of_a_flow_or_key_is_no_expression_either(service: Service) -> None:
    document = {"name": BAIT[0], "steps": [{"name": BAIT[0], "type": "set_fact", "set_fact": {"value": 1}}]}
    flow(service.data, "named.yml", json.dumps(document))

    job = service.run("named.yml")
    service.post("/api/schedules", {"path": "named.yml", "every_seconds": 86_400, "data": BAIT})
    service.post("/api/keys", {"name": "{{7191*7}}", "role": "viewer"})

    said = [service.get(path).text for path in ("/api/jobs", "/api/schedules", "/api/keys", "/api/audit", "/api/docs/")]
    assert job["name"] == BAIT[0]
    assert COMPUTED not in "".join([json.dumps(job), *said, service.text()])
