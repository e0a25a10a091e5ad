"""What happens because time has passed."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from engine import scheduler
from engine.models.job import JobFilter, State
from engine.models.tick import TickReport
from engine.orchestrator.audit import AuditVerbs
from engine.orchestrator.clock_health import LAST_TICK
from engine.orchestrator.inputs import InputVerbs
from engine.orchestrator.part import Part

if TYPE_CHECKING:
    from engine.scheduler.metronome import Metronome

log = logging.getLogger("octoflow")

HOUR = timedelta(hours=1)
DOCUMENTS_KEPT = timedelta(days=1)
"""How long a document is kept that no job refers to any more."""
PRUNE_ROWS = 2_000
"""The most rows of a kind that one tick deletes."""
PRUNE_FLOWS = 50
"""How many flows one tick counts the jobs of."""


class UpkeepVerbs(InputVerbs, AuditVerbs):
    """The tick and its stages."""

    _started = False

    def tick(self) -> TickReport:
        """Do what time asks for; DatabaseDown when the database cannot be reached."""
        stages = {
            "sweep": self._sweep,
            "dispatch": self._dispatch,
            "autostart": self._follow_config,
            "fire": self._fire,
            "wake": self._wake,
            "prune": self._prune,
            "tidy": self._tidy,
            "mark": self._mark_tick,
        }
        report = scheduler.tick(stages, self.clock)
        if self._started and not self._is_leaving and self.settings.executor == "local":
            self._metronome.go_on()
        return report

    def _begin_clock(self) -> None:
        """At a start: schedules and due times as config.yml and TIMEZONE have them now."""
        self._follow_config(TickReport())

    def _follow_timezone(self) -> None:
        """Due times as TIMEZONE has them now, for what names no zone of its own."""
        zone = self.settings.timezone
        if self._marks.text("timezone") != zone.key:
            from engine.scheduler.due import next_due

            self._schedules.retime(lambda each: next_due(each.timing, zone, each.last_due))
            self._marks.mark("timezone", text=zone.key)

    def _still_clock(self) -> None:
        """Fire no more between ticks; returns at once."""
        if "_metronome" in self.__dict__:
            self._metronome.leave()

    def _end_clock(self) -> None:
        if "_metronome" in self.__dict__:
            self._metronome.close()

    def run_due(self) -> None:
        """After a tick without a service: run what is pending here, unless a service on this host will."""
        from engine.executors.owner import live_owners

        if live_owners(self.settings.run_path / "owners") - {self._executor.owner.id}:
            return
        self._executor.run_until_idle()

    def _sweep(self, report: TickReport) -> None:
        from engine.executors.owner import dead_owners, forget_owners

        folder = self.settings.run_path / "owners"
        dead = dead_owners(folder, self._executor.owner.host)
        swept = self._jobs.sweep(self.clock.now(), dead)
        forget_owners(folder, dead)
        report.swept = swept.total
        if report.swept:
            counts = swept.closed, swept.handed_on, swept.requeued
            text = "jobs whose worker was lost: %d closed, %d handed on for their finally_step, %d begun anew"
            log.warning(text, *counts)

    def _dispatch(self, report: TickReport) -> None:
        report.dispatched = self._jobs.count(JobFilter(state=State.PENDING))
        self._executor.nudge(report.dispatched)

    def _follow_config(self, report: TickReport) -> None:
        self._follow_timezone()
        for problem in self.reconcile():
            log.warning("%s", problem)
            report.errors.append(problem)

    def _wake(self, report: TickReport) -> None:
        """Jobs that wait for a lock are woken by whoever frees it; this finds those that nobody woke."""
        report.woken = self._jobs.unblock()
        if report.woken:
            self._executor.nudge(report.woken)

    def _prune(self, report: TickReport) -> None:
        """Delete what is older than is kept, so much at a time that no launch waits for it."""
        settings, now = self.settings, self.clock.now()
        ended, failed = (
            now - timedelta(days=days) if days else None
            for days in (settings.retention_days, settings.retention_failed_days)
        )
        report.pruned = self._jobs.prune(ended, failed, PRUNE_ROWS)
        if settings.retention_jobs_per_flow:
            done = self._marks.text("pruned_up_to")
            deleted, now_done = self._jobs.prune_flows(settings.retention_jobs_per_flow, done, PRUNE_FLOWS)
            if now_done != done:
                self._marks.mark("pruned_up_to", text=now_done)
            report.pruned += deleted
        if ended is not None:
            self._schedules.prune_slots(ended, PRUNE_ROWS)
        self._prune_audit(PRUNE_ROWS)
        self._prune_once(PRUNE_ROWS)

    def _tidy(self, _report: TickReport) -> None:
        """Once an hour: remove documents without jobs, and what killed writers left in the data folder."""
        now, last = self.clock.now(), self._marks.marked("tidied")
        if last is None or abs(now - last) > HOUR:
            from engine.files import Root

            self._marks.mark("tidied", time=now)
            self._jobs.prune_documents(now - DOCUMENTS_KEPT, PRUNE_ROWS)
            Root(self.settings.data_path, max_bytes=0).sweep_temporary(now - HOUR)

    def _mark_tick(self, _report: TickReport) -> None:
        self._marks.mark(LAST_TICK, time=self.clock.now())

    def _schedules_changed(self) -> None:
        if "_metronome" in self.__dict__:
            self._metronome.look_again()

    @Part
    def _metronome(self) -> Metronome:
        from engine.scheduler.metronome import Metronome

        return Metronome(self._schedules.next_due_time, lambda: self._fire(TickReport()), self.clock)
