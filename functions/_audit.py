"""What the audit is to say of a request: who asks for what, and from where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from functions._caller import address_of

if TYPE_CHECKING:
    import flask

    from engine.models.access import Access
    from engine.models.audit import Change
    from engine.models.requests import RequestBody


def change_of(
    action: str, access: Access, request: flask.Request, in_path: Mapping[str, str], body: RequestBody | None
) -> Change:
    """The change that is asked for; what it is about stands in the path, else in the body, else in the query."""
    from engine.models.audit import Change

    named = (*in_path.values(), getattr(body, "path", None), getattr(body, "name", None))
    target = next(filter(None, named), None) or request.query_string.decode("utf-8", "replace") or None
    return Change(access.name, access.role, action, target, address=address_of(request))


def as_made(change: Change, answer: Mapping[str, Any]) -> Change:
    """The same with the id of what was made, which an answer has first; what was named by its id gets its path."""
    id = next((value for name, value in answer.items() if name.endswith("_id")), None)
    path = answer.get("path")
    if id != change.target:
        return replace(change, result_id=id)
    return change if path is None else replace(change, target=path, result_id=id)
