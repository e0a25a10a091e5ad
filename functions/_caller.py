"""What a request says about who sent it."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import flask

FORWARDING = re.compile(
    r"forwarded|via|x-forwarded-.+|x-real-ip|(true-|x-)?(cluster-)?client-ip|\w+-connecting-ip", re.I
)
"""Headers that a proxy adds: with one of them, the address we see is the proxy's."""

SAYING = ("X-Forwarded-For", "Forwarded", "X-Real-Ip")
"""Those that say who is behind it; anybody can send them."""


def token_of(request: flask.Request) -> str:
    """The request's bearer token, empty without one."""
    return bearer_token(request.headers.get("Authorization", ""))


def is_local(request: flask.Request) -> bool:
    """Whether it comes from this very machine, by a name of its own, and was handed on by nobody."""
    comes_from_here = is_loopback(request.remote_addr or "") and _is_own_name(request.host)
    return comes_from_here and not is_forwarded(request)


def address_of(request: flask.Request) -> str:
    """Where the request comes from: the address we see, and behind a proxy what is said to be behind it."""
    seen = request.remote_addr or "?"
    said = next((text for name in SAYING if (text := request.headers.get(name))), None)
    return seen if said is None else f"{seen} for {said[:100]}"


def is_forwarded(request: flask.Request) -> bool:
    """Whether a proxy may have handed this on.

    nginx, left as it comes, adds no header and puts its own address for Host, but it speaks HTTP/1.0 to us, which
    clients of today do not.
    """
    if request.environ.get("SERVER_PROTOCOL") in ("HTTP/1.0", "HTTP/0.9"):
        return True
    return any(FORWARDING.fullmatch(name) for name in request.headers.keys())  # noqa: SIM118  They are pairs otherwise.


def bearer_token(header: str) -> str:
    """The token of an Authorization header, empty when it has none; WSGI hands UTF-8 over as Latin-1."""
    scheme, _, token = header.strip(" ").partition(" ")
    if scheme.lower() != "bearer":
        return ""
    token = token.strip(" ")
    try:
        return token.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return token


@lru_cache(1000)
def is_loopback(address: str) -> bool:
    """Whether this is 127.0.0.0/8, ::1, or the first written as an IPv6 address."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        return ip.ipv4_mapped.is_loopback
    return ip.is_loopback


def _is_own_name(host: str) -> bool:
    """Whether the Host header names this machine to itself.

    A web page anywhere can point a name of its own at 127.0.0.1 and have a visitor's browser call us from loopback.
    """
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    name = name.strip("[]").lower()
    return name == "localhost" or name.endswith(".localhost") or is_loopback(name)
