"""The job's row while it is ours: its lease, its events in groups, its end. Every write proves that it still is."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from threading import Event as Flag
from typing import TypeVar

from engine.errors import Unavailable
from engine.models.job import Claim, Event, LogLine, Outcome, Owner, State
from engine.supervisor.tools import Tools

log = logging.getLogger("octoflow.supervisor")

T = TypeVar("T")

LEASE = timedelta(seconds=30)
RENEW_SECONDS = 10.0
RETRY_SECONDS = 1.0
FLUSH_SECONDS = 0.02
"""A commit of ten events costs as much as a commit of one."""


class LeaseLost(Exception):
    """The row is somebody else's by now: nothing more may be written about this job from here."""


class HeldRow:
    """A claimed row. Its verbs raise LeaseLost once it is no longer ours."""

    def __init__(self, claim: Claim, tools: Tools, next_owner: Callable[[], Owner | None]) -> None:
        """`next_owner` is asked at the end who takes the next pending job, None when nobody does."""
        self._claim = claim
        self._next_owner = next_owner
        self.next: Claim | None = None
        """The job that was claimed when this one was closed."""
        self._log = logging.LoggerAdapter(log, {"job": claim.id})
        self._jobs = tools.jobs
        self._clock = tools.clock
        self._key = (claim.id, claim.owner, claim.epoch)
        self._events: list[Event] = []
        self._flush_at = 0.0
        self._renew_at = self._clock.monotonic() + RENEW_SECONDS
        self._lease_until = self._clock.now() + LEASE
        self._is_uncertain = False
        """Whether a write failed that may have reached the disk all the same, as when a commit's answer is lost."""
        self.lines = 0
        """How many log lines the row has on disk: the next one's number follows."""

    def add(self, event: Event) -> None:
        """Keep an event for the next flush."""
        if not self._events:
            self._flush_at = self._clock.monotonic() + FLUSH_SECONDS
        self._events.append(event)

    def due_seconds(self) -> float:
        """Seconds until `keep_up` has something to do."""
        due = min(self._renew_at, self._flush_at) if self._events else self._renew_at
        return max(0.0, due - self._clock.monotonic())

    def keep_up(self) -> State | None:
        """Flush and renew when that is due; the row's state if it was looked at."""
        now = self._clock.monotonic()
        if self._events and now >= self._flush_at:
            self.flush()
        return self._renew() if now >= self._renew_at else None

    def flush(self) -> None:
        """Put the events on disk; when the database is busy they are kept and tried again."""
        try:
            self._record()
        except Unavailable as error:
            self._log.warning("job %s: %s Its events are kept and tried again.", self._claim.id, error)
            self._flush_at = self._clock.monotonic() + RETRY_SECONDS

    def flush_now(self) -> None:
        """Return when the events are on disk."""
        self.insist(self._record)

    def note_stop(self, reason: str) -> None:
        """Let the row say that the job is stopping, and why: should this process die now, the sweep knows."""
        with suppress(Unavailable):
            self._jobs.stop(*self._key, reason)

    def finish(self, outcome: Outcome) -> None:
        """Close the row with its last events; a database that refuses is asked again until the lease ends."""
        if not self.insist(lambda: self._finish(outcome)):
            raise LeaseLost

    def forget_events(self) -> None:
        """Give up events that the database will not take, so that the job can at least be closed."""
        self._events = []

    def insist(self, verb: Callable[[], T]) -> T:
        """The verb's answer, asked for again while the database is not available and the lease lasts."""
        while True:
            try:
                return verb()
            except Unavailable as error:
                if self._clock.now() > self._lease_until:
                    raise LeaseLost from error
                self._log.warning("job %s: %s Trying again.", self._claim.id, error)
                self._clock.wait(Flag(), RETRY_SECONDS)

    def _record(self) -> None:
        if not self._events:
            return
        again, self._is_uncertain = self._is_uncertain, True
        if not self._jobs.record(*self._key, self._events, first_line=self.lines + 1, again=again):
            raise LeaseLost
        self._is_uncertain = False
        self.lines += sum(isinstance(event, LogLine) for event in self._events)
        self._events = []

    def _finish(self, outcome: Outcome) -> bool:
        again, self._is_uncertain = self._is_uncertain, True
        now = self._clock.now()
        first_line, lock = self.lines + 1, self._claim.lock
        finish = self._jobs.finish(
            *self._key, outcome, self._events, now,
            lock=lock, first_line=first_line, again=again, next_for=self._next_owner(), lease_until=now + LEASE,
        )  # fmt: skip
        if finish.is_ours:
            self.next = finish.next
            return True
        job = self._jobs.get(self._claim.id) if again else None
        return job is not None and (job.state, job.status, job.reason) == (
            State.FINISHED,
            outcome.status,
            outcome.reason,
        )

    def _renew(self) -> State | None:
        until = self._clock.now() + LEASE
        try:
            state = self._jobs.renew(*self._key, until)
        except Unavailable as error:
            self._log.warning("job %s: the lease could not be renewed: %s", self._claim.id, error)
            if self._clock.now() > self._lease_until:
                raise LeaseLost from error
            self._renew_at = self._clock.monotonic() + RETRY_SECONDS
            return None
        if state is None:
            raise LeaseLost
        self._lease_until = until
        self._renew_at = self._clock.monotonic() + RENEW_SECONDS
        return state
