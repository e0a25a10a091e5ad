"""Values from HashiCorp Vault: kept for a time, and read once however many ask at the same moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock

from engine.clock import Clock
from engine.errors import SecretUnavailable
from engine.models.job import Json
from engine.secrets.vault_reading import TOTAL_SECONDS, VaultFailed, read_value

FAILED_SECONDS = 2.0
"""How long a failure is kept: a Vault that is down is not asked by every item of a loop."""
RENEWED_SECONDS = 5.0
"""How long a value that was read anew is new enough: a peer that refuses every item of a loop costs one read."""


@dataclass(slots=True)
class Flight:
    """One read: under way until `landed`, then a value or a cause, good `until` a moment."""

    begun: float
    landed: Event = field(default_factory=Event)
    value: Json = field(default=None, repr=False)
    cause: str | None = None
    until: float | None = None


class Vault:
    """What can be read with one token. A value is served for `ttl_seconds` from the beginning of its read.

    A read blocks its asker, `total_seconds` at most.
    """

    def __init__(
        self,
        token: str | None,
        ttl_seconds: float,
        clock: Clock,
        *,
        ca_file: Path | None = None,
        total_seconds: float = TOTAL_SECONDS,
    ) -> None:
        self._token = token
        self._ttl_seconds = ttl_seconds
        self._clock = clock
        self._ca_file = None if ca_file is None else str(ca_file)
        self._total_seconds = total_seconds
        self._lock = Lock()
        self._flights: dict[str, Flight] = {}
        self._renewals: dict[str, Flight] = {}

    def read(self, name: str, uri: str, *, fresh: bool = False) -> Json:
        """The value at the uri, for the secret of this name; SecretUnavailable in one sentence.

        `fresh` is for a value that a peer refused: it is read anew, once for all who ask within `RENEWED_SECONDS`. If
        that fails, the value that was kept is served on to the others.
        """
        if not self._token:
            raise SecretUnavailable(f"secret {name!r} is not available: HASHICORP_VAULT_TOKEN is not set")
        flight, is_new = self._renewal(uri) if fresh else self._flight(uri)
        if is_new:
            self._fly(flight, uri, self._token)
        if fresh and is_new and flight.cause is None:
            with self._lock:
                self._flights[uri] = flight
        flight.landed.wait(self._total_seconds + 1)
        if flight.cause is not None or flight.until is None:
            raise SecretUnavailable(f"secret {name!r} is not available ({flight.cause or 'timeout'})")
        return flight.value

    def _flight(self, uri: str) -> tuple[Flight, bool]:
        """The read that is under way or still good, or a new one that is the caller's to do."""
        with self._lock:
            flight, now = self._flights.get(uri), self._clock.monotonic()
            if flight is not None and (flight.until is None or now < flight.until):
                return flight, False
            flight = self._flights[uri] = Flight(now)
            return flight, True

    def _renewal(self, uri: str) -> tuple[Flight, bool]:
        """The renewal that is under way or a moment old, or a new one that is the caller's to do."""
        with self._lock:
            flight, now = self._renewals.get(uri), self._clock.monotonic()
            if flight is not None and (flight.until is None or now < flight.begun + RENEWED_SECONDS):
                return flight, False
            flight = self._renewals[uri] = Flight(now)
            return flight, True

    def _fly(self, flight: Flight, uri: str, token: str) -> None:
        flight.cause = "a fault of ours"
        try:
            flight.value = read_value(uri, token, ca_file=self._ca_file, seconds=self._total_seconds)
            flight.cause, flight.until = None, flight.begun + self._ttl_seconds
        except VaultFailed as error:
            flight.cause = str(error)
        finally:
            if flight.until is None:
                flight.until = self._clock.monotonic() + FAILED_SECONDS
            flight.landed.set()
