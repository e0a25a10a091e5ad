"""How schedules, their due times and the locks of flows are shown: JSON, the same in an answer and on a terminal."""

from __future__ import annotations

from datetime import tzinfo
from typing import TYPE_CHECKING

from engine.models.times import format_time

if TYPE_CHECKING:
    from engine.models import answers
    from engine.models.forecast import Forecast
    from engine.models.lock import Lock
    from engine.models.schedule import Schedule, Slot


def schedule_json(schedule: Schedule, zone: tzinfo) -> answers.Schedule:
    """A schedule, with what it did last and does next."""
    return {
        "schedule_id": schedule.id,
        "path": schedule.path,
        "cron": schedule.timing.cron,
        "every_seconds": schedule.timing.every_seconds,
        "timezone": schedule.timing.timezone,
        "overlap": schedule.overlap,
        "misfire": schedule.misfire,
        "misfire_grace_seconds": schedule.misfire_grace_seconds,
        "timeout_seconds": schedule.timeout_seconds,
        "data": schedule.data,
        "source": schedule.source,
        "state": "paused" if schedule.is_paused else "active",
        "created_time": format_time(schedule.created_time, zone),
        "next_run_time": format_time(schedule.next_due, zone),
        "last_job_id": schedule.last_job_id,
        "last_error": schedule.last_error,
        "last_slot": None if schedule.last_slot is None else slot_json(schedule.last_slot, zone),
    }


def slot_json(slot: Slot, zone: tzinfo) -> answers.Slot:
    """What became of a due time, or of `count` of them from `first_due_time` on."""
    return {
        "due_time": format_time(slot.due_time, zone),
        "first_due_time": format_time(slot.first_due_time, zone),
        "count": slot.count,
        "verdict": slot.verdict,
        "reason": slot.reason,
        "job_id": slot.job_id,
        "tick_time": format_time(slot.tick_time, zone),
    }


def lock_json(lock: Lock, zone: tzinfo) -> answers.Lock:
    """A flow that is locked, and the job that holds the lock."""
    return {
        "path": lock.path,
        "name": lock.name,
        "job_id": lock.job_id,
        "state": lock.state,
        "queued_time": format_time(lock.queued_time, zone),
        "start_time": format_time(lock.start_time, zone),
    }


def forecast_json(forecast: Forecast, zone: tzinfo) -> answers.Forecast:
    """Coming runs, soonest first, and warnings; `truncated` says that there are more runs."""
    return {
        "runs": [
            {
                "schedule_id": run.schedule_id,
                "path": run.path,
                "time": format_time(run.due_time, zone),
                "local_time": run.local_time.isoformat(timespec="milliseconds"),
                "timezone": run.timezone,
            }
            for run in forecast.runs
        ],
        "warnings": [
            {
                "code": warning.code,
                "message": warning.message,
                "schedule_id": warning.schedule_id,
                "path": warning.path,
                "time": format_time(warning.time, zone),
            }
            for warning in forecast.warnings
        ],
        "truncated": forecast.truncated,
    }
