"""`octoflow jobs launch`: queue a job, here or at a service, and wait for its end if so wished."""

from __future__ import annotations

import argparse
import math
from threading import Event
from typing import TYPE_CHECKING

from engine.cli.clients import JobClient, job_client
from engine.cli.job_view import print_job
from engine.cli.run import EXIT_CODES, read_data
from engine.cli.service import Object
from engine.cli.terminal import plain, say
from engine.cli.verbs import above_zero, finish, finite, print_json
from engine.clock import Clock
from engine.models.job import State, Status
from engine.models.once import KEY

if TYPE_CHECKING:
    from engine.cli.terminal import Commands

ON_ITS_WAY = 4
"""The exit code of a job that has not ended in time."""
FIRST_WAIT_SECONDS = 50
"""How long a launch itself may take: the API waits for 60 seconds at most, and proxies often for no longer."""
LOOK_SECONDS = 0.5


def add(verbs: Commands) -> None:
    """`launch`."""
    launch = verbs.add_parser(
        "launch",
        help="launch a flow; whichever service runs jobs there runs it",
        description="Launch a flow. Exit code with --wait: 0 success, 1 failed, 3 the flow's own `exit`, 4 when the "
        "time is over first; the job goes on.",
    )
    launch.add_argument("path", metavar="FLOW", help="the flow's path below FLOWS_PATH, such as hello.yml")
    launch.add_argument("--data", metavar="JSON|@FILE", help="the flow's input: JSON, or @ and the name of a JSON file")
    launch.add_argument(
        "--timeout", dest="timeout_seconds", type=finite, metavar="SECONDS", help="stop the job after so long"
    )
    launch.add_argument("--priority", type=int, default=0, metavar="N", help="the lowest number runs first; 0 else")
    launch.add_argument(
        "--wait",
        type=above_zero(),
        nargs="?",
        const=math.inf,
        default=0,
        metavar="SECONDS",
        help="wait for the job's end, so long at most if so given",
    )
    launch.add_argument(
        "--idempotency-key",
        type=_key,
        metavar="KEY",
        help="a text of your own: sent again within 24 hours, the same launch is that job and no second one",
    )
    finish(launch, _launch, job_client)


def _launch(client: JobClient, options: argparse.Namespace) -> int:
    body = {
        "path": options.path,
        "data": read_data(options.data),
        "timeout_seconds": options.timeout_seconds,
        "priority": options.priority,
    }
    clock = Clock()
    end = clock.monotonic() + options.wait
    job = client.launch(body, options.idempotency_key, math.ceil(min(options.wait, FIRST_WAIT_SECONDS)))
    if options.wait and "steps" not in job:
        job = _when_ended(client, job, clock, end)
    if "steps" in job:
        print_job(job, as_json=options.json)
        return EXIT_CODES.get(Status(job["status"]), 1)
    if options.json:
        print_json(job)
    elif options.wait:
        say(f"octoflow: the job {plain(job['job_id'])} has not ended within {options.wait:g} seconds; it goes on")
    else:
        print(f"The job {plain(job['job_id'])} is launched.")
    return ON_ITS_WAY if options.wait else 0


def _when_ended(client: JobClient, launched: Object, clock: Clock, end: float) -> Object:
    """The job as it ended; what its launch was answered when it does not until then."""
    never = Event()
    while (left := end - clock.monotonic()) > 0:
        job = client.show(launched["job_id"])
        if job["state"] == State.FINISHED:
            return job
        clock.wait(never, min(LOOK_SECONDS, left))
    return launched


def _key(text: str) -> str:
    if KEY.fullmatch(text) is None:
        raise argparse.ArgumentTypeError("must be 1 to 255 visible ASCII characters, such as a UUID")
    return text
