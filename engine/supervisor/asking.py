"""A worker's question for a secret: answered by whoever is first, its keeper or a stop.

A keeper may be slow, as a Vault that does not answer is. The supervisor goes on listening meanwhile, so that neither a
stop nor the job's deadline nor its lease waits for a secret.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from threading import Lock, Thread

from engine.errors import OctoflowError
from engine.frames import ChannelClosed
from engine.models.job import Json
from engine.supervisor.tools import Secrets, Worker

log = logging.getLogger("octoflow.supervisor")


class Question:
    """One secret that one worker waits for."""

    def __init__(self, secrets: Secrets, name: str, worker: Worker, *, fresh: bool = False) -> None:
        self._secrets = secrets
        self._name = name
        self._fresh = fresh
        self._worker = worker
        self._lock = Lock()
        self.is_open = True
        """Whether the worker still waits."""

    def ask(self) -> None:
        """Have the keeper asked, in a thread that ends with its answer; returns at once."""
        Thread(target=self._fetch, name="secret", daemon=True).start()

    def give_up(self) -> None:
        """Let the worker go on without the secret, if it still waits."""
        self._answer({"error": f"secret {self._name!r} is not waited for any more: the job is being stopped"})

    def _fetch(self) -> None:
        try:
            self._answer({"secret": self._secrets.get(self._name, fresh=self._fresh)})
        except OctoflowError as error:
            self._answer({"error": str(error)})
        except Exception:
            log.exception("secret %r could not be had", self._name)
            self._answer({"error": f"secret {self._name!r} is not available; the service log says why"})

    def _answer(self, answer: dict[str, Json]) -> None:
        with self._lock:
            is_first, self.is_open = self.is_open, False
        if is_first:
            with suppress(ChannelClosed):  # The supervisor hears of that itself.
                self._worker.channel.send((answer, b""))
