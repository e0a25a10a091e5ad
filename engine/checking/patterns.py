"""What the regular expressions of a flow cost to compile, judged from their text before any of them is.

They are compiled in the process that checks, which answers nobody else meanwhile. A character takes some 7 us; a range
up to 45 ms, where it is wide: Python fills a table of 64 K for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.models.job import Json

AFFORDABLE = 200_000
"""The most that the different patterns of a flow may cost together, in characters: about two seconds."""
CLASS = 150
WIDE_RANGE = 5_000
WIDE = re.compile("[^\0-\u02ff]|\\\\[uUN]")


class Budget:
    """What the patterns of one flow have cost so far."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._spent = 0

    def allows(self, step: Json) -> bool:
        """Whether the step's patterns can be afforded beside those before; a text that stands twice costs once."""
        for text in patterns_of(step):
            if text not in self._seen:
                self._seen.add(text)
                self._spent += cost_of(text)
                if self._spent > AFFORDABLE:
                    return False
        return True


def cost_of(pattern: str) -> int:
    """What compiling it costs at most, in characters without meaning."""
    ranges = pattern.count("-") if WIDE.search(pattern) else 0
    return len(pattern) + CLASS * pattern.count("[") + WIDE_RANGE * ranges


def patterns_of(step: Json) -> Iterator[str]:
    """Each text of the step, and of the steps inside it, that will be compiled as a pattern, whatever else is wrong."""
    if not isinstance(step, dict):
        return
    ignored = step.get("ignore_errors")
    yield from (each for each in (ignored if isinstance(ignored, list) else [ignored]) if isinstance(each, str))
    options = step.get("switch")
    if isinstance(options, dict):
        cases = options.get("cases")
        for case in cases if isinstance(cases, list) else []:
            if isinstance(case, dict):
                yield from (each for each in [case.get("when")] if isinstance(each, str))
                yield from patterns_of(case.get("step"))
        yield from patterns_of(options.get("default"))
