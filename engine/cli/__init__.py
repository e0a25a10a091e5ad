"""`octoflow`: the same verbs as the API, for a shell. One file for each group of commands."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from engine import __version__
from engine.cli import config, forecast, jobs, keys, run, schedules, serve, upkeep, validate
from engine.cli.terminal import explain
from engine.errors import OctoflowError

GROUPS = (serve, run, validate, jobs, schedules, forecast, keys, config, upkeep)
"""In the order of the help; each has `add`, which adds its commands."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code. A usage error is 2, as argparse has it."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.command(options)
        sys.stdout.flush()
        return code
    except OctoflowError as error:
        explain(error)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has enough of it; the interpreter must not try to flush the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="octoflow", description="Run flows: as a service, or one at a time.")
    parser.add_argument("--version", action="version", version=f"octoflow {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for group in GROUPS:
        group.add(commands)
    return parser
