"""Who may do what: roles, keys, and what a token opens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Literal


class Role(StrEnum):
    """Each of the four people's roles may do what those before it may; `tick` is for a clock."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    EDITOR = "editor"
    ADMIN = "admin"
    TICK = "tick"

    def reaches(self, needed: Role) -> bool:
        """Whether this role may do what needs that one. A clock may call the tick, and so may operators and above."""
        if self is Role.TICK or needed is Role.TICK:
            return needed is Role.TICK and self is not Role.VIEWER
        return _LADDER.index(self) >= _LADDER.index(needed)


_LADDER = (Role.VIEWER, Role.OPERATOR, Role.EDITOR, Role.ADMIN)

API_TOKEN = "API_TOKEN"
"""The name of the first admin's key, which the setting of this name holds."""

MAX_LIFETIME = timedelta(days=36_500)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_LIFETIME = re.compile(r"([0-9]{1,6})([hdw])")
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, slots=True)
class Access:
    """What a token opens, and by which key; `flows` is the glob of the documents it is limited to, None for all."""

    name: str
    role: Role
    flows: str | None = None
    key_id: str | None = None
    """None for API_TOKEN."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as its readers see it: the token itself is kept nowhere, `prefix` is how it begins."""

    id: str
    name: str
    role: Role
    prefix: str
    flows: str | None
    created_time: datetime
    expires_time: datetime | None = None
    last_used_time: datetime | None = None
    """Within a minute."""
    revoked_time: datetime | None = None

    def state(self, now: datetime) -> Literal["active", "expired", "revoked"]:
        """Whether it opens anything now, and why not."""
        if self.revoked_time is not None:
            return "revoked"
        return "expired" if self.expires_time is not None and self.expires_time <= now else "active"


def matches(flows: str, path: str) -> bool:
    """Whether the glob means this document: `*` is any text, slashes too, `?` is one character, all else itself."""
    return fnmatchcase(path, without_classes(flows))


def without_classes(flows: str) -> str:
    """The glob for those to whom `[` begins a class of characters, such as fnmatch and SQLite's GLOB."""
    return flows.replace("[", "[[]")


def lifetime(text: str) -> timedelta:
    """How long a key lives: `90d`, `12h`, `4w`; ValueError says what can be read."""
    found = _LIFETIME.fullmatch(text)
    life = timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else timedelta(0)
    if not timedelta(0) < life <= MAX_LIFETIME:
        raise ValueError(f"must be hours, days or weeks such as 12h, 90d or 4w, at most {MAX_LIFETIME.days}d")
    return life


def problems_of_key(name: str, role: Role, flows: str | None, expires: str | None) -> Iterator[tuple[str, str]]:
    """What keeps such a key from being made: a field, and what is to be said of it."""
    if name == API_TOKEN:
        yield "name", f"cannot be {API_TOKEN}, which is reserved for the key that the setting {API_TOKEN} holds"
    elif not _NAME.fullmatch(name) or _ID.fullmatch(name):
        yield "name", "must be 1 to 64 letters, digits and . _ @ -, begin with a letter or a digit, and look like no id"
    if flows is not None:
        if not flows or len(flows) > 512 or _UNPRINTABLE.search(flows):
            yield "flows", "must be 1 to 512 printable characters, such as reports/*"
        if role in (Role.ADMIN, Role.TICK):
            yield "flows", f"cannot be given to a key with the role {role}, which concerns all flows"
    if expires is not None:
        try:
            lifetime(expires)
        except ValueError as error:
            yield "expires", str(error)
