"""One look at a document and everything it names: the tree of its parts, and what is wrong in all of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from engine.catalog import Catalog
from engine.checking.expressions import Source, Verdicts
from engine.checking.notes import MAX_PROBLEMS, Mention, Notes
from engine.checking.options import dotted
from engine.checking.steps import EXPRESSION
from engine.checking.structure import read_flow
from engine.errors import FileMissing, Invalid, NotFound, OctoflowError
from engine.files import FileStat
from engine.models.flow import Document, Flow, FlowReference, TemplateReference
from engine.models.problem import Problem
from engine.reading import ReadingError

Reaches = Callable[[str], bool]
Watched = dict[tuple[str, str], FileStat]
"""`flow` or `template`, a path as it was written, and the status of the file it led to."""


@dataclass(slots=True)
class Part:
    """A document with its own problems, and its sub-flows with the steps that name them."""

    document: Document
    flow: Flow | None
    notes: Notes
    templates: list[Document] = field(default_factory=list)
    children: list[tuple[Mention, Part]] = field(default_factory=list)
    deepest: tuple[str, ...] = ()
    """The longest chain of sub-flows, this one first."""

    @property
    def source(self) -> Source:
        """What there is to compile in it."""
        texts = {template.revision: template.text for template in self.templates}
        named = {key.removeprefix("template:"): texts.get(revision) for key, revision in self.document.parts.items()}
        return Source(self.document, self.notes, {path: text for path, text in named.items() if text is not None})

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

    def __init__(self, catalog: Catalog, max_depth: int, reaches: Reaches | None = None) -> None:
        """`reaches` says of which documents the problems may be told; of all without it."""
        self.watched: Watched = {}
        self._catalog = catalog
        self._max_depth = max_depth
        self._reaches = reaches
        self._parts: dict[str, Part] = {}
        self._read_at: dict[str, FileStat] = {}

    def part(self, key: str, text: str, chain: tuple[str, ...] = ()) -> Part:
        """The document of this key and text, called through these others."""
        chain = (*chain, key)
        notes = read_flow(key, text)
        part = Part(Document(key, text, ""), notes.flow, notes, deepest=(key,))
        revisions: dict[str, str] = {}
        for mention in notes.mentions:
            if notes.is_full:
                break
            try:
                self._add(part, revisions, mention, chain)
            except (OctoflowError, ReadingError) as error:
                _note_unusable(notes, mention, error)
        part.document = Document(key, text, revision_of(key, text, revisions), revisions)
        if notes.has_errors:
            part.flow = None
        self._parts[key] = part
        return part

    def compile(self, part: Part, verdicts: Verdicts) -> str | None:
        """Note what does not compile in a part and all below it; why that is not to be relied on for long, or None."""
        parts = list(part.below())
        problems, doubt = verdicts.problems([each.source for each in parts])
        for each in parts:
            each.notes.include(problems.get(each.document.revision, ()))
        return doubt

    def problems(self, part: Part) -> list[Problem]:
        """What is wrong in the document by line, and what is wrong in its sub-flows at the lines that call them."""
        found = list(part.notes.problems)
        seen = {part.document.path}
        for mention, child in part.children:
            found += _told_above(part.notes, mention, [below for below in child.below(seen) if below.notes.problems])
        errors = [problem for problem in found if problem.severity == "error"][:MAX_PROBLEMS]
        others = [problem for problem in found if problem.severity != "error"][:MAX_PROBLEMS]
        return sorted(errors + others, key=lambda problem: (problem.line or 0, problem.column or 0))

    def _add(self, part: Part, revisions: dict[str, str], mention: Mention, chain: tuple[str, ...]) -> None:
        match mention.reference:
            case TemplateReference(path):
                status, text = self._catalog.load_template(path)
                self.watched["template", path] = status
                template = Document(status.key, text, revision_of(status.key, text, {}))
                revisions[f"template:{path}"] = template.revision
                part.templates.append(template)
            case FlowReference(path):
                child = self._child(part.notes, path, mention, chain)
                if child is not None:
                    revisions[f"flow:{path}"] = child.document.revision
                    part.children.append((mention, child))
                    part.deepest = max(part.deepest, (part.document.path, *child.deepest), key=len)

    def _key(self, path: str) -> str | None:
        """A sub-flow's own path; None where it is another's, and then it is as good as any that is not there."""
        if self._reaches is None:
            return self._catalog.stat(path).key
        try:
            key = self._catalog.stat(path).key
        except (NotFound, Invalid):
            if self._reaches(path):
                raise FileMissing(f"there is no flow {path!r} in FLOWS_PATH") from None
            return None
        return key if self._reaches(key) else None

    def _child(self, notes: Notes, path: str, mention: Mention, chain: tuple[str, ...]) -> Part | None:
        """The sub-flow at a path; None when it may not be called from here, which is noted."""
        key = self._key(path)
        if key is None:
            message = f"sub-flow {path!r} is not looked into: it is beyond what this key reaches"
            _note(notes, mention, "not_looked_into", message, severity="warning")
            return None
        if key in chain:
            names = " > ".join([*chain[chain.index(key) :], key])
            _note(notes, mention, "calls_itself", f"the flow calls itself: {names}")
            return None
        if len(chain) > self._max_depth:
            _note(notes, mention, "too_deep", f"flow depth over {self._max_depth}: {' > '.join((*chain, key))}")
            return None
        child = self._parts.get(key)
        if child is None:
            status, text = self._catalog.load(path)
            self._read_at[status.key] = status
            child = self.part(status.key, text, chain)
        self.watched["flow", path] = self._read_at[child.document.path]
        if len(chain) + len(child.deepest) > self._max_depth + 1:
            names = " > ".join((*chain, *child.deepest))
            _note(notes, mention, "too_deep", f"flow depth over {self._max_depth}: {names}")
        return child


def revision_of(path: str, text: str, parts: dict[str, str]) -> str:
    """The SHA-256 of a path, a text and the revisions of what the text names."""
    return hashlib.sha256(json.dumps([path, text, sorted(parts.items())]).encode()).hexdigest()


def _note(
    notes: Notes, mention: Mention, code: str, message: str, hint: str | None = None, severity: str = "error"
) -> None:
    place = notes.place_in_step(mention.number, mention.reference.path)
    notes.add(code, f"step {mention.step!r}: {message}", place, hint, severity)


def _note_unusable(notes: Notes, mention: Mention, error: Exception) -> None:
    path = mention.reference.path
    what = "sub-flow" if isinstance(mention.reference, FlowReference) else "template"
    code = error.code if isinstance(error, OctoflowError) else "not_utf8"
    hint = "an expression cannot stand here: the path is part of the document" if EXPRESSION.search(path) else None
    _note(notes, mention, code, f"{what} {path!r}: {error}", hint)


def _told_above(notes: Notes, mention: Mention, below: list[Part]) -> Iterator[Problem]:
    """The problems of sub-flows as problems of the step that leads to them."""
    if not below:
        return
    place = notes.place_in_step(mention.number, mention.reference.path)
    line, column = notes.line_of(place)
    for part in below:
        for problem in part.notes.problems:
            where = f"line {problem.line}: " if problem.line else ""
            message = f"sub-flow {part.document.path!r}, {where}{problem.message}"
            yield replace(problem, message=message, path=dotted(place), line=line, column=column)
