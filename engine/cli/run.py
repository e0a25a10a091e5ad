"""`octoflow run`: one flow here and now, as a job like any other."""

from __future__ import annotations

import argparse
import signal
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.cli.auditing import change_here
from engine.cli.opening import below, logged, visit_engine
from engine.cli.terminal import say
from engine.cli.verbs import as_typed, finite
from engine.errors import RequestInvalid
from engine.models.job import Event, LogLine, Outcome, Status, StepEnded, StepStarted

if TYPE_CHECKING:
    from engine.cli.terminal import Commands

EXIT_CODES = {Status.SUCCESS: 0, Status.EXIT: 3}
"""Every other end is 1."""


def add(commands: Commands) -> None:
    """`run`."""
    run = commands.add_parser(
        "run",
        help="run one flow here and now",
        description="Run one flow here and now. Exit code: 0 success, 1 failed, 3 the flow's own `exit`.",
    )
    run.add_argument("flow", metavar="FLOW", help="the flow's path below FLOWS_PATH, such as hello.yml")
    run.add_argument("--data", metavar="JSON|@FILE", help="the flow's input: JSON, or @ and the name of a JSON file")
    run.add_argument(
        "--timeout", dest="timeout_seconds", type=finite, metavar="SECONDS", help="stop the flow after so long"
    )
    run.add_argument("--json", action="store_true", help="print the job's result as JSON on standard output")
    run.set_defaults(command=_run, typed=as_typed(run))


def _run(options: argparse.Namespace) -> int:
    data = read_data(options.data)
    engine = visit_engine()
    path = below(engine.settings.flows_path, options.flow)
    previous = {
        number: signal.signal(number, lambda *_: engine.stop_running("cancelled"))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    progress = _Progress()
    try:
        with logged(engine):
            change = change_here("launch_job", path)
            job_id, outcome = engine.run(
                path, data, timeout_seconds=options.timeout_seconds, observer=progress, change=change
            )
    finally:
        engine.close()
        for number, handler in previous.items():
            signal.signal(number, handler)
    if outcome is None:
        say(f"octoflow: the lease of job {job_id} was lost; another process has taken it over")
        return 1
    _report(job_id, outcome, progress.told)
    if options.json:
        print(outcome.result or "null")
    return EXIT_CODES.get(outcome.status, 1)


def read_data(text: str | None) -> Any:
    """The JSON that `--data` gives, itself or in a file; RequestInvalid."""
    if text is None:
        return None
    from engine.reading import ReadingError, decode, read_json

    try:
        return read_json(decode(Path(text[1:]).read_bytes()) if text.startswith("@") else text)
    except OSError as error:
        raise RequestInvalid(f"--data {text}: the file cannot be read ({error.strerror}).") from error
    except ReadingError as error:
        raise RequestInvalid(f"--data is not JSON: {error}") from error


class _Progress:
    """Prints a line for each step as it ends, and the job's log lines as they come."""

    def __init__(self) -> None:
        self._started: dict[int, StepStarted] = {}
        self.told: set[str] = set()
        """The errors that were printed."""

    def __call__(self, event: Event) -> None:
        match event:
            case StepStarted():
                self._started[event.number] = event
            case StepEnded() if (started := self._started.pop(event.number, None)) is not None:
                self._print_step(started, event)
            case LogLine():
                say(f"  {event.level}: {event.message}")

    def _print_step(self, started: StepStarted, ended: StepEnded) -> None:
        name = f"{started.parent} > {started.name}" if started.parent else started.name
        mark = "  (finally)" if started.is_finally else ""
        say(f"{_milliseconds(started.time, ended.time):>9}  {ended.status:<8}  {name} ({started.type}){mark}")
        if ended.error:
            self.told.add(ended.error)
            say(f"           {ended.error}")


def _report(job_id: str, outcome: Outcome, told: set[str]) -> None:
    """The job's last line, and whatever went wrong that no step's line has told."""
    reason = f", {outcome.reason}" if outcome.reason else ""
    message = f": {outcome.message}" if outcome.message and outcome.message not in told else ""
    say(f"job {job_id}: {outcome.status}{reason}{message}")
    for error in outcome.errors:
        if error["error"] not in told and error["error"] != outcome.message:
            say(f"  {error['error']}")


def _milliseconds(start: datetime, end: datetime) -> str:
    return f"{(end - start).total_seconds() * 1000:.1f} ms"
