"""How documents are shown: JSON, the same in an answer and on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.models import answers
    from engine.models.document import Look
    from engine.models.outline import Outline
    from engine.models.problem import Problem


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
