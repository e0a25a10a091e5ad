"""`octoflow jobs`: launch jobs, look at them, follow, cancel and delete them, here or at a service."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from threading import Event
from typing import TYPE_CHECKING

from engine.cli import launching
from engine.cli.clients import JobClient, job_client
from engine.cli.job_view import print_job, standing
from engine.cli.service import Object
from engine.cli.terminal import plain, print_table, say
from engine.cli.verbs import add_limit, finish, print_json, time
from engine.clock import Clock
from engine.models.job import State, Status

if TYPE_CHECKING:
    from engine.cli.terminal import Commands

Verb = Callable[[JobClient, argparse.Namespace], None]

FOLLOW_SECONDS = 0.5


def add(commands: Commands) -> None:
    """`jobs` and its verbs."""
    jobs = commands.add_parser(
        "jobs",
        help="launch, list, show, cancel and delete jobs",
        description="Launch, list, show, cancel and delete jobs: of the service that OCTOFLOW_URL names (with the "
        "token OCTOFLOW_TOKEN), else of the data folder.",
    )
    verbs = jobs.add_subparsers(required=True, metavar="COMMAND")

    launching.add(verbs)

    several = verbs.add_parser("list", help="the newest jobs")
    several.add_argument("--state", choices=[str(state) for state in State], metavar="STATE", help=", ".join(State))
    several.add_argument(
        "--status", choices=[str(status) for status in Status], metavar="STATUS", help=", ".join(Status)
    )
    several.add_argument("--path", help="jobs of this flow only")
    several.add_argument(
        "--since",
        dest="start_time_from",
        metavar="TIME",
        help="started then or later: ISO 8601, or such as '2 hours ago'",
    )
    add_limit(several)
    finish(several, _list, job_client)

    one = verbs.add_parser("show", help="a job and its steps; with --json its data and result as well")
    logs = verbs.add_parser("logs", help="what a job logged; with --json an object for each line")
    logs.add_argument("--follow", "-f", action="store_true", help="go on until the job has ended")
    cancel = verbs.add_parser("cancel", help="stop a job; its finally_step still runs")
    delete = verbs.add_parser("delete", help="delete a job that has ended, with its steps and logs")
    verbs_of_one: tuple[tuple[argparse.ArgumentParser, Verb], ...] = (
        (one, _show),
        (logs, _logs),
        (cancel, _cancel),
        (delete, _delete),
    )
    for parser, verb in verbs_of_one:
        parser.add_argument("id", metavar="ID", help="the job's id")
        finish(parser, verb, job_client)


def _list(client: JobClient, options: argparse.Namespace) -> None:
    names = ("state", "status", "path", "start_time_from")
    filters = {name: getattr(options, name) for name in names if getattr(options, name)}
    jobs = client.find(filters, options.limit)
    if options.json:
        print_json(jobs)
    else:
        head = ("ID", "FLOW", "STATUS", "STARTED", "SECONDS", "MESSAGE")
        rows = [
            (job["id"], job["path"], standing(job), time(job["start_time"]), job["duration_seconds"], job["message"])
            for job in jobs
        ]
        print_table(head, rows)


def _show(client: JobClient, options: argparse.Namespace) -> None:
    print_job(client.show(options.id), as_json=options.json)


def _logs(client: JobClient, options: argparse.Namespace) -> None:
    has_lines = False
    for line in _lines(client, options.id, options.follow):
        has_lines = True
        if options.json:
            print(json.dumps(line), flush=True)
        else:
            step = f" {plain(line['step'])}:" if line["step"] else ""
            message = plain(line["message"], keep="\n\t")
            print(f"{time(line['time'])} {line['level']}{step} {message}", flush=True)
    if not has_lines:
        say(f"The job {options.id} has logged nothing.")


def _lines(client: JobClient, id: str, follow: bool) -> Iterator[Object]:
    """The lines that are there; when we follow, those that come as well, until the job has ended."""
    clock, never = Clock(), Event()
    after: int | None = 0
    while after is not None:
        lines, after = client.logs(id, after)
        yield from lines
        if not lines and after is not None:
            if not follow:
                return
            clock.wait(never, FOLLOW_SECONDS)


def _cancel(client: JobClient, options: argparse.Namespace) -> None:
    answer = client.cancel(options.id)
    if options.json:
        print_json(answer)
    else:
        print(f"The job {plain(answer['job_id'])} is {answer['state']}.")


def _delete(client: JobClient, options: argparse.Namespace) -> None:
    client.delete(options.id)
    if options.json:
        print_json({"deleted": 1})
    else:
        print(f"The job {plain(options.id)} is deleted.")
