"""What can be asked of keys: to make, list and revoke them; and whose token this is."""

from __future__ import annotations

import hmac
import logging
import re
import secrets
from datetime import datetime, timedelta
from hashlib import sha256
from threading import Lock
from typing import TYPE_CHECKING

from engine.clock import Clock, new_id
from engine.errors import OctoflowError, RequestInvalid
from engine.models.access import ApiKey, Role, lifetime, problems_of_key
from engine.orchestrator.part import Part
from engine.orchestrator.parts import Parts

if TYPE_CHECKING:
    from engine.store.keys import KeyStore

log = logging.getLogger("octoflow")

KNOWN_SECONDS = 5.0
"""How long a key counts as it was found: so long one that another process has revoked still opens doors here."""
MOST_KNOWN = 1_000
USE_NOTED = timedelta(minutes=1)
"""How exact a key's last use is."""

PREFIX_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
TOKEN = re.compile(r"(octo_[a-z0-9]{8})_[A-Za-z0-9_-]{43}")


class KeyVerbs(Parts):
    """Make, list, revoke, and find by the token."""

    def create_key(
        self, name: str, role: Role, *, flows: str | None = None, expires: str | None = None
    ) -> tuple[ApiKey, str]:
        """A new key, and its token, which nobody can tell again; RequestInvalid, KeyExists.

        `flows` is a glob of the documents it is limited to, `expires` its lifetime such as `90d`.
        """
        problems = [{"field": field, "message": text} for field, text in problems_of_key(name, role, flows, expires)]
        if problems:
            sentences = "; ".join(f"`{problem['field']}` {problem['message']}" for problem in problems)
            raise RequestInvalid(f"The key cannot be made: {sentences}.", details=problems)
        now = self.clock.now()
        prefix, token = _new_token()
        ends = None if expires is None else now + lifetime(expires)
        key = ApiKey(new_id(now), name, role, prefix, flows, created_time=now, expires_time=ends)
        self._keys.insert(key, _digest(token))
        return key, token

    def keys(self, limit: int, offset: int = 0) -> list[ApiKey]:
        """Every key that ever was, oldest first."""
        return self._keys.list(limit, offset)

    def revoke_key(self, key: str) -> ApiKey:
        """End the key of this id, or the one in use that has this name; once is enough. KeyNotFound."""
        revoked = self._keys.revoke(key, self.clock.now())
        self._known.forget()
        return revoked

    def _key_of(self, token: str) -> ApiKey | None:
        """The key whose token this is, unless it is revoked or expired; at most one look into the database."""
        shape = TOKEN.fullmatch(token)
        if shape is None:
            return None
        digest = _digest(token)
        key = self._known.find(digest)
        if key is None:
            since = self._known.forgotten
            key = next((key for key, kept in self._keys.of_prefix(shape[1]) if _equal(kept, digest)), None)
            if key is None:
                return None
            self._known.keep(digest, key, since)
        if key.state(self.clock.now()) != "active":
            return None
        self._note_use(key)
        return key

    def _note_use(self, key: ApiKey) -> None:
        now = self.clock.now()
        if self._known.is_use_new(key, now):
            try:
                self._keys.touch(key.id, now, USE_NOTED)
            except OctoflowError as error:
                log.warning("That the key %s is used cannot be noted: %s", key.name, error)

    @Part
    def _keys(self) -> KeyStore:
        from engine.store.keys import KeyStore

        return KeyStore(self._database)

    @Part
    def _known(self) -> KnownKeys:
        return KnownKeys(self.clock)


class KnownKeys:
    """The keys that were found a moment ago, by their digests: most requests need not ask the database."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = Lock()
        self._found: dict[str, tuple[ApiKey, float]] = {}
        self._noted: dict[str, datetime] = {}
        self.forgotten = 0
        """How often all was forgotten: what was looked up before the last time is not to be kept after it."""

    def find(self, digest: str) -> ApiKey | None:
        """The key as it was a few seconds ago, None when it is not known."""
        key, until = self._found.get(digest, (None, 0.0))
        return key if self._clock.monotonic() < until else None

    def keep(self, digest: str, key: ApiKey, since: int) -> None:
        """Know this key for a few seconds, unless all was forgotten since."""
        with self._lock:
            if self.forgotten == since:
                if len(self._found) >= MOST_KNOWN:
                    self._found.clear()
                self._found[digest] = key, self._clock.monotonic() + KNOWN_SECONDS

    def forget(self) -> None:
        """Know no key."""
        with self._lock:
            self.forgotten += 1
            self._found.clear()

    def is_use_new(self, key: ApiKey, now: datetime) -> bool:
        """Whether it is to be noted that the key is used; said once a minute at most, also where noting it fails."""
        with self._lock:
            last = max(filter(None, (key.last_used_time, self._noted.get(key.id))), default=None)
            if last is not None and now - last < USE_NOTED:
                return False
            if len(self._noted) >= MOST_KNOWN:
                self._noted.clear()
            self._noted[key.id] = now
            return True


def _new_token() -> tuple[str, str]:
    prefix = "octo_" + "".join(secrets.choice(PREFIX_LETTERS) for _ in range(8))
    return prefix, f"{prefix}_{secrets.token_urlsafe(32)}"


def _digest(token: str) -> str:
    # 32 random bytes cannot be guessed, so there is nothing that a slow hash or a salt would make harder.
    return sha256(token.encode()).hexdigest()


def _equal(kept: str, given: str) -> bool:
    return hmac.compare_digest(kept.encode(), given.encode())
