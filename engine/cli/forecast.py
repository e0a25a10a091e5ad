"""`octoflow forecast`: every coming run, and what is worth knowing beforehand."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from engine.cli.schedule_clients import ScheduleClient, schedule_client
from engine.cli.terminal import print_table, say
from engine.cli.verbs import above_zero, finish, print_json, time, wall_clock, whole
from engine.models.forecast import MAX_HOURS, MAX_RUNS

if TYPE_CHECKING:
    from engine.cli.terminal import Commands


def add(commands: Commands) -> None:
    """`forecast`."""
    parser = commands.add_parser(
        "forecast",
        help="every coming run, and what to look out for",
        description="Every coming run of the schedules, soonest first, and what to look out for: of the service that "
        "OCTOFLOW_URL names, else of the data folder.",
    )
    parser.add_argument("--path", help="runs of this flow only")
    parser.add_argument(
        "--hours", type=above_zero(MAX_HOURS), default=24.0, metavar="N", help="how far to look; 24 by default"
    )
    parser.add_argument(
        "--limit", type=whole(1, MAX_RUNS), default=500, metavar="N", help="how many at most; 500 by default"
    )
    finish(parser, _forecast, schedule_client)


def _forecast(client: ScheduleClient, options: argparse.Namespace) -> None:
    forecast = client.forecast(options.hours, options.limit, options.path)
    if options.json:
        print_json(forecast)
        return
    rows = [
        (time(run["time"]), run["path"], wall_clock(run["local_time"]), run["timezone"]) for run in forecast["runs"]
    ]
    print_table(("TIME", "FLOW", "LOCAL TIME", "ZONE"), rows)
    if forecast["truncated"]:
        ways = [f"--limit shows up to {MAX_RUNS}"] if options.limit < MAX_RUNS else []
        ways += ["--path shows those of one flow"] if options.path is None else []
        say(f"These are the first {len(rows)}{'; ' if ways else ''}{', '.join(ways)}.")
    for warning in forecast["warnings"]:
        say(f"warning: {warning['message']}")
