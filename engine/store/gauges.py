"""How much there is in the tables: counts of what has not ended, by indexes that hold little else."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import bindparam, func, select

from engine.models.job import State
from engine.store.database import Database
from engine.store.tables import jobs, schedules

NOT_ENDED = tuple(state for state in State if state is not State.FINISHED)
IN_STATES = select(jobs.c.state, func.count()).where(jobs.c.state.in_(NOT_ENDED)).group_by(jobs.c.state)
# By id, which is in the order of time: one step of an index, where the least time would be one for each job.
OLDEST_PENDING = select(jobs.c.queued_time).where(jobs.c.state == State.PENDING).order_by(jobs.c.id).limit(1)
OVERDUE = select(func.count()).select_from(schedules).where(schedules.c.next_due < bindparam("before"))


class GaugeStore:
    """Counts for monitors."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def jobs(self) -> dict[State, int]:
        """How many jobs are in each state but the last, also where there are none."""
        found = self._database.ask(lambda c: c.execute(IN_STATES).all())
        return dict.fromkeys(NOT_ENDED, 0) | {State(state): count for state, count in found}

    def oldest_pending(self) -> datetime | None:
        """When the oldest of the jobs was launched that wait for a worker; None when none does."""
        oldest: datetime | None = self._database.ask(lambda c: c.scalar(OLDEST_PENDING))
        return oldest

    def overdue(self, before: datetime) -> int:
        """How many schedules wait for a tick since before that time."""
        return self._database.ask(lambda c: c.scalar(OVERDUE, {"before": before})) or 0
