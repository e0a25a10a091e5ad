"""How an operation answers when nothing is in its way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from functions._answers import Page, Redirect
from functions._http import Operation
from functions._openapi.schemas import Schemas, is_tagged, returned

Object = dict[str, Any]

TEXT = {"schema": {"type": "string"}}
LOCATION = {"Location": {"description": "Where it is, seen from here.", "schema": {"type": "string"}}}
JOB_LOCATION = {"Location": {"description": "Where the job is, seen from here.", "schema": {"type": "string"}}}
HAVE_IT = "It is what `If-None-Match` names."
ETAG = {"ETag": {"description": "Names this very content.", "schema": {"type": "string"}}}


def _headers(operation: Operation, status: int, kind: Any) -> Iterator[tuple[str, Object]]:
    if status == 202 and kind.__name__ == "Launched":
        yield from JOB_LOCATION.items()
    if operation.takes("wait"):
        yield "Preference-Applied", {"description": "`wait=` and the seconds at most.", "schema": {"type": "string"}}
    if operation.takes("once"):
        about = "`true` when the Idempotency-Key was used before, and nothing was made this time."
        yield "Idempotent-Replayed", {"description": about, "schema": {"const": "true"}}


class Answers:
    """The answers of operations, over their schemas."""

    def __init__(self, schemas: Schemas) -> None:
        self.schemas = schemas

    def of(self, operation: Operation) -> Object:
        """Each status that means success, with what is answered then."""
        found: Object = {}
        for status, kind in returned(operation):
            if kind is Redirect:
                found[str(status)] = {"description": "It is elsewhere.", "headers": LOCATION}
            elif kind is Page:
                found[str(status)] = self._page(operation)
                found["304"] = {"description": HAVE_IT, "headers": ETAG}
            else:
                content = {"application/json": {"schema": self.schemas.answer(kind)}}
                about = kind.__doc__ or ""
                found[str(status)] = {"description": about, "content": content}
                headers = dict(_headers(operation, status, kind))
                if headers:
                    found[str(status)]["headers"] = headers
                if is_tagged(operation):
                    found[str(status)]["headers"] = ETAG
                    found["304"] = {"description": HAVE_IT, "headers": ETAG}
        return found

    @staticmethod
    def _page(operation: Operation) -> Object:
        as_json = {"schema": {"type": "object"}}
        content = {media: as_json if media == "application/json" else TEXT for media in operation.media}
        return {"description": "It is here.", "content": content, "headers": ETAG}
