"""Which expressions a document holds, where they stand, and what their faults are to its author."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from pydantic import Field

from engine.catalog import Catalog
from engine.checking import Checker
from engine.checking.expressions import Source, _fields
from engine.checking.structure import read_flow
from engine.errors import DocumentInvalid
from engine.models.expression import Fault, Language
from engine.models.flow import Document
from engine.models.problem import Problem
from engine.settings import Settings
from engine.steps import CommonKeys, step_types


class Verdicts:
    """Finds the fault in whatever has one of these texts."""

    def __init__(self, *faulty: str, doubt: str | None = None) -> None:
        self.faulty = faulty
        self.doubt = doubt
        self.asked: list[list[str]] = []

    def problems(self, sources: Sequence[Source]) -> tuple[dict[str, list[Problem]], str | None]:
        self.asked.append([source.document.path for source in sources])
        found = {}
        for source in sources:
            codes = {each.code for each in source.expressions() if each.code[1] in self.faulty}
            found[source.document.revision] = source.problems({code: Fault("is faulty", "mend it") for code in codes})
        return found, self.doubt


def source_of(steps: str, **templates: str) -> Source:
    text = f"steps:\n{steps}"
    return Source(Document("f.yml", text, "r"), read_flow("f.yml", text), templates)


def found_in(steps: str, **templates: str) -> dict[str, tuple[Language, str]]:
    return {".".join(map(str, each.place[2:])): each.code for each in source_of(steps, **templates).expressions()}


def faults_in(steps: str, **templates: str) -> list[Problem]:
    source = source_of(steps, **templates)
    return source.problems({each.code: Fault("is faulty") for each in source.expressions()})


# What is collected


@pytest.mark.parametrize("name", step_types())
def test_every_option_that_says_it_is_an_expression_is_one(name: str) -> None:
    options = step_types()[name]
    marked = {option for option, mark in _fields(options).items() if mark is not None}

    said = {
        option
        for option, field in options.model_fields.items()
        if "Jinja" in (field.description or "") or "jq program" in (field.description or "")
    }

    assert said - {"body"} <= marked
    assert marked - said <= {"template", "body"}


def test_the_common_keys_hold_conditions_and_a_program() -> None:
    marks = {name: mark.language for name, mark in _fields(CommonKeys).items() if mark is not None}

    assert marks == {"when": Language.CONDITION, "jq_expression": Language.JQ}


def test_an_option_of_a_new_step_type_only_needs_its_mark() -> None:
    from pydantic import BaseModel

    from engine.models.expression import JinjaText, JqProgram

    class Fresh(BaseModel):
        plain: str = ""
        text: JinjaText = Field(min_length=1)
        maybe: JqProgram | None = None

    marks = {name: mark and mark.language for name, mark in _fields(Fresh).items()}

    assert marks == {"plain": None, "text": Language.TEMPLATE, "maybe": Language.JQ}


def test_each_language_is_found_where_it_stands() -> None:
    found = found_in(
        """
- name: a
  type: rest
  when: [n > 1, true, "{{ n }}"]
  jq_expression: .result
  rest:
    uri: "http://x/{{ id }}"
    headers: {A: "{{ a }}", B: plain}
    query: '{"q": "{{ q }}"}'
    body: '{"list": [1, "{{ b }}"]}'
- {name: b, type: jq, jq: {expression: .}}
- {name: c, type: sleep, sleep: {seconds: "{{ s }}"}}
- {name: d, type: set_fact, set_fact: {value: {"{{ key }}": [{deep: "{{ v }}"}]}}}
"""
    )

    assert found == {
        "when.0": (Language.CONDITION, "n > 1"),
        "when.2": (Language.CONDITION, "{{ n }}"),
        "jq_expression": (Language.JQ, ".result"),
        "rest.uri": (Language.TEMPLATE, "http://x/{{ id }}"),
        "rest.headers.A": (Language.VALUE, "{{ a }}"),
        "rest.query": (Language.VALUE, '{"q": "{{ q }}"}'),
        "rest.body.list.1": (Language.VALUE, "{{ b }}"),
        "jq.expression": (Language.JQ, "."),
        "sleep.seconds": (Language.VALUE, "{{ s }}"),
        "set_fact.value.{{ key }}.0.deep": (Language.VALUE, "{{ v }}"),
    }


def test_steps_inside_steps_are_looked_at_at_any_depth() -> None:
    found = found_in(
        """
- name: sw
  type: switch
  switch:
    data_key: .
    cases:
    - when: "{{ a pattern }}"
      step:
        type: switch
        switch: {data_key: ., cases: [{when: x, step: {type: exit, when: n, exit: {message: "{{ m }}"}}}]}
    default: {type: jq, jq: {expression: .d}}
