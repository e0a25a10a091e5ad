"""Two ways to the jobs with the same verbs: a service over HTTP, or the data folder of this machine.

What they give is JSON as the API answers it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from engine.cli.opening import open_engine
from engine.errors import (
    Conflict,
    Denied,
    JobNotFound,
    NotFound,
    OctoflowError,
    RequestInvalid,
    Unauthenticated,
    Unavailable,
)
from engine.models.job import JobFilter, State, Status
from engine.models.times import format_time, parse_time
from engine.settings import Settings

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

Object = dict[str, Any]
Choice = TypeVar("Choice", State, Status)

CONNECT_SECONDS, ANSWER_SECONDS = 10, 60
LOG_PAGE = 1000


class JobClient(Protocol):
    """The verbs. What cannot be done is an OctoflowError of one sentence."""

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
    settings = Settings.from_environment()
    if settings.octoflow_url:
        return ServiceClient(settings.octoflow_url, settings.octoflow_token or settings.api_token)
    return FolderClient()


class FolderClient:
    """The jobs of the data folder; whichever service runs them hears of a cancel through its row."""

    def __init__(self) -> None:
        self._engine = open_engine(workers=0)

    def find(self, filters: Mapping[str, str], limit: int) -> list[Object]:
        found = JobFilter(
            state=_choice(State, filters.get("state")),
            status=_choice(Status, filters.get("status")),
            path=filters.get("path"),
            start_time_from=self._moment(filters.get("start_time_from")),
            limit=limit,
        )
        return [self._summary(job) for job in self._engine.jobs(found)]

    def show(self, id: str) -> Object:
        job, steps = self._engine.job(id)
        return {**self._shown(job), "steps": [self._shown(step) for step in steps]}

    def logs(self, id: str, after: int) -> tuple[list[Object], int | None]:
        lines, following = self._engine.logs(id, after, LOG_PAGE)
        return [self._shown(line) for line in lines], following

    def cancel(self, id: str) -> Object:
        job = self._engine.cancel(id)
        return {"job_id": job.id, "state": job.state}

    def delete(self, id: str) -> None:
        self._engine.delete_job(id)

    def close(self) -> None:
        self._engine.close()

    def _summary(self, job: Any) -> Object:
        return {key: value for key, value in self._shown(job).items() if key not in ("data", "result")}

    def _shown(self, row: Any) -> Object:
        """A model as the API shows it: times in TIMEZONE, and how long what has an end has taken."""
        value = asdict(row)
        if "end_time" in value:
            start, end = value["start_time"], value["end_time"]
            value["duration_seconds"] = (
                None if start is None or end is None else round((end - start).total_seconds(), 3)
            )
        zone = self._engine.settings.timezone
        return {key: format_time(part, zone) if isinstance(part, datetime) else part for key, part in value.items()}

    def _moment(self, text: str | None) -> datetime | None:
        try:
            return None if text is None else parse_time(text, self._engine.settings.timezone, self._engine.clock.now())
        except ValueError as error:
            raise RequestInvalid(f"--since {error}.") from error


class ServiceClient:
    """The jobs of a service."""

    def __init__(self, url: str, token: str) -> None:
        import requests

        self._url = url
        self._token = token
        self._session = requests.Session()

    def find(self, filters: Mapping[str, str], limit: int) -> list[Object]:
        jobs: list[Object] = self._ask("GET", "", "jobs", {**filters, "limit": limit})["jobs"]
        return jobs

    def show(self, id: str) -> Object:
        return self._ask("GET", _place(id), "steps")

    def logs(self, id: str, after: int) -> tuple[list[Object], int | None]:
        page = self._ask("GET", f"{_place(id)}/logs", "next", {"after": after, "limit": LOG_PAGE})
        return page["logs"], page["next"]

    def cancel(self, id: str) -> Object:
        return self._ask("POST", f"{_place(id)}/cancel", "job_id")

    def delete(self, id: str) -> None:
        self._ask("DELETE", _place(id), "deleted")

    def close(self) -> None:
        self._session.close()

    def _ask(self, method: str, place: str, gives: str, query: Mapping[str, Any] | None = None) -> Object:
        """What is answered at a place below /api/jobs: an object that has what it is asked for."""
        import requests

        try:
            response = self._session.request(
                method,
                f"{self._url}/api/jobs{place}",
                params=query,
                auth=self._sign,
                timeout=(CONNECT_SECONDS, ANSWER_SECONDS),
                allow_redirects=False,
            )
        except (requests.RequestException, ValueError) as error:
            raise Unavailable(f"The service at {self._url} cannot be reached: {_cause(error)}.") from error
        return self._read(response, gives)

    def _sign(self, request: PreparedRequest) -> PreparedRequest:
        """Put the token in; were it a plain header, an entry in ~/.netrc would replace it."""
        request.headers["Authorization"] = f"Bearer {self._token}".encode()  # type: ignore[assignment]
        return request

    def _read(self, response: Response, gives: str) -> Object:
        try:
            value = response.json()
        except (ValueError, RecursionError):
            value = None
        if response.ok and isinstance(value, dict) and gives in value:
            return value
        if not isinstance(value, dict) or not isinstance(value.get("error"), str):
            status = response.status_code
            raise Unavailable(f"What answers at {self._url} ({status}) is no Octoflow; look at OCTOFLOW_URL.")
        raise self._refusal(response.status_code, value["error"])

    def _refusal(self, status: int, sentence: str) -> OctoflowError:
        """The error that the service tells of."""
        match status:
            case 401:
                return Unauthenticated(f"The service at {self._url} refuses the token; set OCTOFLOW_TOKEN: {sentence}")
            case 403:
                return Denied(sentence)
            case 409:
                return Conflict(sentence)
            case 404:
                return NotFound(sentence)
            case 400:
                return RequestInvalid(sentence)
            case _:
                return Unavailable(f"The service at {self._url} answers {status}: {sentence}")


def _choice(kind: type[Choice], text: str | None) -> Choice | None:
    return None if text is None else kind(text)


def _place(id: str) -> str:
    """Where a job is below /api/jobs; JobNotFound for what cannot be an id, and might lead elsewhere."""
    if not re.fullmatch(r"[\w-]+", id, re.ASCII):
        raise JobNotFound(id)
    return f"/{id}"


def _cause(error: BaseException) -> str:
    """The reason at the bottom, such as `Connection refused`; the layers above it repeat addresses and objects."""
    import requests

    if isinstance(error, requests.Timeout):
        return "no answer in time"
    reason = error
    while (inner := _below(reason)) is not None:
        reason = inner
    return str(getattr(reason, "strerror", None) or type(reason).__name__)


def _below(error: BaseException) -> BaseException | None:
    """The error that this one was made of."""
    parts = (getattr(error, "reason", None), *error.args, error.__cause__)
    return next((part for part in parts if isinstance(part, BaseException)), None)
