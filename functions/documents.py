"""Documents: what FLOWS_PATH holds, all that is known of one, what is wrong with a text; and a launch of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import Busy, FlowNotFound, PathRefused
from engine.models.access import Role
from engine.models.document_view import document_json, document_summary_json, look_json
from functions._answers import Accepted, Done, Found
from functions._http import operation
from functions.jobs import NOT_LAUNCHED, launched

if TYPE_CHECKING:
    from engine.models import answers
    from engine.models.audit import Change
    from engine.models.once import Once
    from engine.models.requests import GivenInputs, ValidateDocument
    from engine.orchestrator import Orchestrator
    from functions._queries import LaunchOptions, ListDocuments

NOT_LOOKED_AT = (FlowNotFound, PathRefused, Busy)


@operation("POST", "/api/validate", role=Role.VIEWER, errors=NOT_LOOKED_AT)
def validate_document(engine: Orchestrator, body: ValidateDocument) -> answers.Validation:
    """What is wrong with a document. A text is checked as if it were there, and nothing of it is kept.

    A document with problems is an answer like any other: 200 with `valid` false.
    """
    return look_json(engine.validate(body.text, body.path))


@operation("GET", "/api/documents", role=Role.VIEWER)
def list_documents(engine: Orchestrator, query: ListDocuments) -> answers.DocumentPage:
    """A page of the documents below FLOWS_PATH, by path. They are not checked for that."""
    from engine.models.document import DocumentFilter

    found = engine.documents(DocumentFilter(query.q, query.glob, query.limit + 1, query.offset))
    page: answers.DocumentPage = {
        "documents": [document_summary_json(each, engine.settings.timezone) for each in found[: query.limit]],
        "limit": query.limit,
        "offset": query.offset,
        "next": query.offset + query.limit if len(found) > query.limit else None,
    }
    if query.count:
        page["total"] = engine.count_documents(DocumentFilter(query.q, query.glob))
    return page


@operation("GET", "/api/documents/<document:path>", role=Role.VIEWER, errors=NOT_LOOKED_AT)
def get_document(engine: Orchestrator, path: str) -> Found[answers.Document]:
    """A document, also one with problems: its text, what is wrong with it, its schedules and last jobs."""
    return Found(document_json(engine.document(path), engine.settings.timezone))


@operation("POST", "/api/documents/<path:path>/launch", role=Role.OPERATOR, status=202, errors=NOT_LAUNCHED)
def launch_document(
    engine: Orchestrator,
    path: str,
    query: LaunchOptions,
    body: GivenInputs,
    change: Change,
    wait: int,
    once: Once | None,
    up: str,
) -> Accepted[answers.Launched] | Done[answers.Job]:
    """Start a document with these inputs and answer at once with its job id. With the whole job once it has ended:
    where the caller waits for it, and where jobs run inline.

    With a token, `/api/openapi.json` has an operation like this for each document that declares its `inputs`.
    """
    job_id = engine.made_before(once) or engine.launch(
        path, dict(body), timeout_seconds=query.timeout_seconds, priority=query.priority, change=change, once=once
    )
    return launched(engine, job_id, up, wait)
