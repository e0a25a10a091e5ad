"""Asking twice under one key is the same as asking once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.errors import IdempotencyKeyReused
from engine.orchestrator.part import Part
from engine.orchestrator.parts import Parts

if TYPE_CHECKING:
    from engine.models.once import Once
    from engine.store.once import OnceStore


class OnceVerbs(Parts):
    """What was made before."""

    def made_before(self, once: Once | None) -> str | None:
        """The id of what was made under the key within 24 hours, None when it is free; IdempotencyKeyReused."""
        made = None if once is None else self._once.made(once, self.clock.now())
        if once is None or made is None:
            return None
        if made.request != once.request:
            raise IdempotencyKeyReused
        once.is_repeat = True
        return made.id

    def _make_once(self, once: Once | None, make: Callable[[], str]) -> str:
        """The id of what `make` makes, or of what another request makes under the same key at this very moment."""
        if once is None:
            return make()
        from engine.store.once import AskedBefore

        try:
            return make()
        except AskedBefore:
            return self.made_before(once) or make()  # Or: its 24 hours were over between the two looks.

    def _prune_once(self, limit: int) -> int:
        """What the tick asks: forget at most so many keys whose time is over; how many."""
        return self._once.prune(self.clock.now(), limit)

    @Part
    def _once(self) -> OnceStore:
        from engine.store.once import OnceStore

        return OnceStore(self._database)
