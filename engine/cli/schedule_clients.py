"""Two ways to the schedules with the same verbs: a service over HTTP, or the data folder of this machine.

What they give is JSON as the API answers it.
"""

from __future__ import annotations

from typing import Any, Protocol

from engine.cli.auditing import record
from engine.cli.opening import below, visit_engine
from engine.cli.service import Object, Service, is_id, named_service
from engine.errors import ScheduleNotFound
from engine.models.schedule import ScheduleFilter
from engine.models.schedule_view import forecast_json, schedule_json, slot_json


class ScheduleClient(Protocol):
    """The verbs. What cannot be done is an OctoflowError of one sentence."""

    def find(self, path: str | None, limit: int) -> list[Object]:
        """The schedules, oldest first: of one document, or all."""

    def show(self, id: str) -> Object:
        """One schedule."""

    def slots(self, id: str, limit: int) -> list[Object]:
        """What became of its due times, newest first."""

    def add(self, fields: Object) -> str:
        """Make a schedule of the fields that the API takes; its id."""

    def pause(self, id: str) -> Object:
        """Run nothing until it is resumed; the schedule."""

    def resume(self, id: str) -> Object:
        """Go on from now; the schedule."""

    def delete(self, id: str) -> None:
        """Forget a schedule."""

    def forecast(self, hours: float, limit: int, path: str | None) -> Object:
        """Coming runs and warnings: of one document, or all."""

    def close(self) -> None:
        """Let go of everything."""


def schedule_client() -> ScheduleClient:
    """The service that OCTOFLOW_URL names, else the data folder."""
    service = named_service()
    return FolderSchedules() if service is None else ServiceSchedules(service)


class FolderSchedules:
    """The schedules of the data folder; a service that runs on it sees them at its next tick."""

    def __init__(self) -> None:
        self._engine = visit_engine()
        self._zone = self._engine.settings.timezone

    def find(self, path: str | None, limit: int) -> list[Object]:
        found = self._engine.schedules(ScheduleFilter(path=path, limit=limit))
        return [schedule_json(schedule, self._zone) for schedule in found]

    def show(self, id: str) -> Object:
        return schedule_json(self._engine.schedule(id), self._zone)

    def slots(self, id: str, limit: int) -> list[Object]:
        return [slot_json(slot, self._zone) for slot in self._engine.slots(id, limit)]

    def add(self, fields: Object) -> str:
        from engine.models.requests import CreateSchedule

        path = below(self._engine.settings.flows_path, fields["path"])
        schedule = self._engine.create_schedule(**dict(CreateSchedule.read({**fields, "path": path})))
        record(self._engine, "create_schedule", schedule.path, schedule.id)
        return schedule.id

    def pause(self, id: str) -> Object:
        schedule = self._engine.pause_schedule(id)
        record(self._engine, "pause_schedule", schedule.path, id)
        return schedule_json(schedule, self._zone)

    def resume(self, id: str) -> Object:
        schedule = self._engine.resume_schedule(id)
        record(self._engine, "resume_schedule", schedule.path, id)
        return schedule_json(schedule, self._zone)

    def delete(self, id: str) -> None:
        self._engine.delete_schedule(id)
        record(self._engine, "delete_schedule", id)

    def forecast(self, hours: float, limit: int, path: str | None) -> Object:
        return forecast_json(self._engine.forecast(hours, limit, path), self._zone)

    def close(self) -> None:
        self._engine.close()


class ServiceSchedules:
    """The schedules of a service."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def find(self, path: str | None, limit: int) -> list[Object]:
        query: dict[str, Any] = {"limit": limit} | ({} if path is None else {"path": path})
        schedules: list[Object] = self._service.ask("GET", "/api/schedules", "schedules", query)["schedules"]
        return schedules

    def show(self, id: str) -> Object:
        return self._service.ask("GET", _place(id), "schedule_id")

    def slots(self, id: str, limit: int) -> list[Object]:
        slots: list[Object] = self._service.ask("GET", f"{_place(id)}/slots", "slots", {"limit": limit})["slots"]
        return slots

    def add(self, fields: Object) -> str:
        return str(self._service.ask("POST", "/api/schedules", "schedule_id", body=fields)["schedule_id"])

    def pause(self, id: str) -> Object:
        return self._service.ask("POST", f"{_place(id)}/pause", "schedule_id")

    def resume(self, id: str) -> Object:
        return self._service.ask("POST", f"{_place(id)}/resume", "schedule_id")

    def delete(self, id: str) -> None:
        self._service.ask("DELETE", _place(id), "deleted")

    def forecast(self, hours: float, limit: int, path: str | None) -> Object:
        query: dict[str, Any] = {"hours": hours, "limit": limit} | ({} if path is None else {"path": path})
        return self._service.ask("GET", "/api/schedules/forecast", "runs", query)

    def close(self) -> None:
        self._service.close()


def _place(id: str) -> str:
    """Where a schedule is; ScheduleNotFound for what cannot be an id, and might lead elsewhere."""
    if not is_id(id) or id == "forecast":
        raise ScheduleNotFound(id)
    return f"/api/schedules/{id}"
