"""Two ways to the jobs with the same verbs: a service over HTTP, or the data folder of this machine.

What they give is JSON as the API answers it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeVar

from engine.cli.auditing import change_here, record
from engine.cli.opening import below, moment, visit_engine
from engine.cli.service import Object, Service, is_id, named_service
from engine.errors import JobNotFound
from engine.models.job import JobFilter, Source, State, Status
from engine.models.job_view import job_json, job_summary_json, log_line_json
from engine.models.once import Once

Choice = TypeVar("Choice", State, Status)

LOG_PAGE = 1000


class JobClient(Protocol):
    """The verbs. What cannot be done is an OctoflowError of one sentence."""

    def launch(self, body: Object, key: str | None, wait_seconds: int) -> Object:
        """Queue a job as the API's body says, once for each key: the whole job when it ends in time, else its
        `job_id`."""

    def find(self, filters: Mapping[str, str], limit: int) -> list[Object]:
        """The jobs that match, newest first; `filters` are named and written as in the API's query."""

    def show(self, id: str) -> Object:
        """A job with all it has, and its steps."""

    def logs(self, id: str, after: int) -> tuple[list[Object], int | None]:
        """A page of at most LOG_PAGE lines, and the `after` of the next; None when the job is over and has no more."""

    def cancel(self, id: str) -> Object:
        """Stop a job; its id and the state it is in then."""

    def delete(self, id: str) -> None:
        """Delete a job that has ended."""

    def close(self) -> None:
        """Let go of everything."""


def job_client() -> JobClient:
    """The service that OCTOFLOW_URL names, else the data folder."""
    service = named_service()
    return FolderClient() if service is None else ServiceClient(service)


class FolderClient:
    """The jobs of the data folder; whichever service runs them hears of a cancel through its row."""

    def __init__(self) -> None:
        self._engine = visit_engine()
        self._zone = self._engine.settings.timezone

    def launch(self, body: Object, key: str | None, wait_seconds: int) -> Object:
        path = below(self._engine.settings.flows_path, body["path"])
        change = change_here("launch_job", path)
        once = None if key is None else Once.of(change.actor, key, ["launch_job", {**body, "path": path}])
        id = self._engine.made_before(once) or self._engine.launch(
            path,
            body["data"],
            timeout_seconds=body["timeout_seconds"],
            priority=body["priority"],
            source=Source.CLI,
            change=change,
            once=once,
        )
        return {"job_id": id} if self._engine.ended(id, wait_seconds) is None else self.show(id)

    def find(self, filters: Mapping[str, str], limit: int) -> list[Object]:
        found = JobFilter(
            state=_choice(State, filters.get("state")),
            status=_choice(Status, filters.get("status")),
            path=filters.get("path"),
            start_time_from=moment(self._engine, "--since", filters.get("start_time_from")),
            limit=limit,
        )
        return [job_summary_json(job, self._zone) for job in self._engine.jobs(found)]

    def show(self, id: str) -> Object:
        return job_json(*self._engine.job(id), self._zone)

    def logs(self, id: str, after: int) -> tuple[list[Object], int | None]:
        lines, following = self._engine.logs(id, after, LOG_PAGE)
        return [log_line_json(line, self._zone) for line in lines], following

    def cancel(self, id: str) -> Object:
        job = self._engine.cancel(id)
        record(self._engine, "cancel_job", id)
        return {"job_id": job.id, "state": job.state}

    def delete(self, id: str) -> None:
        self._engine.delete_job(id)
        record(self._engine, "delete_job", id)

    def close(self) -> None:
        self._engine.close()


class ServiceClient:
    """The jobs of a service."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def launch(self, body: Object, key: str | None, wait_seconds: int) -> Object:
        headers = {} if key is None else {"Idempotency-Key": key}
        if wait_seconds:
            headers["Prefer"] = f"wait={wait_seconds}"
        return self._service.ask(
            "POST", "/api/jobs", ("steps", "job_id"), body=body, headers=headers, wait_seconds=wait_seconds
        )

    def find(self, filters: Mapping[str, str], limit: int) -> list[Object]:
        jobs: list[Object] = self._service.ask("GET", "/api/jobs", "jobs", {**filters, "limit": limit})["jobs"]
        return jobs

    def show(self, id: str) -> Object:
        return self._service.ask("GET", _place(id), "steps")

    def logs(self, id: str, after: int) -> tuple[list[Object], int | None]:
        page = self._service.ask("GET", f"{_place(id)}/logs", "next", {"after": after, "limit": LOG_PAGE})
        return page["logs"], page["next"]

    def cancel(self, id: str) -> Object:
        return self._service.ask("POST", f"{_place(id)}/cancel", "job_id")

    def delete(self, id: str) -> None:
        self._service.ask("DELETE", _place(id), "deleted")

    def close(self) -> None:
        self._service.close()


def _choice(kind: type[Choice], text: str | None) -> Choice | None:
    return None if text is None else kind(text)


def _place(id: str) -> str:
    """Where a job is; JobNotFound for what cannot be an id, and might lead elsewhere."""
    if not is_id(id):
        raise JobNotFound(id)
    return f"/api/jobs/{id}"
