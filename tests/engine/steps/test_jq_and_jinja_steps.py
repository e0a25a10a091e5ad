from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from engine.errors import StepFailed
from engine.models.flow import TemplateReference


@pytest.mark.parametrize(
    ("output", "program", "value"),
    [
        ("auto", ".n[]", [1, 2]),
        ("auto", ".n[0]", 1),
        ("auto", ".n", [1, 2]),
        ("auto", "empty", None),
        ("first", ".n[]", 1),
        ("first", "empty", None),
        ("all", ".n[]", [1, 2]),
        ("all", ".n[0]", [1]),
        ("all", "empty", []),
    ],
)
def test_jq_gives_one_result_or_a_list(fake_run: Any, read_step: Any, output: str, program: str, value: Any) -> None:
    assert read_step("jq", expression=program, output=output).options.run(fake_run({"n": [1, 2]})) == value


def test_jq_sees_the_input_under_the_data(fake_run: Any, read_step: Any) -> None:
    run = fake_run({"__input__": {"a": "input", "b": "input"}, "a": "data"})

    assert read_step("jq", expression="[.a, .b]").options.run(run) == ["data", "input"]


def test_jq_with_a_dot_sees_the_data_alone(fake_run: Any, read_step: Any) -> None:
    run = fake_run({"__input__": {"b": 1}, "a": 2})

    assert read_step("jq", expression="keys", data_key=".").options.run(run) == ["__input__", "a"]


def test_jq_sees_what_is_at_its_data_key(fake_run: Any, read_step: Any) -> None:
    assert read_step("jq", expression=".[0]", data_key="n").options.run(fake_run({"n": [7]})) == 7


def test_jinja_renders_a_template_from_a_file_or_in_place(fake_run: Any, read_step: Any) -> None:
    run = fake_run({"name": "x"}, templates={"a.j2": "file {{ name }}\n"})

    assert read_step("jinja", path="a.j2").options.run(run) == "file x\n"
    assert read_step("jinja", template="here {{ name }}").options.run(run) == "here x"


def test_jinja_shows_its_data_under_data_and_by_its_keys(fake_run: Any, read_step: Any) -> None:
    run = fake_run({"payload": {"name": "inner"}, "name": "outer", "other": "o"})
    step = read_step("jinja", template="{{ name }} {{ data.name }} {{ other }} {{ payload.name }}", data_key="payload")

    assert step.options.run(run) == "inner inner o inner"


def test_jinja_shows_a_list_under_data(fake_run: Any, read_step: Any) -> None:
    step = read_step("jinja", template="{% for t in data %}{{ t }},{% endfor %}", data_key="tickets")

    assert step.options.run(fake_run({"tickets": [1, 2]})) == "1,2,"


@pytest.mark.parametrize(("parse", "template"), [("json", '{"a": {{ n }}}'), ("yaml", "a: {{ n }}\n")])
def test_jinja_can_read_what_it_renders(fake_run: Any, read_step: Any, parse: str, template: str) -> None:
    assert read_step("jinja", template=template, parse=parse).options.run(fake_run({"n": 1})) == {"a": 1}


def test_jinja_says_when_what_it_renders_cannot_be_read(fake_run: Any, read_step: Any) -> None:
    run = fake_run({}, templates={"a.j2": "{"})

    with pytest.raises(StepFailed, match=r"what template 'a.j2' renders is not JSON: line 1"):
        read_step("jinja", path="a.j2", parse="json").options.run(run)


@pytest.mark.parametrize("options", [{}, {"path": "a.j2", "template": "x"}])
def test_jinja_needs_one_source(read_step: Any, options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="give either path"):
        read_step("jinja", **options)


def test_jinja_refers_to_its_file(read_step: Any) -> None:
    assert list(read_step("jinja", path="a.j2").options.references()) == [TemplateReference("a.j2")]
    assert list(read_step("jinja", template="x").options.references()) == []
