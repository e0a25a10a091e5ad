"""`octoflow documents`: which flows there are, and all that is known of one, here or at a service."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from engine.cli.document_clients import DocumentClient, document_client
from engine.cli.job_view import standing
from engine.cli.schedule_view import times
from engine.cli.service import Object
from engine.cli.terminal import plain, print_table
from engine.cli.verbs import add_limit, finish, print_json, time

if TYPE_CHECKING:
    from engine.cli.terminal import Commands


def add(commands: Commands) -> None:
    """`documents` and its verbs."""
    documents = commands.add_parser(
        "documents",
        help="list flows, and show all that is known of one",
        description="List flows, and show all that is known of one: of the service that OCTOFLOW_URL names (with the "
        "token OCTOFLOW_TOKEN), else of the data folder.",
    )
    verbs = documents.add_subparsers(required=True, metavar="COMMAND")

    several = verbs.add_parser("list", help="the flows below FLOWS_PATH, with the next run and the last job of each")
    several.add_argument("--q", metavar="TEXT", help="only those with this in their path, in whatever case")
    several.add_argument("--glob", help="only those whose path it means, such as 'reports/*'")
    add_limit(several)
    finish(several, _list, document_client)

    one = verbs.add_parser(
        "show", help="a flow: what is wrong with it, its steps, schedules and last jobs; with --json its text as well"
    )
    one.add_argument("path", metavar="FLOW", help="the flow's path below FLOWS_PATH, such as hello.yml")
    finish(one, _show, document_client)


def _list(client: DocumentClient, options: argparse.Namespace) -> None:
    documents = client.find(options.q, options.glob, options.limit)
    if options.json:
        print_json(documents)
    else:
        print_table(("FLOW", "NAME", "NEXT RUN", "LAST JOB", "STATUS"), [_row(each) for each in documents])


def _row(document: Object) -> tuple[Any, ...]:
    job = document["last_job"] or {}
    name = "(no flow)" if document["is_readable"] is False else document["name"]
    status = standing(job) if job else None
    return document["path"], name, time(document["next_run_time"]), time(job.get("queued_time")), status


def _show(client: DocumentClient, options: argparse.Namespace) -> None:
    document = client.show(options.path)
    if options.json:
        print_json(document)
        return
    outline = document["outline"] or {"name": None, "description": None, "inputs": [], "steps": []}
    facts = {
        "flow": f"{document['path']} ({outline['name']})" if outline["name"] else document["path"],
        "about": outline["description"],
        "revision": document["revision"],
        "valid": "yes" if document["valid"] else "no",
        "next run": time(document["next_run_time"]),
        "inputs": ", ".join(str(each.get("name")) for each in outline["inputs"]),
    }
    for name, value in facts.items():
        if value:
            print(f"{name + ':':<9} {plain(value)}")
    for problem in document["problems"]:
        place = f"line {problem['line']}: " if problem["line"] else ""
        hint = f" ({problem['hint']})" if problem["hint"] else ""
        print(plain(f"{problem['severity'] + ':':<9} {place}{problem['message']}{hint}"))
    _table(("STEP", "TYPE", "LINE"), [(step["name"], step["type"], step["line"]) for step in outline["steps"]])
    schedules = [
        (each["schedule_id"], times(each), each["state"], time(each["next_run_time"])) for each in document["schedules"]
    ]
    _table(("SCHEDULE", "TIMES", "STATE", "NEXT RUN"), schedules)
    jobs = [(job["id"], standing(job), time(job["queued_time"]), job["message"]) for job in document["jobs"]]
    _table(("JOB", "STATUS", "QUEUED", "MESSAGE"), jobs)


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    """A table after an empty line, and nothing where there are no rows."""
    if rows:
        print()
        print_table(head, rows)
