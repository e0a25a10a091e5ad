"""What is done to the services and to their volume, at random: kills, freezes, a database that is held, a full disk."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import threading
from collections.abc import Callable
from contextlib import closing, suppress

import volumes
from counts import Counts
from fleet import PLACES, Fleet, everything_below, thaw
from services import Service

FROZEN_SECONDS = [0.5, 0.5, 2, 2, 2, 5, 5, 35]
"""The last one is longer than a lease."""


def threads(fleet: Fleet, counts: Counts, over: threading.Event, seed: int, is_small: bool) -> list[threading.Thread]:
    """One for each place, one for the volume."""
    to_places = [Harm(fleet, counts, over, random.Random(f"{seed} harm {place}")).to_place for place in PLACES]
    to_volume = Harm(fleet, counts, over, random.Random(f"{seed} volume")).to_volume
    return [
        *(threading.Thread(target=harm, args=(place,)) for place, harm in zip(PLACES, to_places, strict=True)),
        threading.Thread(target=to_volume, args=(is_small,)),
    ]


class Harm:
    """Goes on until it is over, and leaves nothing frozen, held or full behind."""

    def __init__(self, fleet: Fleet, counts: Counts, over: threading.Event, choose: random.Random) -> None:
        self._fleet, self._counts, self._over, self._choose = fleet, counts, over, choose

    def to_place(self, place: int) -> None:
        kinds: list[tuple[int, str, Callable[[int], None]]] = [
            (10, "job process killed", self._kill_one(Service.job_processes)),
            (2, "worker killed", self._kill_one(Service.workers)),
            (3, "forkserver killed", self._kill_one(Service.forkservers)),
            (3, "service killed", self._kill_all),
            (1, "service told to leave", self._tell_to_leave),
            (2, "service frozen", self._freeze),
            (2, "job process frozen", self._freeze_a_job),
        ]
        weights, names, deeds = zip(*kinds, strict=True)
        while not self._over.wait(self._choose.uniform(0.5, 4)):
            (number,) = self._choose.choices(range(len(kinds)), weights)
            with self._fleet.locks[place]:
                deeds[number](place)
            self._counts.add("harm", names[number])

    def to_volume(self, is_small: bool) -> None:
        while not self._over.wait(self._choose.uniform(5, 15)):
            if is_small and self._choose.random() < 0.5:
                with volumes.full(self._fleet.data):
                    self._over.wait(self._choose.uniform(0.5, 5))
                self._counts.add("harm", "disk full")
            else:
                self._hold(self._choose.uniform(0.2, 8))
                self._counts.add("harm", "database held")

    def _kill_one(self, which: Callable[[Service], list[int]]) -> Callable[[int], None]:
        def kill(place: int) -> None:
            pids = which(self._fleet.at(place))
            if pids:
                with suppress(ProcessLookupError):
                    os.kill(self._choose.choice(pids), signal.SIGKILL)

        return kill

    def _kill_all(self, place: int) -> None:
        self._fleet.at(place).kill()
        self._over.wait(self._choose.uniform(0, 1))
        self._fleet.start(place)

    def _tell_to_leave(self, place: int) -> None:
        service = self._fleet.at(place)
        service.process.terminate()
        try:
            code = service.process.wait(30)
        except subprocess.TimeoutExpired:
            code = None
            service.kill()
        if code != 0:
            self._counts.add("left badly", str(code), service.text()[-300:])
        self._fleet.start(place)

    def _freeze(self, place: int) -> None:
        root = self._fleet.at(place).process.pid
        self._freeze_these([root, *everything_below(root)], self._choose.choice(FROZEN_SECONDS))

    def _freeze_a_job(self, place: int) -> None:
        jobs = self._fleet.at(place).job_processes()
        self._freeze_these(jobs[:1], self._choose.uniform(0.2, 4))

    def _freeze_these(self, pids: list[int], seconds: float) -> None:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        self._over.wait(seconds)
        thaw(pids)

    def _hold(self, seconds: float) -> None:
        connect = sqlite3.connect(self._fleet.data / "jobs.sqlite", timeout=10, isolation_level=None)
        with closing(connect) as holder, suppress(sqlite3.OperationalError):
            holder.execute("BEGIN EXCLUSIVE")
            self._over.wait(seconds)
            holder.execute("ROLLBACK")
