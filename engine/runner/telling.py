"""Tells of one step run: its beginning, and its end however it comes about."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from engine.models.flow import StepSpec
from engine.models.job import StepEnded, StepStarted, StepStatus
from engine.runner.endings import FlowFailed, Stopped
from engine.runner.job import JobRun


class Telling:
    """Emits a step run's events around the block that runs it.

    Inside sub-flows only the first runs are told, and those that fail: a loop over thousands would drown the rest.
    """

    def __init__(
        self, job: JobRun, step: StepSpec, number: int, place: str | None, *, inside: bool, is_finally: bool = False
    ) -> None:
        """`place` names the step of which this is a part; `inside` a sub-flow, only the outermost output is kept."""
        self._job = job
        self._inside = inside
        self._recorded = not inside or job.may_record()
        self._started = StepStarted(number, step.name, step.type, job.host.now(), place, is_finally)
        self._ended: StepEnded | None = None
        self.durable = (is_finally or step.options.acts) and (self._recorded or not job.has_begun)
        """Whether the beginning must be on disk before the step runs."""

    def __enter__(self) -> Self:
        try:
            if self._recorded:
                self._job.host.emit(self._started, urgent=not self._inside)
        except Stopped as stopped:  # It was said: what began must end.
            self.__exit__(Stopped, stopped, None)
            raise
        return self

    def end(self, status: StepStatus, *, output: str | None = None, key: str | None = None, error: str = "") -> None:
        """Say how it ended. `output` is JSON text, kept under `key` in `_data` when there is one."""
        number, now = self._started.number, self._job.host.now()
        self._ended = StepEnded(number, status, now, error=error or None, result_key=key, output=output)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Stopped) and self._ended is None:
            self.end(StepStatus.STOPPED)
        elif error is not None and self._ended is None:
            self.end(StepStatus.FAILED, error=error.entry["error"] if isinstance(error, FlowFailed) else str(error))
        if self._ended is None:
            return
        if self._ended.status is StepStatus.FAILED and not self._recorded:
            self._recorded = True
            self._job.host.emit(self._started)
        if self._recorded:
            self._job.host.emit(self._ended)
