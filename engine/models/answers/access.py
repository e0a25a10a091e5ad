"""Answers about keys, and about who changed what."""

from __future__ import annotations

from typing import Literal

from engine.models.access import Role
from engine.models.answers.shown import Shown, Time


class Key(Shown):
    """A key, without what opens anything."""

    key_id: str
    name: str
    role: Role
    prefix: str
    """How its token begins."""
    flows: str | None
    """The documents it is limited to, null for all."""
    state: Literal["active", "expired", "revoked"]
    created_time: Time
    expires_time: Time | None
    last_used_time: Time | None
    """Within a minute."""
    revoked_time: Time | None


class NewKey(Key):
    """A key that was made."""

    token: str
    """Shown here, and never again."""


class KeyPage(Shown):
    """Keys, oldest first."""

    keys: list[Key]
    limit: int
    offset: int
    next: int | None
    """The `offset` of the next page, null on the last one."""


class AuditRow(Shown):
    """A change that was made."""

    id: str
    time: Time
    actor: str
    """The name of a key, `API_TOKEN`, or `cli:` and a login name."""
    role: Role
    action: str
    """The name of the operation."""
    target: str | None
    """What was named: a path, an id, a name or filters."""
    result_id: str | None
    """What was made, or what `target` means: a job, a schedule, a key."""
    address: str | None


class AuditPage(Shown):
    """Changes, newest first."""

    audit: list[AuditRow]
    limit: int
    offset: int
    next: int | None
    """The `offset` of the next page, null on the last one."""
