"""Threads of one process that write to one SQLite file: one at a time, and who waited is served by the next in turn.

A commit of ten changes costs the disk as much as a commit of one, and a thread that finds its work done need not wake
twice. SQLite's own way to wait, which polls with growing sleeps, is left to other processes.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable
from threading import Lock
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from engine.store.driver_errors import driver_code

T = TypeVar("T")
Verb = Callable[[Connection], Any]
Run = Callable[[Verb], Any]
"""Gives what a verb returns in a committed transaction."""

MOST = 32
"""So many changes at most are committed together: the first of them waits for the last."""


class Wish:
    """Something that a thread wants to write, and what came of it. Without a verb it is for that thread to do alone."""

    def __init__(self, verb: Verb | None = None) -> None:
        self.verb = verb
        self.is_next = False
        self._result: Any = None
        self._error: BaseException | None = None
        self._word = Lock()
        self._word.acquire()

    def settle(self, result: Any = None, error: BaseException | None = None) -> None:
        """Tell the thread what came of it."""
        self._result, self._error = result, error
        self._word.release()

    def call(self) -> None:
        """Tell the thread that it is its turn."""
        self.is_next = True
        self._word.release()

    def wait(self, seconds: float = -1) -> bool:
        """Whether there was a word within that time."""
        return self._word.acquire(timeout=seconds)

    def outcome(self) -> Any:
        """The verb's result or error."""
        if self._error is not None:
            raise self._error
        return self._result


class Turns:
    """Who writes now, and who waits for it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._is_taken = False
        self._waiting: deque[Wish] = deque()

    def change(self, verb: Callable[[Connection], T], run: Run, seconds: float) -> T:
        """What the verb returns once it is committed, together with those of others; see `take` for the time.

        When one of them raises, each is run again by itself; when the commit fails, all are told so.
        """
        wish = Wish(verb)
        result: T
        if not self.take(wish, seconds):
            result = wish.outcome()
            return result
        try:
            others = self._take_along()
            result = _run_together(verb, others, run) if others else run(verb)
            return result
        finally:
            self.pass_on()

    def take(self, wish: Wish, seconds: float) -> bool:
        """True when it is this thread's turn, which ends with `pass_on`; False when its wish was settled by another.

        TimeoutError when neither has happened within that time.
        """
        with self._lock:
            if not self._is_taken:
                self._is_taken = True
                return True
            self._waiting.append(wish)
        try:
            if not wish.wait(seconds):
                if self._withdraw(wish):
                    raise TimeoutError
                wish.wait()  # Somebody is at it: the word comes when the outcome is certain.
            return wish.is_next
        except BaseException:  # As by Ctrl-C: a turn that nobody takes would keep all others waiting for ever.
            if not self._withdraw(wish) and wish.is_next:
                self.pass_on()
            raise

    def pass_on(self) -> None:
        """The next in the row has the turn."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().call()
            else:
                self._is_taken = False

    def _withdraw(self, wish: Wish) -> bool:
        """Whether the wish waited still; it no longer does."""
        with self._lock:
            if wish not in self._waiting:
                return False
            self._waiting.remove(wish)
            return True

    def _take_along(self) -> list[Wish]:
        """Those who wait and can be served together, in their order; each is to be settled."""
        taken: list[Wish] = []
        with self._lock:
            while self._waiting and self._waiting[0].verb is not None and len(taken) < MOST:
                taken.append(self._waiting.popleft())
        return taken


def _run_together(verb: Verb, others: list[Wish], run: Run) -> Any:
    verbs = [verb, *(wish.verb for wish in others if wish.verb is not None)]
    unsettled = deque(others)
    results: list[Any] = []

    def run_each(connection: Connection) -> None:
        results.extend(each(connection) for each in verbs)

    try:
        run(run_each)
        for result in results[1:]:
            unsettled.popleft().settle(result)
        return results[0]
    except Exception as error:
        # Each has waited for as long as it would have by itself; or the commit failed, and may yet have been done.
        if _is_held(error) or len(results) == len(verbs):
            while unsettled:
                unsettled.popleft().settle(error=error)
            raise
        while unsettled:
            _settle_alone(unsettled.popleft(), run)
        return run(verb)
    finally:
        for wish in unsettled:
            wish.settle(error=InterruptedError("the thread that was to write this was interrupted"))


def _settle_alone(wish: Wish, run: Run) -> None:
    assert wish.verb is not None, "a wish without a verb is not taken along"
    try:
        result = run(wish.verb)
    except Exception as error:  # noqa: BLE001 - it is raised in the thread whose verb this is
        wish.settle(error=error)
    else:
        wish.settle(result)


def _is_held(error: Exception) -> bool:
    return isinstance(error, DBAPIError) and driver_code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
