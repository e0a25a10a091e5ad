"""`octoflow keys`: make, list and revoke keys, here or at a service."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.cli.key_clients import KeyClient, key_client
from engine.cli.service import Object
from engine.cli.terminal import plain, print_table, say
from engine.models.access import Role

if TYPE_CHECKING:
    from engine.cli.terminal import Commands

Verb = Callable[[KeyClient, argparse.Namespace], None]

FIELDS = ("name", "role", "flows", "expires")


def add(commands: Commands) -> None:
    """`keys` and its verbs."""
    keys = commands.add_parser(
        "keys",
        help="make, list and revoke keys to the API",
        description="Make, list and revoke keys to the API: of the service that OCTOFLOW_URL names (with the token "
        "OCTOFLOW_TOKEN, which must be an admin's), else of the data folder.",
    )
    verbs = keys.add_subparsers(required=True, metavar="COMMAND")

    create = verbs.add_parser("create", help="make a key; its token is shown this once")
    create.add_argument("--name", "-n", required=True, help="whose key it is; no two keys in use share a name")
    create.add_argument(
        "--role", "-p", required=True, choices=[*map(str, Role)], metavar="ROLE", help=f"one of {', '.join(Role)}"
    )
    create.add_argument(
        "--flows", metavar="GLOB", help="the only flows it reaches, such as 'reports/*'; all by default"
    )
    create.add_argument("--expires", metavar="TIME", help="how long it lives: 12h, 90d, 4w; for ever by default")
    _finish(create, _create)
    _finish(verbs.add_parser("list", help="every key that ever was, oldest first"), _list)
    revoke = verbs.add_parser("revoke", help="end a key")
    revoke.add_argument("key", metavar="KEY", help="its id, or its name")
    _finish(revoke, _revoke)


def _finish(parser: argparse.ArgumentParser, verb: Verb) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(command=lambda options: _with_client(verb, options))


def _with_client(verb: Verb, options: argparse.Namespace) -> int:
    client = key_client()
    try:
        verb(client, options)
    finally:
        client.close()
    return 0


def _create(client: KeyClient, options: argparse.Namespace) -> None:
    fields = {name: getattr(options, name) for name in FIELDS if getattr(options, name) is not None}
    key = client.create(fields)
    if options.json:
        print(json.dumps(key, indent=2))
    else:
        until = f", until {_time(key['expires_time'])}" if key["expires_time"] else ""
        say(f"The key {key['name']} ({key['role']}{until}) is made. This is its token, which is not shown again:")
        print(key["token"])


def _list(client: KeyClient, options: argparse.Namespace) -> None:
    keys = client.list()
    if options.json:
        print(json.dumps(keys, indent=2))
        return
    head = ("ID", "NAME", "ROLE", "TOKEN", "FLOWS", "STATE", "EXPIRES", "LAST USED")
    print_table(head, [_row(key) for key in keys])


def _row(key: Object) -> tuple[object, ...]:
    expires, used = _time(key["expires_time"]), _time(key["last_used_time"])
    return key["key_id"], key["name"], key["role"], f"{key['prefix']}_...", key["flows"], key["state"], expires, used


def _revoke(client: KeyClient, options: argparse.Namespace) -> None:
    key = client.revoke(options.key)
    if options.json:
        print(json.dumps(key, indent=2))
    else:
        print(f"The key {plain(key['name'])} ({key['key_id']}) is revoked.")


def _time(text: str | None) -> str | None:
    """`2026-03-01 14:00:00`: without fraction and offset."""
    return None if text is None else text[:19].replace("T", " ")
