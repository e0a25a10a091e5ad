"""What pydantic finds wrong is said in our words: what is expected, and what was given where that is short."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.models.expectations import expectation


class Form(BaseModel):
    model_config = ConfigDict(strict=True)

    text: Annotated[str, Field(min_length=2, max_length=4)] = "abc"
    items: Annotated[list[int], Field(min_length=1, max_length=2)] = [1]
    many: Annotated[list[int], Field(min_length=2)] = [1, 2]
    count: Annotated[int | None, Field(ge=1, le=86_400)] = 1
    share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    most: Annotated[float, Field(le=1500)] = 1
    any_count: int = 1
    is_on: bool = True
    options: dict[str, int] = {}
    colour: Literal["red", "green"] = "red"


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("text", 5, "must be text, not a number"),
        ("text", None, "must be text, not null"),
        ("text", "a", "must have at least 2 characters, not 1"),
        ("text", "abcde", "must have at most 4 characters, not 5"),
        ("text", "\ud800a", "must be text that UTF-8 can carry"),
        ("items", {}, "must be a list, not an object"),
        ("items", [], "must not be empty"),
        ("items", [1, 2, 3], "must have at most 2 items, not 3"),
        ("many", [1], "must have at least 2 items, not 1"),
        ("count", 0, "must be a whole number from 1 to 86 400, not 0"),
        ("count", 86_401, "must be a whole number from 1 to 86 400, not 86401"),
        ("count", 1.5, "must be a whole number from 1 to 86 400, not 1.5"),
        ("count", "x" * 60, f"must be a whole number from 1 to 86 400, not '{'x' * 50}'"),
        ("count", [1], "must be a whole number from 1 to 86 400, not a list"),
        ("share", 0, "must be a number above 0 and below 1, not 0"),
        ("most", 1501.5, "must be a number at most 1 500, not 1501.5"),
        ("any_count", "5", "must be a whole number, not text"),
        ("is_on", 1, "must be true or false, not a number"),
        ("options", [], "must be an object, not a list"),
        ("colour", "blue", "must be 'red' or 'green', not 'blue'"),
        ("colour", ["blue"], "must be 'red' or 'green', not a list"),
    ],
)
def test_a_value_is_told_what_is_expected_of_it(name, value, sentence):
    with pytest.raises(ValidationError) as refused:
        Form(**{name: value})

    [error] = refused.value.errors()
    said = expectation(error["type"], error.get("ctx", {}), error["input"], Form.model_fields[name])
    assert said == sentence


def test_without_its_field_a_number_is_told_the_limit_that_it_broke():
    assert expectation("less_than_equal", {"le": 64}, 65, None) == "must be a number at most 64, not 65"


def test_what_has_no_sentence_here_is_left_to_pydantic():
    assert expectation("date_type", {}, 5, None) is None
