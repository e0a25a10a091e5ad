"""Keys: make, list, revoke."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import KeyExists, KeyNotFound
from engine.models.access import Role
from engine.models.access_view import key_json
from functions._http import operation

if TYPE_CHECKING:
    from engine.models import answers
    from engine.models.requests import CreateKey
    from engine.orchestrator import Orchestrator
    from functions._queries import ListKeys


@operation("POST", "/api/keys", role=Role.ADMIN, status=201, errors=[KeyExists])
def create_key(engine: Orchestrator, body: CreateKey) -> answers.NewKey:
    """Make a key. This answer has its token, and no other ever will."""
    key, token = engine.create_key(**dict(body))
    return {**key_json(key, engine.settings.timezone, engine.clock.now()), "token": token}


@operation("GET", "/api/keys", role=Role.ADMIN)
def list_keys(engine: Orchestrator, query: ListKeys) -> answers.KeyPage:
    """A page of keys, oldest first; those that are revoked or expired are still there."""
    found = engine.keys(query.limit + 1, query.offset)
    zone, now = engine.settings.timezone, engine.clock.now()
    return {
        "keys": [key_json(key, zone, now) for key in found[: query.limit]],
        "limit": query.limit,
        "offset": query.offset,
        "next": query.offset + query.limit if len(found) > query.limit else None,
    }


@operation("DELETE", "/api/keys/<id>", role=Role.ADMIN, errors=[KeyNotFound])
def revoke_key(engine: Orchestrator, id: str) -> answers.Key:
    """End a key; the name of one in use will do as well. Other processes may take its token for 5 seconds more."""
    return key_json(engine.revoke_key(id), engine.settings.timezone, engine.clock.now())
