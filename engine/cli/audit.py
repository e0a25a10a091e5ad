"""`octoflow audit`: who changed what, when, and from where, here or at a service."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from engine.cli.audit_clients import AuditClient, audit_client
from engine.cli.terminal import print_table
from engine.cli.verbs import add_limit, finish, print_json, time
from engine.models.audit import Action

if TYPE_CHECKING:
    from engine.cli.terminal import Commands

FILTERS = ("actor", "action", "time_from", "time_to")


def add(commands: Commands) -> None:
    """`audit`."""
    parser = commands.add_parser(
        "audit",
        help="who changed what, when, and from where",
        description="Who changed what, when, and from where, newest first: at the service that OCTOFLOW_URL names "
        "(with the token OCTOFLOW_TOKEN, which must be an admin's), else on the data folder.",
    )
    parser.add_argument("--actor", metavar="NAME", help="the name of a key, API_TOKEN, or cli: and a login name")
    parser.add_argument(
        "--action", metavar="NAME", choices=[*map(str, Action)], help=f"an operation: {', '.join(Action)}"
    )
    parser.add_argument(
        "--since", dest="time_from", metavar="TIME", help="made then or later: ISO 8601, or such as '2 hours ago'"
    )
    parser.add_argument("--until", dest="time_to", metavar="TIME", help="made before")
    add_limit(parser)
    finish(parser, _audit, audit_client)


def _audit(client: AuditClient, options: argparse.Namespace) -> None:
    filters = {name: getattr(options, name) for name in FILTERS if getattr(options, name)}
    rows = client.find(filters, options.limit)
    if options.json:
        print_json(rows)
        return
    head = ("TIME", "WHO", "ROLE", "ACTION", "WHAT", "ID", "FROM")
    print_table(
        head,
        [
            (
                time(row["time"]),
                row["actor"],
                row["role"],
                row["action"],
                row["target"],
                row["result_id"],
                row["address"],
            )
            for row in rows
        ],
    )
