"""The services: two places over one data folder, each with the service that is there at present."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

import requests
from counts import Counts
from services import TOKEN, Service, children_of, is_alive, start_service

PLACES = (0, 1)
START_SECONDS = 60


class Fleet:
    """Starts, names and ends the services; whoever harms a place has its lock meanwhile."""

    def __init__(self, data: Path, counts: Counts) -> None:
        self.data = data
        self.locks = {place: threading.Lock() for place in PLACES}
        self.all: list[Service] = []
        self._there: dict[int, Service] = {}
        self._counts = counts

    def start_all(self) -> None:
        for place in PLACES:
            self.start(place)

    def start(self, place: int) -> None:
        """A service in this place, once it answers; one that refuses to start is started again."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            service = start_service(self.data, FLOW_MAX_WORKERS="6")
            self.all.append(service)
            while service.process.poll() is None and time.monotonic() < deadline:
                with suppress(requests.RequestException):
                    if requests.get(f"{service.url}/healthz", timeout=5).status_code == 200:
                        self._there[place] = service
                        return
                time.sleep(0.05)
            last = service.text().strip().splitlines()[-1:] or ["no word"]
            self._counts.add("starts refused", said=last[0])
            service.kill()
            time.sleep(0.2)
        raise SystemExit(f"no service starts any more: {self.all[-1].text()[-2000:]}")

    def at(self, place: int) -> Service:
        return self._there[place]

    def any(self, choose: random.Random) -> Service:
        return self._there[choose.choice(PLACES)]

    def heal(self) -> None:
        """Whoever is dead is started again."""
        for place in PLACES:
            with self.locks[place]:
                if not is_alive(self.at(place).process.pid):
                    self.start(place)

    def kill_all(self) -> None:
        for service in self.all:
            service.session.close()
            service.kill()

    def stop_all(self) -> list[str]:
        """SIGTERM to each; what is wrong with how they left."""
        there = [self.at(place) for place in PLACES]
        below = [pid for service in there for pid in everything_below(service.process.pid)]
        wrong = []
        for service in there:
            code = service.stop()
            if code != 0:
                wrong.append(f"a service left with {code}: {service.text()[-500:]}")
        deadline = time.monotonic() + 5
        while (left := [pid for pid in below if is_alive(pid)]) and time.monotonic() < deadline:
            time.sleep(0.05)
        return [*wrong, *(f"process {pid} has outlived its service" for pid in left)]


def everything_below(pid: int) -> list[int]:
    children = children_of(pid)
    return [*children, *(each for child in children for each in everything_below(child))]


def session() -> requests.Session:
    """A client of its own, for one thread."""
    made = requests.Session()
    made.headers["Authorization"] = f"Bearer {TOKEN}"
    return made


def thaw(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
