"""A service that is asked over HTTP; what it answers is JSON, or an error of one sentence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from engine.errors import (
    Conflict,
    Denied,
    DocumentInvalid,
    FlowRunning,
    NotFound,
    OctoflowError,
    RequestInvalid,
    Unauthenticated,
    Unavailable,
)
from engine.models.problem import Problem
from engine.settings import Settings

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

Object = Mapping[str, Any]

CONNECT_SECONDS, ANSWER_SECONDS = 10, 60


def named_service() -> Service | None:
    """The service that OCTOFLOW_URL names; None when it names none."""
    settings = Settings.from_environment()
    if not settings.octoflow_url:
        return None
    return Service(settings.octoflow_url, settings.octoflow_token or settings.api_token)


class Service:
    """The service at a URL, which sees this token."""

    def __init__(self, url: str, token: str) -> None:
        import requests

        self._url = url
        self._token = token
        self._session = requests.Session()

    def ask(
        self,
        method: str,
        place: str,
        gives: str | tuple[str, ...],
        query: Mapping[str, Any] | None = None,
        body: Object | None = None,
        headers: Mapping[str, str] | None = None,
        wait_seconds: int = 0,
    ) -> Object:
        """What is answered at a path: an object that has what it is asked for, or one of these. Raises OctoflowError.

        The service may take `wait_seconds` longer than it does else.
        """
        import requests

        try:
            response = self._session.request(
                method,
                f"{self._url}{place}",
                params=query,
                json=body,
                headers=headers,
                auth=self._sign,
                timeout=(CONNECT_SECONDS, ANSWER_SECONDS + wait_seconds),
                allow_redirects=False,
            )
        except (requests.RequestException, ValueError) as error:
            raise Unavailable(f"The service at {self._url} cannot be reached: {_cause(error)}.") from error
        return self._read(response, (gives,) if isinstance(gives, str) else gives)

    def close(self) -> None:
        """Let go of everything."""
        self._session.close()

    def _sign(self, request: PreparedRequest) -> PreparedRequest:
        """Put the token in; were it a plain header, an entry in ~/.netrc would replace it."""
        request.headers["Authorization"] = f"Bearer {self._token}".encode()  # type: ignore[assignment]
        return request

    def _read(self, response: Response, gives: tuple[str, ...]) -> Object:
        try:
            value = response.json()
        except (ValueError, RecursionError):
            value = None
        if response.ok and isinstance(value, dict) and any(name in value for name in gives):
            return value
        if not isinstance(value, dict) or not isinstance(value.get("error"), str):
            status = response.status_code
            raise Unavailable(f"What answers at {self._url} ({status}) is no Octoflow; look at OCTOFLOW_URL.")
        raise self._refusal(response.status_code, value["error"], value)

    def _refusal(self, status: int, sentence: str, answer: Object) -> OctoflowError:
        """The error that the service tells of, with all it says of it."""
        match answer:
            case {"code": FlowRunning.code, "job_id": str(id)}:
                return FlowRunning(id)
            case {"code": DocumentInvalid.code, "path": str(path), "details": [*told]} if problems := _problems(told):
                return DocumentInvalid(path, problems)
            case {"code": RequestInvalid.code, "details": [*told]}:
                return RequestInvalid(sentence, details=_wrong_fields(told))
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


def is_id(text: str) -> bool:
    """Whether this can be an id; what cannot might lead to another place."""
    return re.fullmatch(r"[\w-]+", text, re.ASCII) is not None


def _problems(told: list[Any]) -> list[Problem]:
    """The problems of a document that an answer's `details` are."""
    found = []
    for each in told:
        match each:
            case {
                "code": str(code),
                "message": str(message),
                "line": int() | None as line,
                "hint": str() | None as hint,
            }:
                found.append(Problem(code, message, line=line, hint=hint))
    return found


def _wrong_fields(told: list[Any]) -> list[dict[str, Any]]:
    """The fields that an answer's `details` name, each with what is wrong with it."""
    found = []
    for each in told:
        match each:
            case {"field": str(field), "message": str(message)}:
                found.append({"field": field, "message": message})
    return found


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
