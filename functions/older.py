"""The endpoints of the first version, kept for who calls them; `/api/schedules` and `/api/jobs` can more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import LockAmbiguous, LockNotFound, ScheduleNotFound
from engine.models.access import Role
from engine.models.schedule_view import lock_json, schedule_json
from functions._answers import Accepted, Done
from functions._http import operation
from functions.jobs import NOT_LAUNCHED, launched
from functions.schedules import NOT_SCHEDULED

if TYPE_CHECKING:
    from engine.models import answers
    from engine.models.audit import Change
    from engine.models.once import Once
    from engine.models.requests import AddFlow, LaunchJob
    from engine.orchestrator import Orchestrator
    from functions._queries import ListFlows


@operation("POST", "/api/flows/add", role=Role.EDITOR, status=201, errors=NOT_SCHEDULED)
def add_flow(engine: Orchestrator, body: AddFlow, once: Once | None) -> answers.FlowAdded:
    """Schedule a flow. Without `cron` and `every_seconds`, at the times that its own file gives."""
    id = engine.made_before(once) or engine.add_flow(**dict(body), once=once).id
    return {"flow_id": id, "schedule_id": id}


@operation("POST", "/api/flows/launch", role=Role.OPERATOR, status=202, errors=NOT_LAUNCHED)
def launch_flow(
    engine: Orchestrator, body: LaunchJob, change: Change, wait: int, once: Once | None, up: str
) -> Accepted[answers.Launched] | Done[answers.Job]:
    """Start a flow and answer at once with its job id. With the whole job once it has ended: where the caller waits for
    it, and where jobs run inline."""
    job_id = engine.made_before(once) or engine.launch(
        body.path, body.data, timeout_seconds=body.timeout_seconds, priority=body.priority, change=change, once=once
    )
    return launched(engine, job_id, up, wait)


@operation("GET", "/api/flows", role=Role.VIEWER)
def list_flows(engine: Orchestrator, query: ListFlows) -> answers.FlowPage:
    """A page of the flows that are scheduled. `flow_id` is the schedule's id."""
    from engine.models.schedule import ScheduleFilter

    found = engine.schedules(ScheduleFilter(limit=query.limit + 1, offset=query.offset))
    zone = engine.settings.timezone
    return {
        "flows": [{"flow_id": each.id, **schedule_json(each, zone)} for each in found[: query.limit]],
        "next": query.offset + query.limit if len(found) > query.limit else None,
    }


@operation("GET", "/api/flows/<id>", role=Role.VIEWER, errors=[ScheduleNotFound])
def get_flow(engine: Orchestrator, id: str) -> answers.Flow:
    """One flow that is scheduled."""
    return {"flow_id": id, **schedule_json(engine.schedule(id), engine.settings.timezone)}


@operation("DELETE", "/api/flows/<id>", role=Role.EDITOR, errors=[ScheduleNotFound])
def delete_flow(engine: Orchestrator, id: str) -> answers.FlowDeleted:
    """Schedule the flow no more."""
    engine.delete_schedule(id)
    return {"flow_id": id, "deleted": True}


@operation("GET", "/api/locks", role=Role.VIEWER)
def list_locks(engine: Orchestrator) -> answers.Locks:
    """The flows that are locked, each with the job that holds the lock."""
    return {"locks": [lock_json(lock, engine.settings.timezone) for lock in engine.locks()]}


@operation("DELETE", "/api/locks/<path:flow>", role=Role.OPERATOR, errors=[LockNotFound, LockAmbiguous])
def release_lock(engine: Orchestrator, flow: str) -> answers.Released:
    """Cancel the jobs that hold the lock of a flow, which is free once they have stopped."""
    return {"released": engine.release_lock(flow)}


@operation("DELETE", "/api/locks", role=Role.OPERATOR)
def release_locks(engine: Orchestrator) -> answers.Released:
    """Cancel every job that holds a lock."""
    return {"released": engine.release_locks()}
