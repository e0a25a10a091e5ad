"""What the verbs of `octoflow jobs`, `schedules` and the like have in common: a client, `--json`, times."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any, Protocol, TypeVar


class Client(Protocol):
    """A way to what the verbs are about: a service, or the data folder."""

    def close(self) -> None:
        """Let go of everything."""


ClientT = TypeVar("ClientT", bound=Client)

MAX_LIMIT = 500
"""The API's own."""


def finish(
    parser: argparse.ArgumentParser,
    verb: Callable[[ClientT, argparse.Namespace], int | None],
    open_client: Callable[[], ClientT],
) -> None:
    """`--json`, and the verb that is to be done with a client of its own; it may give an exit code."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(command=lambda options: _do(verb, open_client, options))


def add_limit(parser: argparse.ArgumentParser) -> None:
    """`--limit`, as far as the API allows."""
    parser.add_argument("--limit", type=_limit, default=50, metavar="N", help="how many at most; 50 by default")


def print_json(value: Any) -> None:
    """For a program to read."""
    print(json.dumps(value, indent=2))


def time(text: str | None) -> str | None:
    """`2026-03-01 14:00:00`: the service's time, without fraction and offset."""
    return None if text is None else text[:19].replace("T", " ")


def _do(
    verb: Callable[[ClientT, argparse.Namespace], int | None],
    open_client: Callable[[], ClientT],
    options: argparse.Namespace,
) -> int:
    client = open_client()
    try:
        return verb(client, options) or 0
    finally:
        client.close()


def _limit(text: str) -> int:
    number = int(text)
    if not 1 <= number <= MAX_LIMIT:
        raise argparse.ArgumentTypeError(f"must be from 1 to {MAX_LIMIT}")
    return number
