"""What a request says of how it is to be answered: waiting for the end, once however often it is sent, from where."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.request import parse_http_list

from engine.errors import RequestInvalid

if TYPE_CHECKING:
    from collections.abc import Sequence

    import flask

    from engine.models.access import Access
    from engine.models.once import Once
    from engine.models.requests import RequestBody

LONGEST_WAIT_SECONDS = 60
"""A longer one is cut: proxies give up a request at about that time."""

_PREFERENCE = re.compile(r'(?P<name>[^\s=;"]+)\s*(?:=\s*(?P<value>"[^"]*"|[^\s;"]*))?\s*(?:;.*)?', re.DOTALL)


def wait_of(request: flask.Request) -> int:
    """The seconds of `Prefer: wait=N` (RFC 7240); 0 where none are asked for, or in a way that cannot be understood."""
    for header in request.headers.getlist("Prefer"):
        for text in parse_http_list(header[:1000]):
            preference = _PREFERENCE.fullmatch(text)
            if preference is not None and preference["name"].lower() == "wait":
                value = (preference["value"] or "").strip('"')
                is_number = value.isascii() and value.isdigit()
                return min(int(value), LONGEST_WAIT_SECONDS) if is_number else 0
    return 0


def once_of(request: flask.Request, access: Access, place: Sequence[Any], body: RequestBody | None) -> Once | None:
    """What `Idempotency-Key` says; None without one. RequestInvalid when it is not 1 to 255 visible characters.

    What is asked for is the operation, what stands in the URL, and the body: the same with and without its defaults.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    from engine.models.once import KEY, Once

    if KEY.fullmatch(key) is None:
        raise RequestInvalid("Idempotency-Key must be 1 to 255 visible ASCII characters, such as a UUID.")
    return Once.of(access.key_id or access.name, key, [*place, {} if body is None else body.chosen()])


def up_of(request: flask.Request) -> str:
    """What leads from the request's URL to where the API's paths begin, `/api/` or `/api/v1/`: as many `../`.

    A client resolves it against what it sent: there a slash within a name, as `%2F`, is none that parts folders.
    """
    sent = str(request.environ.get("RAW_URI") or request.environ.get("REQUEST_URI") or "").partition("?")[0]
    folders = request.path.count("/") - sent.lower().count("%2f")
    return "../" * (folders - (3 if request.path.startswith("/api/v1/") else 2))