"""
    )

    assert found == {
        "switch.cases.0.step.switch.cases.0.step.when.0": (Language.CONDITION, "n"),
        "switch.cases.0.step.switch.cases.0.step.exit.message": (Language.TEMPLATE, "{{ m }}"),
        "switch.default.jq.expression": (Language.JQ, ".d"),
    }


@pytest.mark.parametrize("condition", ["no", "''", "' FALSE '", "1", "null", "[]"])
def test_what_means_itself_is_no_expression(condition: str) -> None:
    assert found_in(f"- {{name: a, type: debug, when: {condition}}}") == {}
    assert found_in("- {name: a, type: file, file: {path: a.txt}}\n- {name: b, type: exit}") == {}


def test_a_template_file_is_part_of_the_step_that_names_it() -> None:
    found = found_in("- {name: a, type: jinja, jinja: {path: t.j2}}", **{"t.j2": "{{ x }}"})

    assert found == {"jinja.path": (Language.TEMPLATE, "{{ x }}")}


def test_the_steps_that_are_in_order_are_looked_at_beside_those_that_are_not() -> None:
    assert found_in("- {name: a, type: goto}\n- {name: b, type: jq, jq: {expression: .}}") == {
        "jq.expression": (Language.JQ, ".")
    }


# What a fault is


def test_a_fault_is_told_with_its_step_its_option_and_its_place() -> None:
    [condition, program] = faults_in(
        "- name: a\n  type: jq\n  when: 'n >'\n  jq:\n    data_key: .\n    expression: |\n      .a\n      | [\n"
    )

    assert (condition.path, condition.line, condition.column) == ("steps.0.when", 4, 3)
    assert (program.path, program.line, program.column) == ("steps.0.jq.expression", 7, 5)
    assert program.message == "step 'a': jq.expression: is faulty"
    assert (program.code, program.severity) == ("expression", "error")


def test_a_fault_in_a_json_text_is_told_at_the_text() -> None:
    [problem] = faults_in('- name: a\n  type: rest\n  rest:\n    uri: http://x\n    body: \'{"a": "{{ b"}\'\n')

    assert (problem.path, problem.line) == ("steps.0.rest.body", 6)
    assert problem.message == "step 'a': rest.body: is faulty"


def test_a_fault_in_a_template_names_the_file() -> None:
    [problem] = faults_in("- {name: a, type: jinja, jinja: {path: t.j2}}", **{"t.j2": "{{ x"})

    assert problem.path == "steps.0.jinja.path"
    assert problem.message == "step 'a': template 't.j2': is faulty"


def test_a_text_that_stands_in_two_places_is_told_at_both() -> None:
    problems = faults_in("- {name: a, type: debug, when: 'x('}\n- {name: b, type: debug, when: ['y', 'x(']}")

    assert [problem.path for problem in problems] == ["steps.0.when", "steps.1.when.0", "steps.1.when.1"]


def test_a_hundred_faults_are_enough() -> None:
    steps = "".join(f"- {{name: s{n}, type: debug, when: 'x('}}\n" for n in range(300))

    assert len(faults_in(steps)) == 100


# A whole document


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for folder in ("flows", "templates"):
        (tmp_path / folder).mkdir()
    (tmp_path / "flows" / "main.yml").write_text(
        "steps:\n"
        "- {name: mine, type: debug, when: MAIN}\n"
        "- {name: call, type: flow, flow: {path: sub.yml}}\n"
        "- {name: again, type: flow, flow: {path: ./sub.yml}}\n"
    )
    (tmp_path / "flows" / "sub.yml").write_text(
        "steps:\n- {name: s, type: jq, jq: {expression: SUB}}\n- {name: t, type: jinja, jinja: {path: t.j2}}\n"
    )
    (tmp_path / "templates" / "t.j2").write_text("{{ TEMPLATE }}")
    return tmp_path


def checker(data: Path, verdicts: Verdicts) -> Checker:
    return Checker(Catalog.from_settings(Settings(data_path=data)), verdicts=verdicts)


def refused(made: Checker, path: str = "main.yml") -> list[Problem]:
    with pytest.raises(DocumentInvalid) as caught:
        made.document(path)
    return caught.value.problems


def test_a_faulty_expression_makes_a_document_invalid(data: Path) -> None:
    [problem] = refused(checker(data, Verdicts("MAIN")))

    assert (problem.line, problem.path, problem.hint) == (2, "steps.0.when", "mend it")


def test_a_fault_in_a_sub_flow_is_told_where_it_is_called_and_once(data: Path) -> None:
    problems = refused(checker(data, Verdicts("SUB", "{{ TEMPLATE }}")))

    assert [problem.line for problem in problems] == [3, 3]
    assert problems[0].message == "sub-flow 'sub.yml', line 2: step 's': jq.expression: is faulty"
    assert problems[1].message == "sub-flow 'sub.yml', line 3: step 't': template 't.j2': is faulty"


def test_faults_are_told_together_with_all_else_that_is_wrong_by_line(data: Path) -> None:
    with (data / "flows" / "main.yml").open("a") as main:
        main.write("- {name: wrong, type: jq, jq: {expresion: .}}\n- {name: lost, type: debug, when: LAST}\n")

    problems = refused(checker(data, Verdicts("MAIN", "SUB", "LAST")))

    assert [(problem.code, problem.line) for problem in problems] == [
        ("expression", 2),
        ("expression", 3),
        ("missing_key", 5),
        ("unknown_key", 5),
        ("expression", 6),
    ]


def test_a_document_in_order_is_asked_about_once(data: Path) -> None:
    verdicts = Verdicts()
    made = checker(data, verdicts)

    assert made.document("main.yml") is made.document("main.yml")

    assert verdicts.asked == [["main.yml", "sub.yml"]]


def test_a_verdict_that_is_not_final_refuses_nothing_and_is_asked_for_again(data: Path) -> None:
    verdicts = Verdicts(doubt="No process.")
    made = checker(data, verdicts)

    made.document("main.yml")
    made.document("main.yml")

    assert len(verdicts.asked) == 2


def test_who_asks_for_problems_hears_that_nothing_was_compiled(data: Path) -> None:
    text = (data / "flows" / "main.yml").read_text()

    [problem] = checker(data, Verdicts(doubt="No process.")).look("main.yml", text).problems

    assert (problem.code, problem.severity) == ("not_compiled", "warning")
    assert checker(data, Verdicts()).look("main.yml", text).problems == ()
    assert [each.code for each in checker(data, Verdicts("MAIN")).look("main.yml", text).problems] == ["expression"]
