"""One look at a document and everything it names: the tree of its parts, and what is wrong in all of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from engine.catalog import Catalog
from engine.checking.options import Place, dotted
from engine.checking.structure import EXPRESSION, read_flow
from engine.errors import OctoflowError
from engine.files import FileStat
from engine.models.flow import Document, Flow, FlowReference, TemplateReference
from engine.models.problem import Problem
from engine.reading import ReadingError

Watched = dict[tuple[str, str], FileStat]
"""`flow` or `template`, a path as it was written, and the status of the file it led to."""


@dataclass(slots=True)
class Part:
    """A document with its own problems, and its sub-flows with the places that name them."""

    document: Document
    flow: Flow | None
    notes: Notes
    templates: list[Document] = field(default_factory=list)
    children: list[tuple[Place, Part]] = field(default_factory=list)
    deepest: tuple[str, ...] = ()
    """The longest chain of sub-flows, this one first."""

    def below(self, seen: set[str] | None = None) -> Iterator[Part]:
        """This part and every one below it, each once."""
        seen = set() if seen is None else seen
        if self.document.path not in seen:
            seen.add(self.document.path)
            yield self
            for _, child in self.children:
                yield from child.below(seen)


class Whole:
    """Builds the parts of one document; each file is read once."""

    def __init__(self, catalog: Catalog, max_depth: int) -> None:
        self.watched: Watched = {}
        self._catalog = catalog
        self._max_depth = max_depth
        self._parts: dict[str, Part] = {}

    def part(self, key: str, text: str, chain: tuple[str, ...] = ()) -> Part:
        """The document of this key and text, called through these others."""
        chain = (*chain, key)
        notes = read_flow(key, text)
        part = Part(Document(key, text, ""), notes.flow, notes, deepest=(key,))
        revisions: dict[str, str] = {}
        for reference, place, step in notes.references:
            match reference:
                case FlowReference(path):
                    self._add_flow(part, revisions, path, place, step, chain)
                case TemplateReference(path):
                    self._add_template(part, revisions, path, place, step)
        part.document = Document(key, text, revision_of(key, text, revisions), revisions)
        if notes.errors:
            part.flow = None
        self._parts[key] = part
        return part

    def problems(self, part: Part) -> list[Problem]:
        """What is wrong in the document by line, and what is wrong in its sub-flows at the lines that call them."""
        problems = list(part.notes.problems)
        seen = {part.document.path}
        for place, child in part.children:
            line, column = part.notes.marked.place(place) if part.notes.marked else (None, None)
            for below in child.below(seen):
                name = below.document.path
                for problem in below.notes.problems:
                    where = f"line {problem.line}: " if problem.line else ""
                    message = f"sub-flow {name!r}, {where}{problem.message}"
                    problems.append(replace(problem, message=message, path=dotted(place), line=line, column=column))
        return sorted(problems, key=lambda problem: (problem.line or 0, problem.column or 0))

    def _add_flow(
        self, part: Part, revisions: dict[str, str], path: str, place: Place, step: str, chain: tuple[str, ...]
    ) -> None:
        try:
            status = self._catalog.stat(path)
            if status.key in chain:
                names = " > ".join([*chain[chain.index(status.key) :], status.key])
                part.notes.add("calls_itself", f"step {step!r}: the flow calls itself: {names}", place)
                return
            if len(chain) >= self._max_depth:
                self._add_too_deep(part, (*chain, status.key), place, step)
                return
            child = self._parts.get(status.key)
            if child is None:
                status, text = self._catalog.load(path)
                child = self.part(status.key, text, chain)
        except (OctoflowError, ReadingError) as error:
            _add_unusable(part.notes, "sub-flow", path, place, step, error)
            return
        self.watched["flow", path] = status
        revisions[f"flow:{path}"] = child.document.revision
        part.children.append((place, child))
        part.deepest = max(part.deepest, (part.document.path, *child.deepest), key=len)
        if len(chain) + len(child.deepest) > self._max_depth:
            self._add_too_deep(part, (*chain, *child.deepest), place, step)

    def _add_too_deep(self, part: Part, chain: tuple[str, ...], place: Place, step: str) -> None:
        message = f"step {step!r}: flow depth over {self._max_depth}: {' > '.join(chain)}"
        part.notes.add("too_deep", message, place)

    def _add_template(self, part: Part, revisions: dict[str, str], path: str, place: Place, step: str) -> None:
        try:
            status, text = self._catalog.load_template(path)
        except (OctoflowError, ReadingError) as error:
            _add_unusable(part.notes, "template", path, place, step, error)
            return
        self.watched["template", path] = status
        template = Document(status.key, text, revision_of(status.key, text, {}))
        revisions[f"template:{path}"] = template.revision
        part.templates.append(template)


def revision_of(path: str, text: str, parts: dict[str, str]) -> str:
    """The SHA-256 of a path, a text and the revisions of what the text names."""
    return hashlib.sha256(json.dumps([path, text, sorted(parts.items())]).encode()).hexdigest()


def _add_unusable(notes: Notes, what: str, path: str, place: Place, step: str, error: Exception) -> None:
    code = error.code if isinstance(error, OctoflowError) else "not_utf8"
    hint = "an expression cannot stand here: the path is part of the document" if EXPRESSION.search(path) else None
    notes.add(code, f"step {step!r}: {what} {path!r}: {error}", place, hint)
