"""A whole document: itself, its sub-flows and its templates, checked together and bound to one revision.

Nothing here compiles an expression, which would be running it: that is for a job's process, and somebody who has one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from posixpath import basename, splitext

from engine.catalog import Catalog
from engine.checking.expressions import Verdicts
from engine.checking.outline import cut, outline_of
from engine.checking.structure import check_flow, parse_flow
from engine.checking.times import check_times
from engine.checking.whole import Part, Reaches, Watched, Whole
from engine.errors import DocumentInvalid, FileMissing, FlowNotFound, OctoflowError, TooLarge
from engine.files import FileStat
from engine.files.listing import close_to
from engine.models.document import Look
from engine.models.flow import Document, Flow
from engine.models.problem import NOT_COMPILED, Problem
from engine.reading import ReadingError

__all__ = ["CheckedDocument", "Checker", "Reaches", "check_flow", "parse_flow"]

MAX_KEPT = 10_000
MAX_KEPT_CHARACTERS = 50_000_000
LONGEST = 2_000
"""The most characters of a sentence about a document."""


@dataclass(frozen=True, slots=True)
class CheckedDocument:
    """A document without errors. `parts` are the documents it is run with, sub-flows and templates at any depth."""

    document: Document
    flow: Flow
    parts: tuple[Document, ...] = ()
    warnings: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class _Kept:
    """A verdict, and the files it holds for as long as they stay as they were."""

    checked: CheckedDocument
    status: FileStat
    watched: Watched

    def is_fresh(self, status: FileStat, look: Mapping[str, Callable[[str], FileStat]]) -> bool:
        try:
            return self.status == status and all(
                look[kind](path) == seen for (kind, path), seen in self.watched.items()
            )
        except OctoflowError:
            return False


class Checker:
    """Checks the catalog's documents. A verdict is kept until one of its files changes."""

    def __init__(self, catalog: Catalog, *, max_depth: int = 100, verdicts: Verdicts | None = None) -> None:
        """`max_depth` is how deep sub-flows may be nested. Without `verdicts` none compiles."""
        self._catalog = catalog
        self._max_depth = max_depth
        self._verdicts = verdicts
        self._look = {"flow": catalog.stat, "template": catalog.stat_template}
        self._kept: dict[str, _Kept] = {}
        self._kept_characters = 0

    def forgetful(self, verdicts: Verdicts) -> Checker:
        """One for texts that may never be seen again; `verdicts` compiles their expressions."""
        return Checker(self._catalog, max_depth=self._max_depth, verdicts=verdicts)

    def document(self, path: str) -> CheckedDocument:
        """The document at a path, however spelled. Raises FlowNotFound, DocumentInvalid, PathRefused."""
        try:
            status = self._catalog.stat(path)
            kept = self._kept.get(status.key)
            if kept is not None and kept.is_fresh(status, self._look):
                return kept.checked
            status, text = self._catalog.load(status.key)
        except FileMissing as error:
            raise self.not_found(path) from error
        except ReadingError as error:
            raise DocumentInvalid(status.key, error.problems) from error
        except TooLarge as error:
            raise DocumentInvalid(status.key, [Problem(error.code, str(error))]) from error
        return self._check(status, text)

    def look(self, path: str | None, text: str, reaches: Reaches | None = None) -> Look:
        """Everything that would be wrong, and every warning, if this text were at that path, or at none yet.

        PathRefused when there can be no document. `reaches` says of which sub-flows the problems may be told.
        """
        try:
            key = self._catalog.find(path) if path else ""
        except FileMissing:
            key = path or ""
        whole = Whole(self._catalog, self._max_depth, reaches)
        part = whole.part(key, text)
        check_times(part.notes)
        doubt = self._compile(whole, part)
        if doubt is not None and not part.notes.has_errors:
            message = f"its expressions could not be compiled now: {doubt}"
            part.notes.add(NOT_COMPILED, message, severity="warning")
        problems = tuple(_shortened(problem) for problem in whole.problems(part))
        return Look(key, part.document.revision, problems, outline_of(key, part.notes))

    def _check(self, status: FileStat, text: str) -> CheckedDocument:
        whole = Whole(self._catalog, self._max_depth)
        part = whole.part(status.key, text)
        doubt = self._compile(whole, part)
        problems = whole.problems(part)
        errors = [problem for problem in problems if problem.severity == "error"]
        if errors or part.flow is None:
            raise DocumentInvalid(status.key, errors)
        checked = CheckedDocument(part.document, part.flow, _documents(part), tuple(problems))
        if doubt is None:
            self._keep(status.key, _Kept(checked, status, whole.watched), len(text))
        return checked

    def _compile(self, whole: Whole, part: Part) -> str | None:
        return None if self._verdicts is None else whole.compile(part, self._verdicts)

    def _keep(self, key: str, verdict: _Kept, characters: int) -> None:
        if len(self._kept) >= MAX_KEPT or self._kept_characters > MAX_KEPT_CHARACTERS:
            self._kept.clear()
            self._kept_characters = 0
        self._kept[key] = verdict
        self._kept_characters += characters

    def not_found(self, path: str) -> FlowNotFound:
        """The error for a document that is not there, with those that may be meant."""
        near = _near(path, self._catalog.list())
        also = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        return FlowNotFound(f"There is no flow {path!r} in FLOWS_PATH.{also}")


def _near(path: str, keys: Iterable[str]) -> list[str]:
    """Up to three that may be meant: those of the same file name, else of a similar path."""
    keys = list(keys)
    wanted = basename(splitext(path)[0])
    return [key for key in keys if basename(splitext(key)[0]) == wanted][:3] or close_to(path, keys)


def _shortened(problem: Problem) -> Problem:
    """The problem without the rest of a text that goes on and on: an alias repeats one for nothing."""
    message, path = (cut(text, LONGEST) or "" for text in (problem.message, problem.path))
    return replace(problem, message=message, path=path, hint=cut(problem.hint, LONGEST))


def _documents(part: Part) -> tuple[Document, ...]:
    """Every document below this one, each once."""
    found: dict[str, Document] = {}
    for below in part.below():
        found.update((document.revision, document) for document in (below.document, *below.templates))
    found.pop(part.document.revision, None)
    return tuple(found.values())
