"""The hosts that a secret may travel to: names, `*.` before a name for all below it, each with a port or any."""

from __future__ import annotations

import re

PATTERN = re.compile(
    r"(?P<host>(?:\*\.)?[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*|\[[0-9a-f:.]+\])"
    r"(?::(?P<port>[0-9]{1,5}))?"
)


def checked(text: str) -> str:
    """The pattern in lower case; ValueError when it is none."""
    found = PATTERN.fullmatch(text.strip().lower().removesuffix("."))
    if found is None or not 0 < int(found["port"] or 1) < 65_536:
        raise ValueError(f"{text!r} is no host; write host.example.com, *.example.com or host.example.com:8443")
    return found[0]


def admits(patterns: str, host: str, port: int) -> bool:
    """Whether one of the comma-joined patterns is for this host and port."""
    return any(_matches(pattern, host.lower().removesuffix("."), port) for pattern in patterns.split(","))


def _matches(pattern: str, host: str, port: int) -> bool:
    found = PATTERN.fullmatch(pattern)
    if found is None or (found["port"] and int(found["port"]) != port):
        return False
    name = found["host"].strip("[]")
    return host.endswith(name[1:]) and host != name[1:] if name.startswith("*.") else host == name
