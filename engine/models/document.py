"""Documents as those see them who look at them: in a list, and each by itself with all that is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from engine.models.job import Job
from engine.models.outline import Outline
from engine.models.problem import Problem
from engine.models.schedule import Schedule


@dataclass(frozen=True, slots=True)
class DocumentFilter:
    """Which documents a list shows, by their paths: those with `q` in path, and those that the glob `glob` means."""

    q: str | None = None
    glob: str | None = None
    limit: int = 50
    offset: int = 0


@dataclass(frozen=True, slots=True)
class ListedDocument:
    """A document as it stands in a list, unchecked; `is_readable` is whether it has steps, None if it was not read."""

    path: str
    name: str | None
    description: str | None
    is_readable: bool | None
    next_due: datetime | None
    is_scheduled: bool
    last_job: Job | None


@dataclass(frozen=True, slots=True)
class Look:
    """What is wrong with a document, by line, and its outline, None where it is no flow at all.

    `revision` is None where there is no text to have one.
    """

    path: str
    revision: str | None
    problems: tuple[Problem, ...]
    outline: Outline | None

    @property
    def is_valid(self) -> bool:
        """Whether it can be launched: warnings do not matter."""
        return all(problem.severity != "error" for problem in self.problems)


@dataclass(frozen=True, slots=True)
class DocumentView:
    """A document by itself. `text` is None where the file is not UTF-8 or too large; `look` then says so."""

    path: str
    text: str | None
    look: Look
    next_due: datetime | None
    """Of all its schedules; `schedules` may be the first of them only."""
    schedules: tuple[Schedule, ...]
    jobs: tuple[Job, ...]
