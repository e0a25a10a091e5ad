"""The shape of a flow as JSON Schema: editors complete and check flows by it."""

from __future__ import annotations

from functools import cache

from functions._answers import Page
from functions._http import operation
from functions._json import to_bytes

ASK_AGAIN = {"Cache-Control": "no-cache"}


@operation("GET", "/api/schema/flow.json", role=None)
def flow_schema() -> Page:
    """The JSON Schema of a flow document, for editors. It changes with the version of the service only."""
    return Page(_schema(), "application/json", ASK_AGAIN)


@cache
def _schema() -> bytes:
    from engine.orchestrator import Orchestrator

    return to_bytes(Orchestrator.flow_schema())
