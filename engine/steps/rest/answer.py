"""An answer to a step's value, or to its error."""

from __future__ import annotations

import re

from engine.errors import StepFailed
from engine.models.job import Json
from engine.steps.rest.content import is_json, media_type
from engine.steps.rest.exchange import Answer
from engine.steps.rest.request import Request

SHOWN = 200
"""So many characters of a body are in the error's message."""
SEARCHED = 10_000
"""So many are there for `ignore_errors`."""


def value_of(answer: Answer, request: Request, parse: str) -> Json:
    """The value: JSON, text, or None when the answer is empty; StepFailed when it is not 2xx or not what it says."""
    if not 200 <= answer.status < 300:
        raise _refused(answer, request)
    if answer.status == 204 or not answer.body:
        return None
    if parse == "text" or (parse == "auto" and not is_json(answer.content_type)):
        return _text(answer)
    return _json(answer, request)


def _refused(answer: Answer, request: Request) -> StepFailed:
    said = f"{request.method} {answer.host} answered {answer.status} {answer.reason}".rstrip()
    if answer.location is not None:
        return StepFailed(f"{said}, a redirect to {_place(answer.location)}; follow_redirects: true would follow it")
    body = _text(answer)
    message = f"{said}: {_shown(body)}" if body.strip() else said
    return StepFailed(message, text=f"{message}\n{answer.status}\n{body[:SEARCHED]}")


def _json(answer: Answer, request: Request) -> Json:
    from engine.reading import ReadingError, read_json

    try:
        return read_json(_text(answer, "strict"))
    except (ReadingError, UnicodeDecodeError) as error:
        type = media_type(answer.content_type) or "no type"
        said = f"{request.method} {answer.host} answered {answer.status} with {type}, which cannot be read as JSON"
        raise StepFailed(f"{said}: {error}; it begins: {_shown(_text(answer))}") from error


def _text(answer: Answer, errors: str = "replace") -> str:
    """The body in the charset that is declared, else UTF-8."""
    declared = re.search(r"charset=[\"']?([\w.:-]+)", answer.content_type, re.IGNORECASE)
    try:
        text = answer.body.decode(declared[1] if declared else "utf-8", errors)
    except (LookupError, UnicodeError):  # such as `charset=undefined`
        text = answer.body.decode("utf-8", errors)
    return text.removeprefix("\ufeff")


def _shown(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}..."


def _place(location: str) -> str:
    """Where a redirect leads, without query and fragment, which may hold a token."""
    return repr(_shown(re.split(r"[?#]", location)[0].rpartition("@")[2]))
