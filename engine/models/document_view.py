"""How documents are shown: JSON, the same in an answer and on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.models.job_view import job_summary_json
from engine.models.schedule_view import schedule_json
from engine.models.times import format_time

if TYPE_CHECKING:
    from datetime import tzinfo

    from engine.models import answers
    from engine.models.document import DocumentView, ListedDocument, Look
    from engine.models.outline import Outline
    from engine.models.problem import Problem


def document_json(document: DocumentView, zone: tzinfo) -> answers.Document:
    """A document with all that is known of it."""
    return {
        "path": document.path,
        "text": document.text,
        "revision": document.look.revision,
        **look_json(document.look),
        "next_run_time": format_time(document.next_due, zone),
        "schedules": [schedule_json(schedule, zone) for schedule in document.schedules],
        "jobs": [job_summary_json(job, zone) for job in document.jobs],
    }


def document_summary_json(document: ListedDocument, zone: tzinfo) -> answers.DocumentSummary:
    """A document as it stands in a list."""
    job = document.last_job
    return {
        "path": document.path,
        "name": document.name,
        "description": document.description,
        "is_readable": document.is_readable,
        "is_scheduled": document.is_scheduled,
        "next_run_time": format_time(document.next_due, zone),
        "last_job": None
        if job is None
        else {
            "job_id": job.id,
            "state": job.state,
            "status": job.status,
            "queued_time": format_time(job.queued_time, zone),
            "end_time": format_time(job.end_time, zone),
        },
    }


def look_json(look: Look) -> answers.Validation:
    """What is wrong with a document, and its outline."""
    return {
        "valid": look.is_valid,
        "problems": [problem_json(problem) for problem in look.problems],
        "outline": None if look.outline is None else outline_json(look.outline),
    }


def problem_json(problem: Problem) -> answers.Problem:
    """One thing that is wrong."""
    return {
        "path": problem.path,
        "line": problem.line,
        "column": problem.column,
        "code": problem.code,
        "message": problem.message,
        "hint": problem.hint,
        "severity": problem.severity,
    }


def outline_json(outline: Outline) -> answers.Outline:
    """What can be drawn of a flow."""
    return {
        "name": outline.name,
        "description": outline.description,
        "inputs": [dict(each) for each in outline.inputs],
        "steps": [
            {
                "name": step.name,
                "type": step.type,
                "line": step.line,
                "when": list(step.when),
                "leads_to": list(step.leads_to),
                "sub_flows": list(step.sub_flows),
                "templates": list(step.templates),
            }
            for step in outline.steps
        ],
        "finally_step": outline.finally_step,
        "max_concurrent": outline.max_concurrent,
        "is_cut": outline.is_cut,
    }
