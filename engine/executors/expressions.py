"""Has the expressions of documents compiled in a job process, and keeps the verdict about each revision.

Compiling may kill the process or never end: then the expression that it was at is the fault, and a fresh process goes
on behind it. `docs/adr/0009-expressions-are-compiled-once.md` says why, and what is kept.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from time import monotonic
from typing import Any, Protocol

from engine.checking.expressions import Code, Source
from engine.clock import Clock
from engine.errors import Unavailable
from engine.executors.children import Child, ChildPool
from engine.frames import ChannelClosed, readable
from engine.models.expression import Fault
from engine.models.flow import Document
from engine.models.problem import Problem
from engine.supervisor.causes import signal_name

log = logging.getLogger("octoflow.executor")

EXPRESSION_SECONDS = 5.0
"""How long one expression may take; most take less than a millisecond."""
CHECK_SECONDS = 15.0
"""How long one check may take: somebody waits for it."""
MAX_CHILDREN = 4
"""After so many processes that did not survive it, the rest is left to the steps."""
MAX_KEPT = 2_000
"""So many verdicts are kept in memory, and so many expressions that compile."""

OUT_OF_BOUNDS = "its constants are computed when it is compiled: make what it computes smaller"


class Store(Protocol):
    """Where verdicts outlive a process."""

    def verdicts(self, revisions: Sequence[str]) -> Mapping[str, Sequence[Problem]]: ...
    def keep_verdicts(self, verdicts: Sequence[tuple[Document, Sequence[Problem]]], now: datetime) -> None: ...
    def note_sound(self, revisions: Iterable[str]) -> None: ...


@dataclass
class _Trial:
    """What became of expressions in processes so far."""

    codes: Sequence[Code]
    tried: int = 0
    faults: dict[Code, Fault] = field(default_factory=dict)
    doubt: str | None = None
    """Why another time may tell more."""

    @property
    def is_over(self) -> bool:
        return self.tried == len(self.codes)

    def hear(self, fault: dict[str, Any] | None) -> None:
        """The word about the next expression."""
        if fault is not None:
            self.faults[self.codes[self.tried]] = Fault(**fault)
        self.tried += 1

    def blame(self, message: str) -> None:
        """The next expression ended its process. Another time it may do better, so this is not for keeping."""
        self.faults[self.codes[self.tried]] = Fault(message, OUT_OF_BOUNDS)
        self.tried += 1
        self.doubt = message


class ExpressionChecker:
    """Verdicts about documents' expressions. One that lack of time, memory or processes has spoilt is not kept."""

    def __init__(
        self, pool: Callable[[], ChildPool], memory_bytes: int, store: Store | None = None, clock: Clock | None = None
    ) -> None:
        """`pool` is called when there is something to compile; `memory_bytes` is what a process of it may use."""
        self._pool = pool
        self._memory_bytes = memory_bytes
        self._store = store
        self._clock = clock or Clock()
        self._kept: dict[str, Sequence[Problem]] = {}
        self._sound: set[bytes] = set()
        """The expressions that compile: many documents share them."""

    def problems(self, sources: Sequence[Source]) -> tuple[dict[str, list[Problem]], str | None]:
        """What does not compile, by revision; and why another time may tell more, None when that is final."""
        codes = {source.document.revision: [each.code for each in source.expressions()] for source in sources}
        known = self._known({revision: found for revision, found in codes.items() if found})
        new = {revision: found for revision, found in codes.items() if found and revision not in known}
        trial = self._try([*dict.fromkeys(code for found in new.values() for code in self._untried(found))])
        judged = [(each, each.problems(trial.faults)) for each in sources if each.document.revision in new]
        self._note_sound(trial)
        if trial.doubt is None and judged:
            self._keep(judged)
        problems = {revision: list(found) for revision, found in known.items()}
        problems.update((source.document.revision, found) for source, found in judged)
        return problems, trial.doubt

    def _known(self, codes: Mapping[str, Sequence[Code]]) -> dict[str, Sequence[Problem]]:
        """The verdicts that are there, by revision; nobody is asked about one whose expressions all compile."""
        known = {revision: self._kept[revision] for revision in codes if revision in self._kept}
        unknown = [revision for revision in codes if revision not in known and self._untried(codes[revision])]
        if unknown and self._store is not None:
            found = self._store.verdicts(unknown)
            self._remember(found)
            known.update(found)
        return known

    def _untried(self, codes: Sequence[Code]) -> list[Code]:
        return [code for code in codes if _digest(code) not in self._sound]

    def _keep(self, judged: Sequence[tuple[Source, Sequence[Problem]]]) -> None:
        self._remember({source.document.revision: problems for source, problems in judged})
        # One whose steps could not all be read has expressions that nobody tried; it is not launched anyhow.
        whole = [(source.document, problems) for source, problems in judged if source.notes.flow is not None]
        faulty = [(document, problems) for document, problems in whole if problems]
        if self._store is not None:
            self._store.note_sound(document.revision for document, problems in whole if not problems)
            if faulty:
                self._store.keep_verdicts(faulty, self._clock.now())

    def _remember(self, verdicts: Mapping[str, Sequence[Problem]]) -> None:
        if len(self._kept) >= MAX_KEPT:
            self._kept.clear()
        self._kept.update(verdicts)

    def _note_sound(self, trial: _Trial) -> None:
        if len(self._sound) >= MAX_KEPT:
            self._sound.clear()
        self._sound.update(_digest(code) for code in trial.codes[: trial.tried] if code not in trial.faults)

    # In a process

    def _try(self, codes: Sequence[Code]) -> _Trial:
        """Every fault that can be found within the bounds of a check."""
        trial = _Trial(codes)
        deadline = monotonic() + CHECK_SECONDS
        for _ in range(MAX_CHILDREN):
            if trial.is_over or monotonic() >= deadline:
                break
            try:
                child = self._pool().take()
            except Unavailable as error:
                log.warning("expressions could not be compiled: %s", error)
                trial.doubt = str(error)
                break
            is_clean = False
            try:
                is_clean = self._talk(child, trial, deadline)
            finally:
                if is_clean:
                    self._pool().give(child)
                else:
                    child.discard()
        if not trial.is_over and trial.doubt is None:
            trial.doubt = f"They take more than {CHECK_SECONDS:.0f} seconds, or end the process that compiles them."
        return trial

    def _talk(self, child: Child, trial: _Trial, deadline: float) -> bool:
        """Go through what is left to try with this child; whether it can be used again."""
        try:
            child.channel.send(self._message(trial))
            while readable([child.channel.fileno()], min(EXPRESSION_SECONDS, max(0.0, deadline - monotonic()))):
                for frame in child.channel.receive_ready():
                    if frame.head["kind"] == "result":
                        return bool(frame.head["reusable"])
                    trial.hear(frame.head["fault"])
        except ChannelClosed:
            self._note_death(child.exit_status(1.0), trial)
            return False
        if not trial.is_over and monotonic() < deadline:
            trial.blame(f"it was not compiled within {EXPRESSION_SECONDS:.0f} seconds")
        return False

    def _message(self, trial: _Trial) -> tuple[dict[str, Any], bytes]:
        head = {"kind": "check", "memory_bytes": self._memory_bytes, "timeout_seconds": CHECK_SECONDS}
        return head, json.dumps(trial.codes[trial.tried :]).encode()

    def _note_death(self, exit_status: int | None, trial: _Trial) -> None:
        """Blame the expression for a death by a signal; anything else, such as our own end, is not its doing."""
        if exit_status is not None and exit_status < 0 and not trial.is_over:
            trial.blame(f"the process that compiled it was killed by {signal_name(-exit_status)}")


def _digest(code: Code) -> bytes:
    language, text = code
    return sha256(f"{language}\0{text}".encode("utf-8", "surrogatepass")).digest()
