"""Launches what is due: each due time gets its verdict, in the transaction that inserts its job."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import cache
from typing import Protocol

from engine.clock import Clock
from engine.errors import OctoflowError, Unavailable
from engine.models.flow import Document
from engine.models.job import NewJob
from engine.models.schedule import BrokenSchedule, DueSchedule, Fired, Firing, Standing, Timing
from engine.models.tick import TickReport
from engine.scheduler.planning import Decision, back_off, decide, retry_due

BATCH = 900
"""Schedules for each transaction, a twentieth of a second on SQLite: so that no launch waits long for a tick.

An old SQLite takes 999 ids in one list.
"""

log = logging.getLogger("octoflow.tick")

MakeJob = Callable[[DueSchedule], tuple[NewJob, Sequence[Document]]]
ZoneOf = Callable[[Timing], tzinfo]
Decide = Callable[[Standing], Decision]


class Due(Protocol):
    """What firing asks of the schedules' table."""

    def due(self, now: datetime, limit: int) -> Sequence[DueSchedule | BrokenSchedule]: ...
    def fire(self, firings: Sequence[Firing], documents: Sequence[Document], now: datetime) -> Fired: ...
    def put_off(self, id: str, error: str, next_due: datetime, failures: int, now: datetime) -> None: ...


@dataclass(frozen=True)
class Firer:
    """Decides about every schedule that is due, and acts on it; may run any number of times at once."""

    schedules: Due
    make_job: MakeJob
    zone_of: ZoneOf
    clock: Clock

    def fire(self, report: TickReport) -> None:
        """Fire what is due now. One schedule that is broken stops no other: it is in `report.errors`."""
        now = self.clock.now()
        seen: set[str] = set()
        limit = BATCH
        while found := self.schedules.due(now, limit):
            fresh = [each for each in found if each.id not in seen][:BATCH]
            if fresh:
                seen.update(each.id for each in fresh)
                self._fire_batch(fresh, now, report)
            elif len(found) < limit:
                break
            limit = BATCH + len(found) - len(fresh)  # Those that had to be left as they are come first again.

    def _fire_batch(self, batch: Sequence[DueSchedule | BrokenSchedule], now: datetime, report: TickReport) -> None:
        decided = cache(lambda standing: decide(standing, self.zone_of(standing.timing), now))
        planned: list[Firing] = []
        documents: dict[str, Document] = {}
        left: list[str] = []
        for each in batch:
            if isinstance(each, BrokenSchedule):
                log.error("schedule %s cannot be fired: %s", each.id, each.error)
                self._put_off(each, each.error, now, report)
                continue
            try:
                firing, needed = self._plan(each, decided, now)
                planned.append(firing)
                if firing.job is not None and firing.job.revision not in documents:
                    documents.update((document.revision, document) for document in needed)
            except Unavailable as error:  # Left as it is: the next tick may find things better.
                left.append(f"schedule {each.id}: {error}")
            except Exception as error:
                log.exception("schedule %s cannot be fired", each.id)
                self._put_off(each, str(error), now, report)
        if left:  # One line: this may be asked again twice a second.
            log.warning("%d schedules cannot launch their flows at present, the first is %s", len(left), left[0])
            report.errors += left
        try:
            self._write(planned, list(documents.values()), now, report)
        except Unavailable:
            raise
        except Exception:
            log.exception("%d due schedules could not be written together; each is tried by itself", len(planned))
            self._write_one_by_one(batch, planned, list(documents.values()), now, report)

    def _plan(self, schedule: DueSchedule, decided: Decide, now: datetime) -> tuple[Firing, Sequence[Document]]:
        """What to do about it, and the documents that the job needs."""
        standing = schedule.standing
        assert standing.next_due is not None, "a schedule without a next due time is never due"
        decision = decided(standing)
        job: NewJob | None = None
        documents: Sequence[Document] = ()
        error, failures, next_due = None, 0, decision.next_due
        if decision.due_time is not None:
            try:
                job, documents = self.make_job(schedule)
            except Unavailable:
                raise
            except OctoflowError as problem:
                error, failures = str(problem), standing.failures + 1
                next_due = retry_due(standing, self.zone_of(standing.timing), failures, now)
        firing = Firing(
            schedule_id=schedule.id,
            expected=standing.next_due,
            last_due=decision.last_due,
            next_due=next_due,
            slots=decision.slots,
            due_time=decision.due_time,
            overlap=schedule.overlap,
            job=job,
            error=error,
            failures=failures,
        )
        return firing, documents

    def _write(
        self, firings: Sequence[Firing], documents: Sequence[Document], now: datetime, report: TickReport
    ) -> None:
        if not firings:
            return
        fired = self.schedules.fire(firings, documents, now)
        report.fired += len(fired.jobs)
        report.missed += fired.missed
        report.skipped += fired.skipped
        for id, error in fired.failed:
            log.warning("schedule %s cannot launch its flow: %s", id, error)
            report.errors.append(f"schedule {id}: {error}")
        if fired.missed:
            log.warning("%d due times had no tick in time; the slots of their schedules say more", fired.missed)

    def _write_one_by_one(
        self,
        batch: Sequence[DueSchedule | BrokenSchedule],
        firings: Sequence[Firing],
        documents: Sequence[Document],
        now: datetime,
        report: TickReport,
    ) -> None:
        schedules = {each.id: each for each in batch}
        for firing in firings:
            try:
                self._write([firing], documents, now, report)
            except Unavailable:
                raise
            except Exception as error:
                log.exception("schedule %s cannot be fired", firing.schedule_id)
                self._put_off(schedules[firing.schedule_id], str(error), now, report)

    def _put_off(self, schedule: DueSchedule | BrokenSchedule, error: str, now: datetime, report: TickReport) -> None:
        """Try a broken schedule again later, and ever more seldom: it must not hold up the others at each tick."""
        failures = schedule.failures + 1
        report.errors.append(f"schedule {schedule.id}: {error}")
        self.schedules.put_off(schedule.id, error, now + back_off(failures), failures, now)
