"""The answers that the API gives, as types.

Operations name them for the type checker alone: only what describes the API imports this, as building them takes time.
"""

from __future__ import annotations

from engine.models.answers.access import AuditPage, AuditRow, Key, KeyPage, NewKey
from engine.models.answers.jobs import (
    Deleted,
    Job,
    JobError,
    JobPage,
    JobSummary,
    Launched,
    LogLine,
    LogPage,
    Step,
    Stopping,
)
from engine.models.answers.schedules import (
    ComingRun,
    Flow,
    FlowAdded,
    FlowDeleted,
    FlowPage,
    Forecast,
    ForecastWarning,
    Lock,
    Locks,
    Released,
    Schedule,
    Scheduled,
    ScheduleDeleted,
    SchedulePage,
    Slot,
    SlotPage,
)
from engine.models.answers.service import ClockHealth, Error, FieldProblem, Health, Parts, Problem, Readiness, Tick

__all__ = [
    "AuditPage",
    "AuditRow",
    "ClockHealth",
    "ComingRun",
    "Deleted",
    "Error",
    "FieldProblem",
    "Flow",
    "FlowAdded",
    "FlowDeleted",
    "FlowPage",
    "Forecast",
    "ForecastWarning",
    "Health",
    "Job",
    "JobError",
    "JobPage",
    "JobSummary",
    "Key",
    "KeyPage",
    "Launched",
    "Lock",
    "Locks",
    "LogLine",
    "LogPage",
    "NewKey",
    "Parts",
    "Problem",
    "Readiness",
    "Released",
    "Schedule",
    "ScheduleDeleted",
    "SchedulePage",
    "Scheduled",
    "Slot",
    "SlotPage",
    "Step",
    "Stopping",
    "Tick",
]
