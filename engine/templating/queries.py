"""Runs jq programs; each text is checked and compiled once."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from itertools import islice
from typing import Any

from engine.models.job import Json
from engine.templating.errors import ExpressionError, excerpt
from engine.templating.jq_guard import refuse_reach

MAX_RESULTS = 1_000_000
"""The most results one program gives; `repeat(1)` would not end."""
LONG_NUMBER = re.compile(r"[1-9]\d{15}")
"""jq computes with doubles: whole numbers of 16 digits and more need care to come out as they went in."""


def jq_all(expression: str, value: Json) -> list[Json]:
    """Every result of the program on the value; ExpressionError with jq's own words when it fails.

    Whole numbers over 2**53 that the program only moves stay exact; those it computes with are rounded by jq.
    """
    text = _json_text(value)
    exact = LONG_NUMBER.search(text) is not None
    try:
        program = _exact_program(expression) if exact else _program(expression)
        results = list(islice(program.input_text(text), MAX_RESULTS + 1))
        if len(results) > MAX_RESULTS:
            raise ExpressionError(f"more than {MAX_RESULTS} results")
        return [json.loads(result) for result in results] if exact else results
    except (ValueError, RecursionError) as error:
        raise _failure(error, expression) from error


def must_compile(expression: str) -> None:
    """ExpressionError with jq's own words when the program does not compile."""
    try:
        _program(expression)
    except ValueError as error:
        raise _failure(error, expression) from error


def _json_text(value: Json) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except (ValueError, TypeError, RecursionError) as error:
        raise ExpressionError(f"the data is not JSON: {error}") from error


@lru_cache(maxsize=512)
def _program(expression: str) -> Any:
    import jq

    refuse_reach(expression)
    return jq.compile(expression)


@lru_cache(maxsize=512)
def _exact_program(expression: str) -> Any:
    """The same program with results as JSON texts, in which jq keeps the digits of numbers it has not touched."""
    import jq

    _program(expression)  # Its error shows the text as it was written.
    return jq.compile(f"({expression}\n) | tojson") if expression.strip() else jq.compile("tojson")


def _failure(error: Exception, expression: str) -> ExpressionError:
    reason = str(error) if isinstance(error, ExpressionError) else _reason(error)
    return ExpressionError(f"{reason} (in `{excerpt(expression)}`)")


def _reason(error: Exception) -> str:
    """jq's message on one line, without the picture of the program and the count of errors."""
    if isinstance(error, RecursionError):
        return "the result is nested too deeply"
    lines = str(error).splitlines() or ["jq gives no reason"]
    kept = [line.rstrip(":") for line in lines if not line.startswith(("    ", "jq: 1 ", "jq: 2 "))]
    return "; ".join(kept or lines).replace("jq: error: ", "").replace(" at <top-level>", "")
