"""What happened so far, counted by any thread."""

from __future__ import annotations

import resource
import threading
import time
from collections import Counter, defaultdict


class Counts:
    """Counters in groups, and one example of each thing that was said."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._said: dict[str, str] = {}
        self._begun = time.monotonic()

    def add(self, group: str, name: str = "", said: str = "", number: int = 1) -> None:
        with self._lock:
            self._groups[group][name] += number
            if said:
                self._said.setdefault(f"{group} {name}", said[:300])

    def of(self, group: str) -> Counter[str]:
        with self._lock:
            return Counter(self._groups[group])

    def text(self, *, in_full: bool = False) -> str:
        """One line; in full also what was said, and what this program itself took."""
        with self._lock:
            groups = [f"{group} {_told(counter)}" for group, counter in sorted(self._groups.items())]
            said = [f"  {what}: {text}" for what, text in sorted(self._said.items())] if in_full else []
        line = f"[{time.monotonic() - self._begun:4.0f} s] " + "; ".join(groups)
        own = f"  this program took {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB at most"
        return "\n".join([line, *said, *([own] if in_full else [])])


def _told(counter: Counter[str]) -> str:
    names = [f"{name} {number}" for name, number in counter.most_common() if name]
    return " ".join([str(counter.total()), *([f"({', '.join(names)})"] if names else [])])
