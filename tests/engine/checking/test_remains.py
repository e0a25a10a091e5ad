"""A step that has problems: what else can be known of it is told with them."""

from __future__ import annotations

import pytest

from engine.checking.expressions import Source
from engine.checking.structure import read_flow
from engine.models.flow import Document


def source_of(step: str) -> Source:
    text = f"steps:\n- {step}\n"
    return Source(Document("f.yml", text, "r"), read_flow("f.yml", text), {})


def problems_of(step: str) -> list[str]:
    return [f"{problem.path.removeprefix('steps.0.')} {problem.code}" for problem in source_of(step).notes.problems]


def expressions_of(step: str) -> list[str]:
    return [each.code[1] for each in source_of(step).expressions()]


COMMON = 'when: "a ==", on_error_goto: nobody, jq_expression: "{"'


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ('type: rest, rest: {uri: "http://x", bad: 1}', "rest.bad unknown_key"),
        ("type: rest, rest: {}", "rest.uri missing_key"),
        ("type: rest", "rest missing_options"),
        ("type: rest, rest: 5", "rest wrong_type"),
        ("type: rset, rset: {}", "type unknown_type"),
        ("type: debug, ignore_errors: '('", "ignore_errors wrong_value"),
        ("type: file, file: {path: out.yml, mode: write}", "file wrong_value"),
    ],
)
def test_whatever_is_wrong_its_ways_and_expressions_are_looked_at(options, told):
    step = f"{{name: a, {options}, {COMMON}}}"

    assert sorted(problems_of(step)) == sorted([told, "on_error_goto unknown_step"])
    assert expressions_of(step)[:2] == ["a ==", "{"]


@pytest.mark.parametrize(
    ("options", "expressions"),
    [
        ('rest: {uri: "{{ u", bad: 1}', ["{{ u"]),
        ('rest: {uri: 5, body: "{{ b"}', ["{{ b"]),
        ('rest: {body: "{{ b", headers: {a: "{{ h"}, authentication: {typ: basic}}', ["{{ h", "{{ b"]),
        ('file: {path: "{{ p", mode: write}', ["{{ p"]),
        (
            'switch: {cases: [{when: "["}, {step: {type: exit, exit: {message: "{{ m", code: 5}}}]}',
            ["{{ m"],
        ),
    ],
)
def test_the_options_that_are_right_are_looked_at(options, expressions):
    kind = options.partition(":")[0]

    assert expressions_of(f"{{name: a, type: {kind}, {options}}}") == expressions


def test_the_places_are_those_of_the_document():
    cases = "[{when: x}, {when: y, step: {type: goto, goto: {step_name: b}}}]"
    step = f"{{name: a, type: switch, switch: {{data_key: k, cases: {cases}}}}}"

    assert problems_of(step) == ["switch.cases.0.step missing_key", "switch.cases.1.step.goto.step_name unknown_step"]


def test_sub_flows_and_templates_are_named():
    mentions = [
        source_of("{name: a, type: flow_loop, flow_loop: {path: sub.yml, workers: 3}}").notes.mentions,
        source_of("{name: a, type: jinja, jinja: {path: t.j2, template: x}}").notes.mentions,
    ]

    assert [[mention.reference.path for mention in each] for each in mentions] == [["sub.yml"], ["t.j2"]]


@pytest.mark.parametrize("options", ["goto: {}", "flow: {}", "jinja: {path: 5, template: x}", "jq: {}"])
def test_nothing_is_said_of_what_nobody_wrote(options):
    step = f"{{name: a, type: {options.partition(':')[0]}, {options}}}"

    assert len(problems_of(step)) == 1
    assert source_of(step).notes.mentions == []


def test_the_common_keys_are_judged_where_the_type_is_wrong():
    assert problems_of("{name: a, type: rset, jq_expression: 5, when: {b: 1}}") == [
        "type unknown_type",
        "jq_expression wrong_type",
        "when wrong_type",
    ]


def test_a_step_with_costly_patterns_is_not_read_again_and_again(monkeypatch):
    from engine import steps

    cases = ", ".join(f"{{when: 'p{number}', step: {{type: debug}}}}" for number in range(101))
    read, reader = [], steps.step_reader()
    monkeypatch.setattr(steps, "step_reader", lambda: (read.append(1), reader)[1])

    assert problems_of(f"{{name: a, type: switch, switch: {{cases: [{cases}]}}}}") == ["switch.data_key missing_key"]

    assert len(read) == 1 + 101 + 1, "once as it is, with the steps inside, and once without its options"
