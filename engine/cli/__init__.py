"""`octoflow`: the same verbs as the API, for a shell. One file for each group of commands."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from engine import __version__
from engine.errors import OctoflowError

GROUPS = {
    "serve": ("serve",),
    "run": ("run",),
    "validate": ("validate",),
    "schema": ("schema",),
    "documents": ("documents",),
    "jobs": ("jobs",),
    "schedules": ("schedules",),
    "forecast": ("forecast",),
    "keys": ("keys",),
    "audit": ("audit",),
    "config": ("config",),
    "upkeep": ("tick", "db"),
}
"""In the order of the help: modules here, each with an `add` that adds these commands."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code. A usage error is 2, as argparse has it."""
    given = sys.argv[1:] if arguments is None else arguments
    options = parser(given[0] if given else None).parse_args(given)
    try:
        code: int = options.command(options)
        sys.stdout.flush()
        return code
    except OctoflowError as error:
        from engine.cli.terminal import explain

        explain(error, vars(options).get("typed", {}))
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has enough of it; the interpreter must not try to flush the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def parser(command: str | None = None) -> argparse.ArgumentParser:
    """The parser of this command; of all of them when it is none, for the help and for what is said of a wrong one."""
    parser = argparse.ArgumentParser(prog="octoflow", description="Run flows: as a service, or one at a time.")
    parser.add_argument("--version", action="version", version=f"octoflow {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    # Only what is asked for: a service that scales to zero is started often.
    asked = [group for group, names in GROUPS.items() if command in names]
    for group in asked or GROUPS:
        import_module(f"engine.cli.{group}").add(commands)
    return parser
