"""`octoflow`: the same verbs as the API, without HTTP."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import __version__
from engine.errors import DocumentInvalid, FlowRunning, OctoflowError, RequestInvalid, SettingInvalid
from engine.models.job import Event, LogLine, Outcome, Status, StepEnded, StepStarted
from engine.settings import Settings

if TYPE_CHECKING:
    from engine.orchestrator import Orchestrator

EXIT_CODES = {Status.SUCCESS: 0, Status.EXIT: 3}
"""Every other end is 1."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code. A usage error is 2, as argparse has it."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.command(options)
        return code
    except OctoflowError as error:
        _explain(error)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="octoflow", description="Run flows: as a service, or one at a time.")
    parser.add_argument("--version", action="version", version=f"octoflow {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="run the service: gunicorn, one process, many threads")
    serve.set_defaults(command=_serve)

    run = commands.add_parser(
        "run",
        help="run one flow here and now",
        description="Run one flow here and now. Exit code: 0 success, 1 failed, 3 the flow's own `exit`.",
    )
    run.add_argument("flow", metavar="FLOW", help="the flow's path below FLOWS_PATH, such as hello.yml")
    run.add_argument("--data", metavar="JSON|@FILE", help="the flow's input: JSON, or @ and the name of a JSON file")
    run.add_argument("--timeout", type=float, metavar="SECONDS", help="stop the flow after so long")
    run.add_argument("--json", action="store_true", help="print the job's result as JSON on standard output")
    run.set_defaults(command=_run)

    tick = commands.add_parser("tick", help="do what time asks for, as POST /api/tick does")
    tick.set_defaults(command=_tick)

    database = commands.add_parser("db", help="look after the database")
    database_commands = database.add_subparsers(required=True, metavar="COMMAND")
    upgrade = database_commands.add_parser("upgrade", help="bring the tables up to this version")
    upgrade.set_defaults(command=_upgrade)
    return parser


def _serve(_options: argparse.Namespace) -> int:
    settings = Settings.from_environment()
    settings.make_folders()
    _must_be_free(settings.api_host, settings.api_port)
    os.execv(sys.executable, [sys.executable, "-P", "-m", "functions"])


def _must_be_free(host: str, port: int) -> None:
    """SettingInvalid when the address cannot be listened on: gunicorn would say so ten times and name no setting."""
    import socket

    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise SettingInvalid(
            f"API_HOST={host!r} API_PORT={port}: cannot listen there ({error.strerror}); choose another port."
        ) from error


def _tick(_options: argparse.Namespace) -> int:
    engine = _engine()
    try:
        report = engine.tick()
        engine.run_due()
    finally:
        engine.close()
    print(json.dumps(report.to_json()))
    return 1 if report.errors else 0


def _upgrade(_options: argparse.Namespace) -> int:
    engine = _engine()
    engine.close()
    print("The database is at this version.")
    return 0


def _run(options: argparse.Namespace) -> int:
    data = _read_data(options.data)
    engine = _engine(workers=0)
    path = _below(engine.settings.flows_path, options.flow)
    previous = {
        number: signal.signal(number, lambda *_: engine.stop_running("cancelled"))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    progress = _Progress()
    try:
        job_id, outcome = engine.run(path, data, timeout_seconds=options.timeout, observer=progress)
    finally:
        engine.close()
        for number, handler in previous.items():
            signal.signal(number, handler)
    if outcome is None:
        print(f"octoflow: the lease of job {job_id} was lost; another process has taken it over", file=sys.stderr)
        return 1
    _report(job_id, outcome, progress.told)
    if options.json:
        print(outcome.result or "null")
    return EXIT_CODES.get(outcome.status, 1)


def _engine(workers: int | None = None) -> Orchestrator:
    from dataclasses import replace

    from engine.orchestrator import Orchestrator

    settings = Settings.from_environment()
    return Orchestrator(settings if workers is None else replace(settings, flow_max_workers=workers))


def _read_data(text: str | None) -> Any:
    if text is None:
        return None
    from engine.reading import ReadingError, decode, read_json

    try:
        return read_json(decode(Path(text[1:]).read_bytes()) if text.startswith("@") else text)
    except OSError as error:
        raise RequestInvalid(f"--data {text}: the file cannot be read ({error.strerror}).") from error
    except ReadingError as error:
        raise RequestInvalid(f"--data is not JSON: {error}") from error


def _below(flows_path: Path, given: str) -> str:
    """A path as flows are named: one that exists from here and lies below FLOWS_PATH is meant as that file."""
    if not (flows_path / given).exists() and Path(given).exists():
        here = Path(given).resolve()
        if here.is_relative_to(flows_path.resolve()):
            return str(here.relative_to(flows_path.resolve()))
        raise RequestInvalid(
            f"{given} is not below FLOWS_PATH ({flows_path}); set FLOWS_PATH to the folder that holds it."
        )
    return given


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
                _say(f"  {event.level}: {event.message}")

    def _print_step(self, started: StepStarted, ended: StepEnded) -> None:
        name = f"{started.parent} > {started.name}" if started.parent else started.name
        mark = "  (finally)" if started.is_finally else ""
        _say(f"{_milliseconds(started.time, ended.time):>9}  {ended.status:<8}  {name} ({started.type}){mark}")
        if ended.error:
            self.told.add(ended.error)
            _say(f"           {ended.error}")


def _report(job_id: str, outcome: Outcome, told: set[str]) -> None:
    """The job's last line, and whatever went wrong that no step's line has told."""
    reason = f", {outcome.reason}" if outcome.reason else ""
    message = f": {outcome.message}" if outcome.message and outcome.message not in told else ""
    _say(f"job {job_id}: {outcome.status}{reason}{message}")
    for error in outcome.errors:
        if error["error"] not in told and error["error"] != outcome.message:
            _say(f"  {error['error']}")


def _explain(error: OctoflowError) -> None:
    """An error on the terminal: the sentence, or every problem of a document with its place and its way out."""
    if isinstance(error, FlowRunning) and error.fields["job_id"]:
        _say(f"octoflow: {error} It is job {error.fields['job_id']}.")
    elif isinstance(error, DocumentInvalid):
        for problem in error.problems:
            place = f", line {problem.line}" if problem.line else ""
            hint = f" ({problem.hint})" if problem.hint else ""
            _say(f"octoflow: {error.path}{place}: {problem.message}{hint}")
    else:
        _say(f"octoflow: {error}")


def _milliseconds(start: datetime, end: datetime) -> str:
    return f"{(end - start).total_seconds() * 1000:.1f} ms"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
