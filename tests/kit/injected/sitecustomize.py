"""A fault at an exact point of a real service, which knows nothing of it: `faults.fault()` says how it is asked for.

Python imports this at the start of each process that has this folder in its PYTHONPATH. OCTOFLOW_TEST_FAULT names a
function, what happens there, and at which call of it: `engine.store.jobs:JobStore.finish before 1`.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from itertools import count
from types import ModuleType
from typing import Any

VARIABLE = "OCTOFLOW_TEST_FAULT"


DEEDS = ("before", "after", "stubborn")


class Injected(MetaPathFinder):
    """Puts the fault into its module when that is imported."""

    def __init__(self, place: str, kind: str, number: int) -> None:
        self._module, _, self._name = place.partition(":")
        self._kind, self._number = kind, number

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != self._module:
            return None
        # It stays in the list: another thread that walks along it now would miss a finder, and thus a module.
        self._module = ""
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.loader is not None
        execute = spec.loader.exec_module

        def execute_and_break(module: ModuleType) -> None:
            execute(module)
            self._break(module)

        spec.loader.exec_module = execute_and_break  # type: ignore[method-assign]
        return spec

    def _break(self, module: ModuleType) -> None:
        holder: Any = module
        *holders, name = self._name.split(".")
        for each in holders:
            holder = getattr(holder, each)
        setattr(holder, name, self._faulty(getattr(holder, name)))

    def _faulty(self, function: Callable[..., Any]) -> Callable[..., Any]:
        calls = count(1)

        def faulty(*values: Any, **options: Any) -> Any:
            if self._kind not in DEEDS:
                return self._kind
            is_due = next(calls) == self._number
            if is_due and self._kind == "before":
                die()
            if is_due and self._kind == "stubborn":
                be_stubborn()
            result = function(*values, **options)
            if is_due and self._kind == "after":
                die()
            return result

        return faulty


def die() -> None:
    """The whole service is gone, with no chance to say goodbye."""
    os.killpg(0, signal.SIGKILL)


def be_stubborn() -> None:
    """Hear no SIGTERM, and have a child that hears none and does not end by itself."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork() == 0:
        while True:
            signal.pause()


def hand_down() -> None:
    """Let the processes that jobs run in have the fault as well: the service gives them an empty environment."""
    start = subprocess.Popen.__init__

    def init(self: Any, command: Any, *values: Any, env: Any = None, **options: Any) -> None:
        if "forkserver" in str(command):
            env = {**(env or {}), VARIABLE: os.environ[VARIABLE], "PYTHONPATH": os.environ["PYTHONPATH"]}
        start(self, command, *values, env=env, **options)

    subprocess.Popen.__init__ = init  # type: ignore[method-assign]


if VARIABLE in os.environ:
    place, kind, number = os.environ[VARIABLE].split()
    sys.meta_path.insert(0, Injected(place, kind, int(number)))
    hand_down()
