"""Whatever a document says, checking answers and never fails."""

from __future__ import annotations

import yaml
from any_documents import DOCUMENTS
from hypothesis import given, settings

from engine.checking import check_flow


@settings(max_examples=400, deadline=None)
@given(DOCUMENTS)
def test_any_document_is_a_flow_or_has_problems_with_lines(value: object) -> None:
    flow, problems = check_flow("f.yml", yaml.safe_dump(value))

    assert (flow is not None) != any(problem.severity == "error" for problem in problems)
    for problem in problems:
        assert problem.line
        assert problem.message
        assert not problem.message.endswith(": ")
