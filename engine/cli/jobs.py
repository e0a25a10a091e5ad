"""`octoflow jobs`: look at jobs, follow, cancel and delete them, here or at a service."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from threading import Event
from typing import TYPE_CHECKING, Any

from engine.cli.clients import JobClient, job_client
from engine.cli.service import Object
from engine.cli.terminal import plain, print_table
from engine.clock import Clock
from engine.models.job import State, Status

if TYPE_CHECKING:
    from engine.cli.terminal import Commands

Verb = Callable[[JobClient, argparse.Namespace], None]

FOLLOW_SECONDS = 0.5
MAX_LIMIT = 500
"""The API's own."""


def add(commands: Commands) -> None:
    """`jobs` and its verbs."""
    jobs = commands.add_parser(
        "jobs",
        help="list, show, cancel and delete jobs",
        description="List, show, cancel and delete jobs: of the service that OCTOFLOW_URL names (with the token "
        "OCTOFLOW_TOKEN), else of the data folder.",
    )
    verbs = jobs.add_subparsers(required=True, metavar="COMMAND")

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
    several.add_argument("--limit", type=_limit, default=50, metavar="N", help="how many at most; 50 by default")
    _finish(several, _list)

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
        _finish(parser, verb)


def _finish(parser: argparse.ArgumentParser, verb: Verb) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(command=lambda options: _with_client(verb, options))


def _with_client(verb: Verb, options: argparse.Namespace) -> int:
    client = job_client()
    try:
        verb(client, options)
    finally:
        client.close()
    return 0


def _list(client: JobClient, options: argparse.Namespace) -> None:
    names = ("state", "status", "path", "start_time_from")
    filters = {name: getattr(options, name) for name in names if getattr(options, name)}
    jobs = client.find(filters, options.limit)
    if options.json:
        _print_json(jobs)
    else:
        head = ("ID", "FLOW", "STATUS", "STARTED", "SECONDS", "MESSAGE")
        rows = [
            (job["id"], job["path"], _standing(job), _time(job["start_time"]), job["duration_seconds"], job["message"])
            for job in jobs
        ]
        print_table(head, rows)


def _show(client: JobClient, options: argparse.Namespace) -> None:
    job = client.show(options.id)
    if options.json:
        _print_json(job)
        return
    facts = {
        "job": job["id"],
        "flow": f"{job['path']} ({job['name']})",
        "status": ", ".join(filter(None, (_standing(job), job["reason"]))),
        "message": job["message"],
        "queued": _time(job["queued_time"]),
        "started": _time(job["start_time"]),
        "ended": _time(job["end_time"]),
        "seconds": job["duration_seconds"],
    }
    for name, value in facts.items():
        if value is not None:
            print(f"{name + ':':<9} {plain(value)}")
    for error in job["errors"]:
        if error["error"] != job["message"]:
            print(f"{'error:':<9} {plain(error['error'])}")
    print()
    head = ("STEP", "TYPE", "STATUS", "SECONDS", "ERROR")
    print_table(head, [(_name(s), s["type"], s["status"], s["duration_seconds"], s["error"]) for s in job["steps"]])


def _logs(client: JobClient, options: argparse.Namespace) -> None:
    for line in _lines(client, options.id, options.follow):
        if options.json:
            print(json.dumps(line), flush=True)
        else:
            step = f" {plain(line['step'])}:" if line["step"] else ""
            message = plain(line["message"], keep="\n\t")
            print(f"{_time(line['time'])} {line['level']}{step} {message}", flush=True)


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
        _print_json(answer)
    else:
        print(f"The job {plain(answer['job_id'])} is {answer['state']}.")


def _delete(client: JobClient, options: argparse.Namespace) -> None:
    client.delete(options.id)
    if options.json:
        _print_json({"deleted": 1})
    else:
        print(f"The job {plain(options.id)} is deleted.")


def _limit(text: str) -> int:
    number = int(text)
    if not 1 <= number <= MAX_LIMIT:
        raise argparse.ArgumentTypeError(f"must be from 1 to {MAX_LIMIT}")
    return number


def _standing(job: Object) -> str:
    """How it ended, or where it is."""
    return str(job["status"] or job["state"])


def _name(step: Object) -> str:
    name = f"{step['parent']} > {step['name']}" if step["parent"] else step["name"]
    return f"{name} (finally)" if step["is_finally"] else name


def _time(text: str | None) -> str | None:
    """`2026-03-01 14:00:00`: the service's time, without fraction and offset."""
    return None if text is None else text[:19].replace("T", " ")


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2))
