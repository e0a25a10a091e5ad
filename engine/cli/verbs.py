"""What the verbs of `octoflow jobs`, `schedules` and the like have in common: a client, `--json`, times."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Mapping
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
    parser.set_defaults(command=lambda options: _do(verb, open_client, options), typed=as_typed(parser))


def as_typed(parser: argparse.ArgumentParser) -> Mapping[str, str]:
    """The API's fields that the parser reads, each as it is typed: `every_seconds` is `--every`."""
    # argparse tells of its arguments in no other way.
    return {each.dest: max(each.option_strings, key=len, default=str(each.metavar)) for each in parser._actions}


def add_limit(parser: argparse.ArgumentParser) -> None:
    """`--limit`, as far as the API allows."""
    limit = whole(1, MAX_LIMIT)
    parser.add_argument("--limit", type=limit, default=50, metavar="N", help="how many at most; 50 by default")


def whole(low: int, high: int) -> Callable[[str], int]:
    """Reads an argument that is a whole number from `low` to `high`."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = low - 1
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"must be a whole number from {low} to {high}, not {text!r}")
        return number

    return read


def finite(text: str) -> float:
    """Reads an argument that is a finite number; JSON has no others."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"must be a number, not {text!r}")
    return number


def above_zero(high: int | None = None) -> Callable[[str], float]:
    """Reads an argument that is a finite number above 0, and at most `high`."""
    limit = "" if high is None else f" and at most {high}"

    def read(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not 0 < number < math.inf or (high is not None and number > high):
            raise argparse.ArgumentTypeError(f"must be a number above 0{limit}, not {text!r}")
        return number

    return read


def print_json(value: Any) -> None:
    """For a program to read."""
    print(json.dumps(value, indent=2))


def time(text: str | None) -> str | None:
    """`2026-03-01 14:00:00+01:00`: the service's time, without the fraction."""
    return None if text is None else wall_clock(text) + text[23:]


def wall_clock(text: str) -> str:
    """`2026-03-01 14:00:00`, where the zone stands beside it."""
    return text[:19].replace("T", " ")


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
