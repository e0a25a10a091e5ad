"""The schema of flows over HTTP and on the terminal: the same, open to all, and sent only when it has changed."""

from __future__ import annotations

import json

from engine import cli
from engine.checking.schema import flow_schema


def test_it_is_answered_without_a_token_and_once(app_of, engine):
    client = app_of("api").test_client()

    first = client.get("/api/schema/flow.json")
    again = client.get("/api/schema/flow.json", headers={"If-None-Match": first.headers["ETag"]})

    assert (first.status_code, first.json) == (200, flow_schema())
    assert (again.status_code, again.data) == (304, b"")
    assert engine.asked == []


def test_the_terminal_has_the_same(capsys):
    assert cli.main(["schema"]) == 0

    assert json.loads(capsys.readouterr().out) == flow_schema()
