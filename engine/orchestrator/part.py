"""A part of an engine, made when a verb first needs it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar, overload

T = TypeVar("T")


class Part(Generic[T]):
    """Decorates the method that makes it. Made once, however many threads ask at the same time: they wait for it.

    A `cached_property` has no lock from Python 3.12 on: of two threads each would have its own semaphore, or secrets
    that the other one's mask does not know.
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self._name = make.__name__
        self.__doc__ = make.__doc__

    @overload
    def __get__(self, engine: None, kind: type) -> Self: ...
    @overload
    def __get__(self, engine: Any, kind: type) -> T: ...
    def __get__(self, engine: Any, kind: type) -> Self | T:
        if engine is None:
            return self
        with engine._lock:
            # From now on Python finds it there, and does not come by here.
            parts: dict[str, T] = engine.__dict__
            if self._name not in parts:
                parts[self._name] = self._make(engine)
            return parts[self._name]
