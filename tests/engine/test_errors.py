"""The tree of errors: as it is drawn, so it is."""

from __future__ import annotations

import re

import pytest

from engine import errors
from engine.errors import (
    Conflict,
    Denied,
    DocumentInvalid,
    FlowRunning,
    Invalid,
    JobNotFound,
    NotFound,
    OctoflowError,
    StepFailed,
    Unavailable,
)
from engine.models.problem import Problem

KINDS = (NotFound, Conflict, Invalid, Denied, Unavailable)
DRAWN = {
    kind: leaves.split() for kind, leaves in re.findall(r"^[├└]── (\w+) +(.+)$", errors.__doc__ or "", re.MULTILINE)
}
DEFINED = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, OctoflowError)]


def test_the_drawing_names_the_five_kinds():
    assert list(DRAWN) == [kind.__name__ for kind in KINDS]


@pytest.mark.parametrize("kind", KINDS)
def test_every_leaf_is_drawn_below_its_kind_and_every_drawn_leaf_is_there(kind):
    assert {leaf.__name__ for leaf in kind.__subclasses__() if leaf.__module__ == errors.__name__} == set(
        DRAWN[kind.__name__]
    )


def test_every_error_belongs_to_one_kind():
    strays = [kind for kind in DEFINED if kind is not OctoflowError and sum(issubclass(kind, k) for k in KINDS) != 1]

    assert strays == []


def test_every_error_has_a_code_of_its_own():
    codes = [kind.__dict__.get("code") for kind in DEFINED]

    assert None not in codes
    assert len(set(codes)) == len(codes)
    assert [code for code in codes if not re.fullmatch(r"[a-z]+(_[a-z]+)*", code)] == []


@pytest.mark.parametrize("kind", DEFINED)
def test_every_error_says_what_it_is_for(kind):
    assert re.fullmatch(r"[^\n]+[.]", (kind.__doc__ or "").partition("\n")[0])


def test_an_error_is_its_sentence_with_details_and_fields():
    error = NotFound("It is not there.", details=[{"a": 1}], job_id="j")

    assert (str(error), error.message, error.details, error.fields) == (
        "It is not there.", "It is not there.", [{"a": 1}], {"job_id": "j"},
    )  # fmt: skip
    assert (NotFound("x").details, NotFound("x").fields) == ([], {})


def test_a_job_that_is_not_there_is_named():
    assert str(JobNotFound("j-1")) == "There is no job 'j-1'."


def test_a_running_flow_names_its_job():
    error = FlowRunning("j-1")

    assert str(error) == "A job for this flow is already running."
    assert error.fields == {"job_id": "j-1"}


def test_an_invalid_document_tells_its_first_problem_and_lists_all():
    problems = [Problem("a", "no name", line=3), Problem("b", "no steps")]

    error = DocumentInvalid("f.yml", problems)

    assert str(error) == "f.yml, line 3: no name (and 1 more)"
    assert [detail["code"] for detail in error.details] == ["a", "b"]
    assert error.problems == problems
    assert str(DocumentInvalid("f.yml", problems[1:])) == "f.yml: no steps"


def test_a_failed_step_is_searched_in_its_text_and_read_as_its_sentence():
    plain, rich = StepFailed("no answer"), StepFailed("no answer", text="no answer 503", value=[1])

    assert (str(plain), plain.text, plain.value) == ("no answer", "no answer", None)
    assert (str(rich), rich.text, rich.value) == ("no answer", "no answer 503", [1])
    assert not isinstance(plain, OctoflowError)
