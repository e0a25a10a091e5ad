"""`octoflow config`: every setting, and where its value comes from."""

from __future__ import annotations

import argparse
import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from engine.cli.terminal import print_table
from engine.settings import Settings

if TYPE_CHECKING:
    from engine.cli.terminal import Commands


def add(commands: Commands) -> None:
    """`config`."""
    config = commands.add_parser("config", help="show every setting with its value, its source and what it is for")
    config.add_argument("--json", action="store_true", help="print JSON")
    config.set_defaults(command=_config)


def _config(options: argparse.Namespace) -> int:
    rows = settings_table(Settings.from_environment(), Settings.variables())
    if options.json:
        print(json.dumps(rows, indent=2))
    else:
        print_table(("SETTING", "VALUE", "SOURCE", "WHAT IT IS"), [tuple(row.values()) for row in rows])
    return 0


def settings_table(settings: Settings, variables: dict[str, str]) -> list[dict[str, Any]]:
    """A row for each setting. A secret's value is never in it."""
    return [
        {
            "name": setting.name.upper(),
            "value": _shown(getattr(settings, setting.name), is_secret=not setting.repr),
            "source": variables.get(setting.name, "default"),
            "help": setting.metadata["help"],
        }
        for setting in fields(Settings)
    ]


def _shown(value: object, *, is_secret: bool) -> Any:
    if value is None or isinstance(value, int | float):
        return value
    return "***" if is_secret else str(value)
