"""Where a claimed job runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.executors.executor import Executor
    from engine.settings import Settings


def executor_class(settings: Settings) -> type[Executor]:
    """What runs the jobs of a process with these settings; without workers, only those that its own threads run."""
    if settings.executor == "inline" or not settings.flow_max_workers:
        from engine.executors.inline import InlineExecutor

        return InlineExecutor
    from engine.executors.local import LocalExecutor

    return LocalExecutor
