"""The front door: one verb for each thing a user can ask, in one file for each kind of thing."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Self

from engine import __version__
from engine.errors import DatabaseRefused
from engine.models.tick import TickReport
from engine.orchestrator.access import AccessVerbs
from engine.orchestrator.documents import DocumentVerbs
from engine.orchestrator.locks import LockVerbs
from engine.orchestrator.metrics import MetricVerbs
from engine.orchestrator.parts import MAX_PRIORITY, MAX_TIMEOUT_SECONDS
from engine.orchestrator.upkeep import UpkeepVerbs
from engine.settings import Settings

if TYPE_CHECKING:
    from engine.models import answers

__all__ = ["MAX_PRIORITY", "MAX_TIMEOUT_SECONDS", "Orchestrator"]

log = logging.getLogger("octoflow")

READY_SECONDS = 1.0


class Orchestrator(LockVerbs, UpkeepVerbs, MetricVerbs, AccessVerbs, DocumentVerbs):
    """One service's engine. Nothing runs before `start` or a verb that needs it; `close` ends all of it."""

    _closed = False
    _started = False
    _ready_until = 0.0

    @classmethod
    def from_environment(cls) -> Self:
        """The engine that the environment describes. Raises SettingInvalid, DatabaseRefused, Unavailable."""
        return cls(Settings.from_environment())

    # Life

    def start(self) -> None:
        """Begin to take pending jobs, and settle what dead processes left; after `close` this does nothing.

        DatabaseRefused when the database file is damaged; from then on nothing is launched either.
        """
        if not self._closed:
            self._check_database()
            self._executor.start()
            self._sweep(TickReport())
            self._begin()

    def _begin(self) -> None:
        """What a start does once, beside taking jobs and settling lost ones."""
        self._begin_clock()
        self._started = True
        self._warn_of_open_doors()
        kind = self.settings.database_uri.partition(":")[0]
        log.info("Octoflow %s has started: database %s, data folder %s", __version__, kind, self.settings.data_path)

    def drain(self) -> None:
        """Take no more jobs and stop those that run, each with its grace; returns at once. All else still answers."""
        self._is_leaving = True
        self._still_clock()
        if self._lazy_executor is not None:
            self._lazy_executor.drain()

    def close(self) -> None:
        """Stop what runs, each job with its grace, and let go of everything."""
        self._closed = True
        self.drain()
        if self._started:
            log.info("Octoflow stops")
        self._end_clock()
        if self._lazy_executor is not None:
            self._lazy_executor.close()
        self._database.dispose()
        if self._started:
            self._started = False
            log.info("Octoflow has stopped")

    def tick(self) -> TickReport:
        """Do what time asks for; DatabaseDown, Draining.

        Where jobs run inline, what is pending is run here, and the tick is over when that has ended. It also does what
        a start does elsewhere: nothing happens between requests.
        """
        self._must_take_jobs()
        if not self._is_inline:
            return super().tick()
        if not self._started:
            self._check_database()
            self._begin()
        report = super().tick()
        self.run_due()
        return report

    def readiness(self) -> answers.Parts:
        """What a service needs to do its work, each part `ok`; Unavailable names the one that is not, or Draining.

        A good verdict counts for a second: the probes write to the disk, and anybody may ask.
        """
        self._must_be_sound()
        self._must_take_jobs()
        now = self.clock.monotonic()
        if self._ready_until <= now:
            self._database.ping(write=True)
            self._probe_data_folder()
            self._ready_until = now + READY_SECONDS
        return {"status": "ok", "database": "ok", "data": "ok"}

    def _check_database(self) -> None:
        try:
            self._database.check()
        except DatabaseRefused as error:
            self._refusal = error
            raise

    def _probe_data_folder(self) -> None:
        from engine.files import probe_writable

        probe_writable(self.settings.data_path)
