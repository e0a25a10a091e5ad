"""`octoflow tick`, `octoflow db upgrade`: what keeps the jobs and their tables in order."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from engine.cli.opening import logged, open_engine

if TYPE_CHECKING:
    from engine.cli.terminal import Commands


def add(commands: Commands) -> None:
    """`tick` and `db`."""
    tick = commands.add_parser("tick", help="do what time asks for, as POST /api/tick does")
    tick.set_defaults(command=_tick)

    database = commands.add_parser("db", help="look after the database")
    database_commands = database.add_subparsers(required=True, metavar="COMMAND")
    upgrade = database_commands.add_parser("upgrade", help="bring the tables up to this version")
    upgrade.set_defaults(command=_upgrade)


def _tick(_options: argparse.Namespace) -> int:
    engine = open_engine()
    try:
        with logged(engine):
            report = engine.tick()
            engine.run_due()
    finally:
        engine.close()
    print(json.dumps(report.to_json()))
    return 1 if report.errors else 0


def _upgrade(_options: argparse.Namespace) -> int:
    engine = open_engine()
    engine.close()
    print("The database is at this version.")
    return 0
