"""`octoflow schema`: the shape of a flow, for editors."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from engine.cli.verbs import print_json

if TYPE_CHECKING:
    from engine.cli.terminal import Commands


def add(commands: Commands) -> None:
    """`schema`."""
    schema = commands.add_parser(
        "schema",
        help="print the JSON Schema of a flow, for editors",
        description="Print the JSON Schema of a flow: what a service answers at /api/schema/flow.json.",
    )
    schema.set_defaults(command=_schema)


def _schema(options: argparse.Namespace) -> int:
    from engine.checking.schema import flow_schema

    print_json(flow_schema())
    return 0
