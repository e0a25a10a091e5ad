"""What happens because time has passed."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from engine import scheduler
from engine.models.job import JobFilter, State
from engine.models.tick import TickReport
from engine.orchestrator.parts import Parts

log = logging.getLogger("octoflow")

TIDY_AFTER = timedelta(hours=1)


class UpkeepVerbs(Parts):
    """The tick and its stages."""

    _tidied: datetime | None = None

    def tick(self) -> TickReport:
        """Do what time asks for; DatabaseDown when the database cannot be reached."""
        stages = {"sweep": self._sweep, "dispatch": self._dispatch, "tidy": self._tidy}
        return scheduler.tick(stages, self.clock)

    def run_due(self) -> None:
        """After a tick without a service: run what is pending here, unless a service on this host will."""
        from engine.executors.owner import live_owners

        if live_owners(self.settings.run_path / "owners") - {self._executor.owner.id}:
            return
        self._executor.run_until_idle(lambda: self._jobs.has_pending() or self._jobs.has_lost())

    def _sweep(self, report: TickReport) -> None:
        from engine.executors.owner import dead_owners, forget_owners

        folder = self.settings.run_path / "owners"
        dead = dead_owners(folder, self._executor.owner.host)
        swept = self._jobs.sweep(self.clock.now(), dead)
        forget_owners(folder, dead)
        report.swept = swept.closed + swept.handed_on
        if report.swept:
            counts = swept.closed, swept.handed_on
            log.warning("jobs whose worker was lost: %d closed, %d handed on for their finally_step", *counts)

    def _dispatch(self, report: TickReport) -> None:
        report.dispatched = self._jobs.count(JobFilter(state=State.PENDING))
        self._executor.nudge()

    def _tidy(self, _report: TickReport) -> None:
        """Remove what killed writers left in the data folder, once an hour: the whole folder is walked for it."""
        now = self.clock.now()
        if self._tidied is None or now - self._tidied > TIDY_AFTER:
            from engine.files import Root

            self._tidied = now
            Root(self.settings.data_path, max_bytes=0).sweep_temporary(now - TIDY_AFTER)
