"""Two ways to the keys with the same verbs: a service over HTTP, or the data folder of this machine.

What they give is JSON as the API answers it.
"""

from __future__ import annotations

import re
from typing import Protocol

from engine.cli.auditing import record
from engine.cli.opening import visit_engine
from engine.cli.service import Object, Service, named_service
from engine.errors import KeyNotFound
from engine.models.access import ApiKey
from engine.models.access_view import key_json

PAGE = 500
"""The API's own limit."""


class KeyClient(Protocol):
    """The verbs. What cannot be done is an OctoflowError of one sentence."""

    def create(self, fields: Object) -> Object:
        """Make a key of the fields that the API takes; the key with its token."""

    def list(self) -> list[Object]:
        """Every key that ever was, oldest first."""

    def revoke(self, key: str) -> Object:
        """End the key of this id, or the one in use that has this name; the key as it is then."""

    def close(self) -> None:
        """Let go of everything."""


def key_client() -> KeyClient:
    """The service that OCTOFLOW_URL names, else the data folder."""
    service = named_service()
    return FolderKeys() if service is None else ServiceKeys(service)


class FolderKeys:
    """The keys of the data folder; services take note of what is revoked here within seconds."""

    def __init__(self) -> None:
        self._engine = visit_engine()

    def create(self, fields: Object) -> Object:
        from engine.models.requests import CreateKey

        key, token = self._engine.create_key(**dict(CreateKey.read(fields)))
        record(self._engine, "create_key", key.name, key.id)
        return {**self._shown(key), "token": token}

    def list(self) -> list[Object]:
        found: list[Object] = []
        while page := self._engine.keys(PAGE, len(found)):
            found += map(self._shown, page)
        return found

    def revoke(self, key: str) -> Object:
        revoked = self._engine.revoke_key(key)
        record(self._engine, "revoke_key", key, revoked.id)
        return self._shown(revoked)

    def close(self) -> None:
        self._engine.close()

    def _shown(self, key: ApiKey) -> Object:
        return key_json(key, self._engine.settings.timezone, self._engine.clock.now())


class ServiceKeys:
    """The keys of a service."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def create(self, fields: Object) -> Object:
        return self._service.ask("POST", "/api/keys", "token", body=fields)

    def list(self) -> list[Object]:
        found: list[Object] = []
        offset: int | None = 0
        while offset is not None:
            page = self._service.ask("GET", "/api/keys", "next", {"limit": PAGE, "offset": offset})
            found += page["keys"]
            offset = page["next"]
        return found

    def revoke(self, key: str) -> Object:
        if not re.fullmatch(r"[A-Za-z0-9][\w.@-]*", key, re.ASCII):  # What can be neither might lead elsewhere.
            raise KeyNotFound(key)
        return self._service.ask("DELETE", f"/api/keys/{key}", "key_id")

    def close(self) -> None:
        self._service.close()
