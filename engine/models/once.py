"""What is to be made once, however often it is asked for."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

KEY = re.compile(r"[\x21-\x7e]{1,255}")
"""What a caller's key looks like."""


@dataclass(slots=True)
class Once:
    """Who asks under which key, and for what: SHA-256 digests in hex, so that neither can be read from the database."""

    digest: str
    request: str
    is_repeat: bool = False
    """Set by the verb that was asked: what it returns was made at an earlier request."""

    @classmethod
    def of(cls, caller: str, key: str, request: Any) -> Once:
        """`caller` tells one from another, `request` is JSON; how its objects are ordered means nothing."""
        # With the key, which is nowhere kept: a request may hold a secret that is short enough to be guessed.
        return cls(_digest([caller, key]), _digest([key, request]))


@dataclass(frozen=True, slots=True)
class Made:
    """What came of an earlier request: the id of what was made, and the digest of what was asked for."""

    id: str
    request: str


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
