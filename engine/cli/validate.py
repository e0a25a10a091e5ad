"""`octoflow validate`: what is wrong with documents, before anybody launches them."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.cli.opening import below
from engine.cli.terminal import plain, say
from engine.errors import FileMissing, OctoflowError, RequestInvalid
from engine.models.document_view import outline_json
from engine.models.outline import Outline
from engine.models.problem import NOT_COMPILED, Problem
from engine.settings import Settings

if TYPE_CHECKING:
    from engine.catalog import Catalog
    from engine.checking import Checker
    from engine.cli.terminal import Commands


def add(commands: Commands) -> None:
    """`validate`."""
    validate = commands.add_parser(
        "validate",
        help="check flows without running them",
        description="Check flows without running them. Exit code: 0 valid (warnings allowed), "
        "1 problems, or expressions that could not be checked, 2 usage.",
    )
    validate.add_argument("paths", nargs="+", metavar="PATH", help="a flow, or a folder of flows, below FLOWS_PATH")
    validate.add_argument("--format", choices=FORMATS, default="text", help="text by default; github: annotations")
    validate.add_argument(
        "--json", dest="format", action="store_const", const="json", help="print JSON: the same as --format json"
    )
    validate.set_defaults(command=lambda options: _validate(options, validate))


@dataclass(frozen=True, slots=True)
class _Verdict:
    """A document by its path below FLOWS_PATH and as a file seen from here, and what is wrong with it."""

    path: str
    file: str
    problems: Sequence[Problem]
    outline: Outline | None = None

    @property
    def is_valid(self) -> bool:
        return not self.count("error") and self.unchecked is None

    @property
    def unchecked(self) -> str | None:
        """Why its expressions were not looked at, None when they were."""
        return next((problem.message for problem in self.problems if problem.code == NOT_COMPILED), None)

    def count(self, severity: str) -> int:
        return sum(problem.severity == severity for problem in self.problems)


def _validate(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from engine.catalog import Catalog
    from engine.checking import Checker
    from engine.executors.children import ChildPool
    from engine.executors.expressions import ExpressionChecker

    settings = Settings.from_environment()
    catalog = Catalog.from_settings(settings)
    pool = ChildPool(1)
    verdicts = ExpressionChecker(lambda: pool, settings.job_memory_mb << 20)
    checker = Checker(catalog, max_depth=settings.max_flow_depth, verdicts=verdicts)
    try:
        paths = [path for given in options.paths for path in _documents(settings, catalog, given)]
    except OctoflowError as error:
        parser.error(str(error))
    with closing(pool):
        documents = [
            _verdict(path, _seen_from_here(settings.flows_path / path), catalog, checker)
            for path in dict.fromkeys(paths)
        ]
    for line in FORMATS[options.format](documents):
        print(line)
    errors, warnings = (sum(document.count(kind) for document in documents) for kind in ("error", "warning"))
    sys.stdout.flush()  # So that the sum comes last where both go to one place.
    say(f"documents: {len(documents)}, problems: {errors}, warnings: {warnings}")
    unchecked = [f"{document.file}: {document.unchecked}" for document in documents if document.unchecked]
    if unchecked:
        say(
            f"octoflow: {len(unchecked)} could not be checked whole, such as {unchecked[0]} "
            "Mend that and validate again, or let a service do it (POST /api/validate)."
        )
    return 1 if errors or unchecked else 0


def _documents(settings: Settings, catalog: Catalog, given: str) -> list[str]:
    """The documents that a path means: itself, or all that are in the folder."""
    path = below(settings.flows_path, given)
    if not (path and os.path.isdir(settings.flows_path / path)):
        try:
            return [catalog.find(path)]
        except FileMissing:
            raise RequestInvalid(
                f"{given} is no flow and no folder below FLOWS_PATH ({settings.flows_path})."
            ) from None
    folder = os.path.relpath(os.path.realpath(settings.flows_path / path), os.path.realpath(settings.flows_path))
    found = [key for key in catalog.list() if folder == "." or key.startswith(f"{folder}/")]
    if not found:
        raise RequestInvalid(f"{given} holds no .yml or .yaml file that is below FLOWS_PATH ({settings.flows_path}).")
    return found


def _verdict(path: str, file: str, catalog: Catalog, checker: Checker) -> _Verdict:
    from engine.reading import ReadingError

    try:
        look = checker.look(path, catalog.text(path))
    except ReadingError as error:
        return _Verdict(path, file, error.problems)
    except OctoflowError as error:
        return _Verdict(path, file, [Problem(error.code, str(error))])
    return _Verdict(path, file, look.problems, look.outline)


def _seen_from_here(file: os.PathLike[str]) -> str:
    relative = os.path.relpath(file)
    return os.fspath(file) if relative.startswith("..") else relative


def _as_text(verdicts: Sequence[_Verdict]) -> Iterator[str]:
    for verdict in verdicts:
        for problem in verdict.problems:
            place = ":".join(str(part) for part in (verdict.file, problem.line, problem.column) if part is not None)
            yield plain(f"{place}: {problem.severity}: {_sentence(problem)} [{problem.code}]")


def _as_json(verdicts: Sequence[_Verdict]) -> Iterator[str]:
    documents = [
        {
            "path": verdict.path,
            "file": verdict.file,
            "valid": verdict.is_valid,
            "problems": [problem.to_json() for problem in verdict.problems],
            "outline": None if verdict.outline is None else outline_json(verdict.outline),
        }
        for verdict in verdicts
    ]
    yield json.dumps({"valid": all(verdict.is_valid for verdict in verdicts), "documents": documents}, indent=2)


def _as_annotations(verdicts: Sequence[_Verdict]) -> Iterator[str]:
    """Workflow commands: what GitHub shows at the line of a pull request."""
    for verdict in verdicts:
        for problem in verdict.problems:
            kind = "error" if problem.severity == "error" else "warning"
            place = {"file": verdict.file, "line": problem.line, "col": problem.column, "title": problem.code}
            given = ",".join(f"{key}={_escaped(value, ':,')}" for key, value in place.items() if value is not None)
            yield f"::{kind} {given}::{_escaped(_sentence(problem))}"


def _sentence(problem: Problem) -> str:
    return f"{problem.message} ({problem.hint})" if problem.hint else problem.message


def _escaped(value: object, also: str = "") -> str:
    text = str(value).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    for character in also:
        text = text.replace(character, f"%{ord(character):02X}")
    return plain(text)


FORMATS: dict[str, Callable[[Sequence[_Verdict]], Iterator[str]]] = {
    "text": _as_text,
    "json": _as_json,
    "github": _as_annotations,
}
