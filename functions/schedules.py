"""Schedules: make, look, pause, delete, and what they will do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import (
    DocumentInvalid,
    FlowNotFound,
    IdempotencyKeyReused,
    PathRefused,
    ScheduleExists,
    ScheduleNotFound,
)
from engine.models.access import Role
from engine.models.schedule_view import forecast_json, schedule_json, slot_json
from functions._http import operation

if TYPE_CHECKING:
    from engine.models import answers
    from engine.models.once import Once
    from engine.models.requests import CreateSchedule
    from engine.orchestrator import Orchestrator
    from functions._queries import Foresee, ListSchedules, ListSlots


NOT_SCHEDULED = (FlowNotFound, DocumentInvalid, PathRefused, ScheduleExists, IdempotencyKeyReused)


@operation("POST", "/api/schedules", role=Role.EDITOR, status=201, errors=NOT_SCHEDULED)
def create_schedule(engine: Orchestrator, body: CreateSchedule, once: Once | None) -> answers.Scheduled:
    """Run a document at the times of a cron expression, or each so many seconds."""
    return {"schedule_id": engine.made_before(once) or engine.create_schedule(**dict(body), once=once).id}


@operation("GET", "/api/schedules", role=Role.VIEWER)
def list_schedules(engine: Orchestrator, query: ListSchedules) -> answers.SchedulePage:
    """A page of schedules, oldest first."""
    from engine.models.schedule import ScheduleFilter

    found = engine.schedules(ScheduleFilter(path=query.path, limit=query.limit + 1, offset=query.offset))
    zone = engine.settings.timezone
    page: answers.SchedulePage = {
        "schedules": [schedule_json(schedule, zone) for schedule in found[: query.limit]],
        "limit": query.limit,
        "offset": query.offset,
        "next": query.offset + query.limit if len(found) > query.limit else None,
    }
    if query.count:
        page["total"] = engine.count_schedules(ScheduleFilter(path=query.path))
    return page


@operation("GET", "/api/schedules/forecast", role=Role.VIEWER)
def forecast_schedules(engine: Orchestrator, query: Foresee) -> answers.Forecast:
    """Every coming run, soonest first, and what is worth knowing about them beforehand."""
    return forecast_json(engine.forecast(query.hours, query.limit, query.path), engine.settings.timezone)


@operation("GET", "/api/schedules/<id>", role=Role.VIEWER, errors=[ScheduleNotFound])
def get_schedule(engine: Orchestrator, id: str) -> answers.Schedule:
    """One schedule, with what it did last and does next."""
    return schedule_json(engine.schedule(id), engine.settings.timezone)


@operation("GET", "/api/schedules/<id>/slots", role=Role.VIEWER, errors=[ScheduleNotFound])
def get_schedule_slots(engine: Orchestrator, id: str, query: ListSlots) -> answers.SlotPage:
    """What became of its due times, newest first. `next` is the `before` of the next page."""
    found = engine.slots(id, query.limit + 1, query.before)
    slots = [slot_json(slot, engine.settings.timezone) for slot in found[: query.limit]]
    return {"slots": slots, "next": slots[-1]["due_time"] if len(found) > query.limit else None}


@operation("DELETE", "/api/schedules/<id>", role=Role.EDITOR, errors=[ScheduleNotFound])
def delete_schedule(engine: Orchestrator, id: str) -> answers.ScheduleDeleted:
    """Forget a schedule and what became of its due times; its jobs stay. One of config.yml returns with a restart."""
    engine.delete_schedule(id)
    return {"schedule_id": id, "deleted": True}


@operation("POST", "/api/schedules/<id>/pause", role=Role.OPERATOR, errors=[ScheduleNotFound])
def pause_schedule(engine: Orchestrator, id: str) -> answers.Schedule:
    """Run nothing until it is resumed."""
    return schedule_json(engine.pause_schedule(id), engine.settings.timezone)


@operation("POST", "/api/schedules/<id>/resume", role=Role.OPERATOR, errors=[ScheduleNotFound])
def resume_schedule(engine: Orchestrator, id: str) -> answers.Schedule:
    """Go on from now; what fell due meanwhile is not made up for."""
    return schedule_json(engine.resume_schedule(id), engine.settings.timezone)
