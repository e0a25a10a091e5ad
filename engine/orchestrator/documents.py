"""What a user can ask of documents: what is there, what is known of one, and what would be wrong with a text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any

from engine.errors import Busy, FileMissing, TooLarge
from engine.models.access import matches
from engine.models.document import DocumentFilter, DocumentView, ListedDocument, Look
from engine.models.job import JobFilter
from engine.models.problem import Problem
from engine.models.schedule import ScheduleFilter
from engine.orchestrator.part import Part
from engine.orchestrator.parts import Parts

if TYPE_CHECKING:
    from engine.checking.titles import Titles

CHECKS = 2
"""So many documents are checked at the same time: what that costs is then bounded, whoever asks."""
MOST_WAITING = 16
"""So many more wait for that: each holds one of a service's 64 threads."""
WAIT_SECONDS = 10.0
SHOWN_SCHEDULES = 100
SHOWN_JOBS = 10


class DocumentVerbs(Parts):
    """List, look, validate. A document is what its file says at the moment; nothing here changes one."""

    def validate(self, text: str | None = None, path: str | None = None, flows: str | None = None) -> Look:
        """What would be wrong if this text were at this path, or with what is there; nothing of a text is kept.

        Of sub-flows beyond the glob `flows` nothing is told. Raises FlowNotFound, PathRefused, TooLarge, Busy.
        """
        if text is None:
            return self._stored(path or "")[1]
        size, limit = len(text.encode("utf-8", "surrogatepass")), self.settings.max_document_bytes
        if size > limit:
            raise TooLarge(f"The text has {size} bytes, more than the {limit} of MAX_DOCUMENT_BYTES.")
        reaches = None if flows is None else lambda key: matches(flows, key)
        with self._turn():
            return self._masked_look(self._checker.forgetful(self._fresh_verdicts()).look(path, text, reaches))

    @staticmethod
    def flow_schema() -> dict[str, Any]:
        """The JSON Schema of a flow document, for editors."""
        from engine.checking.schema import flow_schema

        return flow_schema()

    def documents(self, filter: DocumentFilter, flows: str | None = None) -> list[ListedDocument]:
        """The documents that match, by path, each with what is cheap to know; of those that the glob `flows` means."""
        paths = self._paths(filter, flows)[filter.offset : filter.offset + filter.limit]
        jobs, due = self._jobs.newest(paths), self._schedules.next_due_of(paths)
        titles, mask = self._titles.of(paths), self._secrets.mask()
        return [
            ListedDocument(
                path=path,
                name=None if title is None or title.name is None else mask.text(title.name),
                description=None if title is None or title.description is None else mask.text(title.description),
                is_readable=None if title is None else title.is_readable,
                next_due=due.get(path),
                is_scheduled=path in due,
                last_job=jobs.get(path),
            )
            for path, title in zip(paths, titles, strict=True)
        ]

    def count_documents(self, filter: DocumentFilter, flows: str | None = None) -> int:
        """How many documents match."""
        return len(self._paths(filter, flows))

    def document(self, path: str) -> DocumentView:
        """A document with all that is known of it; FlowNotFound, PathRefused, Busy."""
        text, look = self._stored(path)
        schedules = self._schedules.list(ScheduleFilter(path=look.path, limit=SHOWN_SCHEDULES))
        return DocumentView(
            path=look.path,
            text=None if text is None else self._secrets.mask().text(text),
            look=look,
            next_due=self._schedules.next_due_of([look.path]).get(look.path),
            schedules=tuple(map(self._masked, schedules)),
            jobs=tuple(self._jobs.list(JobFilter(path=look.path, limit=SHOWN_JOBS))),
        )

    def find_document(self, path: str) -> str:
        """The document's own path, however it was spelled; FileMissing, PathRefused."""
        return self._catalog.find(path)

    def _paths(self, filter: DocumentFilter, flows: str | None) -> list[str]:
        q = (filter.q or "").lower()
        globs = [glob for glob in (filter.glob, flows) if glob is not None]
        return [key for key in self._catalog.list() if q in key.lower() and all(matches(glob, key) for glob in globs)]

    def _stored(self, path: str) -> tuple[str | None, Look]:
        """The text of the document at a path, None where the file has none, and what is wrong with it."""
        from engine.reading import ReadingError

        try:
            key = self._catalog.stat(path).key
            text = self._catalog.text(key)
        except FileMissing as error:
            raise self._checker.not_found(path) from error
        except ReadingError as error:
            return None, Look(key, None, tuple(error.problems), None)
        except TooLarge as error:
            return None, Look(key, None, (Problem(error.code, str(error)),), None)
        with self._turn():
            return text, self._masked_look(self._checker.look(key, text))

    def _masked_look(self, look: Look) -> Look:
        """The same without the secrets that an author may have written into a document."""
        mask = self._secrets.mask()
        problems = tuple(
            replace(
                each,
                message=mask.text(each.message),
                hint=each.hint and mask.text(each.hint),
                path=mask.text(each.path),
            )
            for each in look.problems
        )
        return replace(look, problems=problems, outline=look.outline and look.outline.mapped(mask.json))

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One of the few checks at a time; Busy when none ends soon, or many wait already."""
        if not self._room_to_check.acquire(blocking=False):
            raise Busy(f"{CHECKS} documents are being checked, and {MOST_WAITING} wait for that already. Try again.")
        try:
            if not self._checks.acquire(timeout=WAIT_SECONDS):
                raise Busy(
                    f"{CHECKS} documents are being checked, and none of them was done within {WAIT_SECONDS:.0f} s."
                )
            try:
                yield
            finally:
                self._checks.release()
        finally:
            self._room_to_check.release()

    @Part
    def _room_to_check(self) -> BoundedSemaphore:
        return BoundedSemaphore(CHECKS + MOST_WAITING)

    @Part
    def _checks(self) -> BoundedSemaphore:
        return BoundedSemaphore(CHECKS)

    @Part
    def _titles(self) -> Titles:
        from engine.checking.titles import Titles

        return Titles(self._catalog)
