"""What happens because time has passed."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from engine import scheduler
from engine.errors import DatabaseDown
from engine.models.job import JobFilter, State
from engine.models.tick import TickReport
from engine.orchestrator.audit import AuditVerbs
from engine.orchestrator.clock_health import LAST_TICK
from engine.orchestrator.inputs import InputVerbs
from engine.orchestrator.part import Part

if TYPE_CHECKING:
    from engine.scheduler.metronome import Metronome
    from engine.store.work import WorkStore

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
            "timezone": self._follow_timezone,
            "autostart": self._follow_config,
            "fire": self._fire,
            "wake": self._wake,
            "prune": self._prune,
            "tidy": self._tidy,
        }
        if not self._has_work():
            stages = {"autostart": self._follow_config}
        report = scheduler.tick({**stages, "mark": self._mark_tick}, self.clock)
        if self._started and not self._is_leaving and self.settings.executor == "local":
            self._metronome.go_on()
        return report

    def _has_work(self) -> bool:
        """Whether a stage that asks the database would find anything: most ticks find nothing, and ask once."""
        from engine.executors.owner import dead_owners

        settings, now = self.settings, self.clock.now()
        try:
            if settings.retention_jobs_per_flow or dead_owners(settings.run_path / "owners", self._executor.owner.host):
                return True
            ended_before, failed_before = self._kept_since(now)
            return self._work.is_any(
                now,
                zone=settings.timezone.key,
                ended_before=ended_before,
                failed_before=failed_before,
                audit_before=self._audit_kept_since(now),
                tidied_within=HOUR,
            )
        except DatabaseDown:
            raise
        except Exception:
            log.exception("tick: it cannot be told what there is to do, so each stage has its turn")
            return True

    def _begin_clock(self) -> None:
        """At a start: schedules and due times as config.yml and TIMEZONE have them now."""
        self._follow_timezone(TickReport())
        self._follow_config(TickReport())

    def _follow_timezone(self, _report: TickReport) -> None:
        """Due times as TIMEZONE has them now, for what names no zone of its own."""
        zone = self.settings.timezone
        if self._marks.text("timezone") != zone.key:
            from engine.scheduler.due import next_due

            self._schedules.retime(lambda each: each.owed or next_due(each.timing, zone, each.last_due))
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
        settings = self.settings
        ended, failed = self._kept_since(self.clock.now())
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

    def _kept_since(self, now: datetime) -> tuple[datetime | None, datetime | None]:
        """Jobs that ended before the one time, or failed before the other, are not kept; None is for ever."""
        days = self.settings.retention_days, self.settings.retention_failed_days
        ended, failed = (now - timedelta(days=each) if each else None for each in days)
        return ended, failed

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
    def _work(self) -> WorkStore:
        from engine.store.work import WorkStore

        return WorkStore(self._database)

    @Part
    def _metronome(self) -> Metronome:
        from engine.scheduler.metronome import Metronome

        return Metronome(self._schedules.next_due_time, lambda: self._fire(TickReport()), self.clock)
