"""`octoflow schedules`: make, look at, pause, resume and delete schedules, here or at a service."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from engine.cli.run import read_data
from engine.cli.schedule_clients import ScheduleClient, schedule_client
from engine.cli.schedule_view import times
from engine.cli.service import Object
from engine.cli.terminal import plain, print_table
from engine.cli.verbs import add_limit, finish, finite, print_json, time
from engine.models.schedule import Misfire, Overlap

if TYPE_CHECKING:
    from engine.cli.terminal import Commands

Verb = Callable[[ScheduleClient, argparse.Namespace], None]

FIELDS = ("path", "cron", "every_seconds", "timezone", "overlap", "misfire", "misfire_grace_seconds", "timeout_seconds")


def add(commands: Commands) -> None:
    """`schedules` and its verbs."""
    schedules = commands.add_parser(
        "schedules",
        help="list, show, add, pause, resume and delete schedules",
        description="List, show, add, pause, resume and delete schedules: of the service that OCTOFLOW_URL names (with "
        "the token OCTOFLOW_TOKEN), else of the data folder.",
    )
    verbs = schedules.add_subparsers(required=True, metavar="COMMAND")

    several = verbs.add_parser("list", help="the schedules, oldest first")
    several.add_argument("--path", help="schedules of this flow only")
    add_limit(several)
    finish(several, _list, schedule_client)
    _add_add(verbs)
    one = verbs.add_parser("show", help="a schedule, with what it did last and does next")
    slots = verbs.add_parser("slots", help="what became of its due times, newest first")
    add_limit(slots)
    pause = verbs.add_parser("pause", help="run nothing until it is resumed")
    resume = verbs.add_parser("resume", help="go on from now; what fell due meanwhile is not made up for")
    delete = verbs.add_parser("delete", help="forget a schedule; its jobs stay")
    verbs_of_one: tuple[tuple[argparse.ArgumentParser, Verb], ...] = (
        (one, _show),
        (slots, _slots),
        (pause, _pause),
        (resume, _resume),
        (delete, _delete),
    )
    for parser, verb in verbs_of_one:
        parser.add_argument("id", metavar="ID", help="the schedule's id")
        finish(parser, verb, schedule_client)


def _add_add(verbs: Commands) -> None:
    parser = verbs.add_parser("add", help="run a flow at certain times")
    parser.add_argument("path", metavar="FLOW", help="the flow's path below FLOWS_PATH, such as hello.yml")
    timing = parser.add_mutually_exclusive_group(required=True)
    timing.add_argument(
        "--cron", metavar="EXPRESSION", help="five fields such as '0 6 * * mon-fri', or such as @hourly"
    )
    timing.add_argument("--every", dest="every_seconds", type=int, metavar="SECONDS", help="the time between two runs")
    parser.add_argument("--timezone", metavar="ZONE", help="the zone that cron is read in; TIMEZONE by default")
    parser.add_argument(
        "--overlap", choices=[*map(str, Overlap)], help="while the flow runs: no run, or one that waits"
    )
    parser.add_argument(
        "--misfire",
        choices=[*map(str, Misfire)],
        help="runs that no tick saw in time: the latest is made up for, or none",
    )
    parser.add_argument(
        "--grace", dest="misfire_grace_seconds", type=int, metavar="SECONDS", help="how late a run may be"
    )
    parser.add_argument(
        "--timeout", dest="timeout_seconds", type=finite, metavar="SECONDS", help="stop each job after so long"
    )
    parser.add_argument("--data", metavar="JSON|@FILE", help="the flow's input: JSON, or @ and the name of a JSON file")
    finish(parser, _add, schedule_client)


def _list(client: ScheduleClient, options: argparse.Namespace) -> None:
    schedules = client.find(options.path, options.limit)
    if options.json:
        print_json(schedules)
    else:
        head = ("ID", "FLOW", "TIMES", "STATE", "NEXT RUN", "LAST")
        print_table(head, [_row(schedule) for schedule in schedules])


def _row(schedule: Object) -> tuple[Any, ...]:
    last = (schedule["last_slot"] or {}).get("verdict")
    next_run = time(schedule["next_run_time"])
    return schedule["schedule_id"], schedule["path"], times(schedule), schedule["state"], next_run, last


def _show(client: ScheduleClient, options: argparse.Namespace) -> None:
    schedule = client.show(options.id)
    if options.json:
        print_json(schedule)
        return
    last = schedule["last_slot"] or {}
    late = f", up to {schedule['misfire_grace_seconds']} s late" if schedule["misfire_grace_seconds"] else ""
    facts = {
        "schedule": schedule["schedule_id"],
        "flow": schedule["path"],
        "times": times(schedule),
        "state": schedule["state"],
        "next run": time(schedule["next_run_time"]),
        "last": ", ".join(filter(None, (time(last.get("due_time")), last.get("verdict"), last.get("reason")))),
        "last job": schedule["last_job_id"],
        "error": schedule["last_error"],
        "overlap": schedule["overlap"],
        "misfire": f"{schedule['misfire']}{late}",
        "timeout": schedule["timeout_seconds"],
        "data": None if schedule["data"] is None else json.dumps(schedule["data"]),
        "made": f"{time(schedule['created_time'])} by {schedule['source']}",
    }
    for name, value in facts.items():
        if value:
            print(f"{name + ':':<10} {plain(value)}")


def _slots(client: ScheduleClient, options: argparse.Namespace) -> None:
    slots = client.slots(options.id, options.limit)
    if options.json:
        print_json(slots)
    else:
        head = ("DUE", "COUNT", "VERDICT", "JOB", "REASON")
        rows = [
            (time(each["due_time"]), each["count"], each["verdict"], each["job_id"], each["reason"]) for each in slots
        ]
        print_table(head, rows)


def _add(client: ScheduleClient, options: argparse.Namespace) -> None:
    fields = {name: getattr(options, name) for name in FIELDS if getattr(options, name) is not None}
    if options.data is not None:
        fields["data"] = read_data(options.data)
    id = client.add(fields)
    if options.json:
        print_json({"schedule_id": id})
    else:
        print(f"The schedule {plain(id)} of {plain(options.path)} is made.")


def _pause(client: ScheduleClient, options: argparse.Namespace) -> None:
    _tell(client.pause(options.id), options)


def _resume(client: ScheduleClient, options: argparse.Namespace) -> None:
    _tell(client.resume(options.id), options)


def _tell(schedule: Object, options: argparse.Namespace) -> None:
    if options.json:
        print_json(schedule)
        return
    following = f"; its next run is at {time(schedule['next_run_time'])}" if schedule["next_run_time"] else ""
    print(plain(f"The schedule {schedule['schedule_id']} of {schedule['path']} is {schedule['state']}{following}."))


def _delete(client: ScheduleClient, options: argparse.Namespace) -> None:
    client.delete(options.id)
    if options.json:
        print_json({"schedule_id": options.id, "deleted": True})
    else:
        print(f"The schedule {plain(options.id)} is deleted.")
