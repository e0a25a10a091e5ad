"""A part of the engine is made when it is needed, once."""

from __future__ import annotations

from contextlib import suppress
from threading import Barrier, BrokenBarrierError, RLock, Thread

from engine.orchestrator.part import Part


class Engine:
    """Two parts, one of which is made of the other."""

    def __init__(self):
        self._lock = RLock()
        self.made = []
        self.both = Barrier(2)

    @Part
    def wheel(self):
        self.made.append("wheel")
        with suppress(BrokenBarrierError):  # Two makers meet here; one by itself goes on after a moment.
            self.both.wait(0.2)
        return object()

    @Part
    def cart(self):
        self.made.append("cart")
        return [self.wheel, self.wheel]


def test_threads_that_ask_at_the_same_time_get_the_same_part():
    engine, found = Engine(), []

    threads = [Thread(target=lambda: found.append(engine.wheel)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert engine.made == ["wheel"]
    assert found[0] is found[1]


def test_a_part_is_made_of_parts_and_only_when_it_is_needed():
    engine = Engine()
    assert engine.made == []

    cart = engine.cart

    assert engine.made == ["cart", "wheel"]
    assert engine.cart is cart
