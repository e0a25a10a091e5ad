"""Jinja and jq: an expression's text and data in, JSON out. Compiled once, kept, and bounded where bounds are cheap.

Compiling an expression is running it (both languages fold constants), and jq neither lets other threads run nor
survives running out of memory: but for `is_code`, nothing here may be called in the web process, only in a job's own.
What gets past these bounds meets the limits of that process, and costs its own job only.
"""

from __future__ import annotations

from engine.templating.compiling import fault_of, is_code
from engine.templating.errors import ExpressionError
from engine.templating.jinja import condition, evaluate, evaluate_condition, holds, render, render_value, warm
from engine.templating.names import Names
from engine.templating.queries import jq_all

__all__ = [
    "ExpressionError",
    "Names",
    "condition",
    "evaluate",
    "evaluate_condition",
    "fault_of",
    "holds",
    "is_code",
    "jq_all",
    "render",
    "render_value",
    "warm",
]
