"""What a request's headers say of how it is to be answered: waiting for the end, and once however often it is sent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from engine.errors import RequestInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import flask

    from engine.models.access import Access
    from engine.models.once import Once
    from engine.models.requests import RequestBody

LONGEST_WAIT_SECONDS = 60
"""A longer one is cut: proxies give up a request at about that time."""

_PREFERENCE = re.compile(r'\s*(?P<name>[^\s=;,"]+)\s*(?:=\s*(?P<value>"(?:[^"\\]|\\.)*"|[^\s;,"]*))?[^,]*')


def wait_of(request: flask.Request) -> int:
    """The seconds of `Prefer: wait=N` (RFC 7240); 0 where none are asked for, or in a way that cannot be understood."""
    for header in request.headers.getlist("Prefer"):
        for preference in _PREFERENCE.finditer(header[:1000]):
            if preference["name"].lower() == "wait":
                value = (preference["value"] or "").strip('"')
                is_number = value.isascii() and value.isdigit() and len(value) < 10
                return min(int(value), LONGEST_WAIT_SECONDS) if is_number else 0
    return 0


def once_of(
    request: flask.Request, access: Access, place: Sequence[Any], body: RequestBody | Mapping[str, Any] | None
) -> Once | None:
    """What `Idempotency-Key` says; None without one. RequestInvalid when it is not 1 to 255 visible characters.

    What is asked for is the operation, what stands in the URL, and the body: the same after its defaults were put in.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    from engine.models.once import KEY, Once

    if KEY.fullmatch(key) is None:
        raise RequestInvalid("Idempotency-Key must be 1 to 255 visible ASCII characters, such as a UUID.")
    return Once.of(access.key_id or access.name, key, [*place, dict(body or {})])
