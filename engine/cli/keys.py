"""`octoflow keys`: make, list and revoke keys, here or at a service."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from engine.cli.key_clients import KeyClient, key_client
from engine.cli.service import Object
from engine.cli.terminal import plain, print_table, say
from engine.cli.verbs import finish, print_json, time
from engine.models.access import Role

if TYPE_CHECKING:
    from engine.cli.terminal import Commands

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
    finish(create, _create, key_client)
    finish(verbs.add_parser("list", help="every key that ever was, oldest first"), _list, key_client)
    revoke = verbs.add_parser("revoke", help="end a key")
    revoke.add_argument("key", metavar="KEY", help="its id, or its name")
    finish(revoke, _revoke, key_client)


def _create(client: KeyClient, options: argparse.Namespace) -> None:
    fields = {name: getattr(options, name) for name in FIELDS if getattr(options, name) is not None}
    key = client.create(fields)
    if options.json:
        print_json(key)
    else:
        until = f", until {time(key['expires_time'])}" if key["expires_time"] else ""
        say(f"The key {key['name']} ({key['role']}{until}) is made. This is its token, which is not shown again:")
        print(key["token"])


def _list(client: KeyClient, options: argparse.Namespace) -> None:
    keys = client.list()
    if options.json:
        print_json(keys)
        return
    head = ("ID", "NAME", "ROLE", "TOKEN", "FLOWS", "STATE", "EXPIRES", "LAST USED")
    print_table(head, [_row(key) for key in keys])


def _row(key: Object) -> tuple[object, ...]:
    expires, used = time(key["expires_time"]), time(key["last_used_time"])
    return key["key_id"], key["name"], key["role"], f"{key['prefix']}_...", key["flows"], key["state"], expires, used


def _revoke(client: KeyClient, options: argparse.Namespace) -> None:
    key = client.revoke(options.key)
    if options.json:
        print_json(key)
    else:
        print(f"The key {plain(key['name'])} ({key['key_id']}) is revoked.")
