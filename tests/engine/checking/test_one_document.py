"""One document by itself: every problem, each with its place and a way out."""

from __future__ import annotations

import re
import sys
from textwrap import dedent

import pytest

from engine.checking import check_flow, parse_flow
from engine.errors import DocumentInvalid
from engine.models.problem import Problem

GOOD = """\
name: Process tickets
description: What it does
finally_step: write
max_concurrent: 3
cron: "0 * * * *"
inputs:
  - {name: since, description: From when on, default: yesterday}
steps:
  - name: fetch
    type: rest
    rest:
      uri: https://x.example/{{ since }}
      headers: {Accept: application/json}
    when: "tickets | length > 0"
    ignore_errors: ["40[34]"]
    result_key: tickets
    jq_expression: .result
  - name: decide
    type: goto
    goto: {step_name: "{{ where }}"}
    on_error_goto: __end__
  - name: write
    type: file
    file: {path: out.yml, mode: write, data_key: "."}
"""


def problems_of(text: str) -> list[Problem]:
    flow, problems = check_flow("f.yml", dedent(text))
    assert (flow is None) == any(problem.severity == "error" for problem in problems)
    return problems


def only_problem_of(text: str) -> Problem:
    problems = problems_of(text)
    assert len(problems) == 1, problems
    return problems[0]


def test_a_good_flow_is_read_whole() -> None:
    flow = parse_flow("f.yml", GOOD)

    assert (flow.name, flow.finally_step, flow.max_concurrent) == ("Process tickets", "write", 3)
    assert [(each.name, each.default, each.is_required) for each in flow.inputs] == [("since", "yesterday", False)]
    assert [(step.name, step.type, step.result_key) for step in flow.steps] == [
        ("fetch", "rest", "tickets"),
        ("decide", "goto", "decide"),
        ("write", "file", "write"),
    ]
    assert flow.steps[0].when == ("tickets | length > 0",)
    assert flow.steps[0].ignore_errors == (re.compile("40[34]"),)
    assert check_flow("f.yml", GOOD) == (flow, [])


def test_a_flow_without_a_name_is_called_after_its_file() -> None:
    assert parse_flow("team/nightly.yml", "steps: [{name: a, type: exit, exit: {message: x}}]").name == "nightly"


def test_an_unlimited_flow_has_no_limit() -> None:
    text = "max_concurrent: unlimited\nsteps: [{name: a, type: sleep, sleep: {seconds: 1}}]"

    assert parse_flow("f.yml", text).max_concurrent == 0


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("", "the document is empty", 1),
        ("# only a comment\n", "the document is empty", 1),
        ("- a", "the document is a list; a flow is an object", 1),
        ("text", "the document is text", 1),
        ("42", "the document is a number", 1),
        ("true", "the document is true or false", 1),
        ("name: x", "steps is missing", 1),
        ("name: x\nsteps:", "steps must be a list of at least one step, not null", 2),
        ("name: x\nsteps: []", "not an empty list", 2),
        ("name: x\nsteps: {a: 1}", "not an object", 2),
        ("name: x\nsteps: [a]", "step 1 is text; a step is an object with name and type", 2),
        ("name: x\ntasks: []", "batches are not supported yet", 2),
        ("name: [", "not valid YAML", 1),
        ("name: x\nname: y", "is here a second time", 2),
    ],
)
def test_what_is_no_flow_is_one_clear_problem(text: str, message: str, line: int) -> None:
    problem = only_problem_of(text)

    assert message in problem.message
    assert problem.line == line


STEP = "steps: [{name: a, type: sleep, sleep: {seconds: 1}}]\n"


@pytest.mark.parametrize(
    ("text", "path", "message", "hint"),
    [
        ("timeout_seconds: 5", "timeout_seconds", "not a known key", "with the launch or the schedule"),
        ("nmae: x", "nmae", "not a known key", "did you mean 'name'?"),
        ("name: 5", "name", "must be text, not a number", "quotes"),
        ("name: ''", "name", "must not be empty", None),
        ("name:", "name", "not null", None),
        ("finally_step: b", "finally_step", "no such step", "steps: a"),
        ("finally_step: [a]", "finally_step", "not a list", None),
        ("finally_step: __end__", "finally_step", "no such step", None),
        ("max_concurrent: 0", "max_concurrent", "from 1", None),
        ("max_concurrent: true", "max_concurrent", "from 1", None),
        ("inputs: {a: 1}", "inputs", "a list of objects", None),
        ("inputs: [5]", "inputs.0", "an object with a name", "name: host"),
        ("inputs: [{type: string}]", "inputs.0", "name is missing", None),
        ("inputs: [{name: a, defualt: 1}]", "inputs.0.defualt", "not a known key", "default"),
    ],
)
def test_a_wrong_key_of_the_flow_is_named(text: str, path: str, message: str, hint: str | None) -> None:
    problem = only_problem_of(STEP + text)

    assert (problem.path, problem.line) == (path, 2)
    assert message in problem.message
    assert hint is None or hint in (problem.hint or "")


SWITCH = "  switch: {data_key: x, cases: [{when: x, "


@pytest.mark.parametrize(
    ("step", "path", "message", "hint"),
    [
        ("name: a\n  type: rset", "type", "'rset' is not a step type", "did you mean 'rest'?"),
        ("name: a", "type", "type is missing", "types: debug"),
        ("name: a\n  type: 5\n  jq: {}", "type", "not a step type", None),
        ("type: exit\n  exit: {message: x}", "name", "step 1: name is missing", None),
        ("name: 5\n  type: exit\n  exit: {message: x}", "name", "name must be text, not a number", "quotes"),
        ("name: a\n  type: rest", "rest", "its options are missing: an object called 'rest'", "it needs uri"),
        ("name: a\n  type: rest\n  rest:", "rest", "rest must be an object, not null", "it needs uri"),
        ("name: a\n  type: sleep\n  sleep: 5", "sleep", "must be an object, not a number", "write sleep: {seconds: 5}"),
        ("name: a\n  type: goto\n  goto: b", "goto", "must be an object, not text", "write goto: {step_name: b}"),
        ("name: a\n  type: sleep\n  sleep: true", "sleep", "not true or false", "it needs seconds"),
        ("name: a\n  type: debug\n  debug: text", "debug", "must be an object, not text", None),
        (
            "name: a\n  type: rest\n  jq: {}",
            "jq",
            "its type is 'rest', but its options are called 'jq'",
            "call them 'rest'",
        ),
        ("name: a\n  type: rest\n  uri: x", "uri", "its options are missing", "put this under 'rest'"),
        ("name: a\n  type: rest\n  rest: {}", "rest.uri", "rest.uri is missing", None),
        ("name: a\n  type: rest\n  rest: {uri: 5}", "rest.uri", "rest.uri must be text, not a number", "quotes"),
        (
            "name: a\n  type: rest\n  rest: {uri: x, metod: GET}",
            "rest.metod",
            "not a known key",
            "did you mean 'method'?",
        ),
        ("name: a\n  type: rest\n  rest: {uri: x, method: FETCH}", "rest.method", "or 'OPTIONS', not 'FETCH'", None),
        ("name: a\n  type: rest\n  rest: {uri: x, headers: [1]}", "rest.headers", "must be an object", None),
        (
            "name: a\n  type: rest\n  rest: {uri: x, verify: 'no'}",
            "rest.verify",
            "must be true or false, not text",
            None,
        ),
        (
            "name: a\n  type: rest\n  rest: {uri: x, authentication: {type: basic, secrt: s, secret: s}}",
            "rest.authentication.secrt",
            "not a known key",
            "did you mean 'secret'?",
        ),
        ("name: a\n  type: jq\n  jq: {expression: ''}", "jq.expression", "must not be empty", None),
        (
            "name: a\n  type: switch\n  switch: {data_key: x, cases: []}",
            "switch.cases",
            "switch.cases must not be empty",
            None,
        ),
        (
            "name: a\n  type: flow_loop\n  flow_loop: {path: a.yml, data_key: x, max_workers: 0}",
            "flow_loop.max_workers",
            "must be a whole number from 1 to 64, not 0",
            None,
        ),
        (
            "name: a\n  type: rest\n  rest: {uri: x, timeout_seconds: 0}",
            "rest.timeout_seconds",
            "must be a number above 0 and at most 86 400, not 0",
            None,
        ),
        (
            "name: a\n  type: sleep\n  sleep: {seconds: [1]}",
            "sleep.seconds",
            "must be a number or text, not a list",
            None,
        ),
        ("name: a\n  type: sleep\n  sleep: {seconds: -1}", "sleep.seconds", "must be", None),
        ("name: a\n  type: exit\n  exit: {message: x}\n  whn: y", "whn", "not a known key", "did you mean 'when'?"),
        ("name: a\n  type: exit\n  exit: {message: x}\n  <<: y", "<<", "not a known key", "no merge keys"),
        (
            "name: a\n  type: exit\n  exit: {message: x}\n  ignore_errors: '['",
            "ignore_errors",
            "not a regular expression",
            None,
        ),
        (
            "name: a\n  type: exit\n  exit: {message: x}\n  ignore_errors: [ok, '(']",
            "ignore_errors.1",
            "not a regular expression",
            None,
        ),
        (
            "name: a\n  type: exit\n  exit: {message: x}\n  on_error_goto: b",
            "on_error_goto",
            "leads to 'b', and there is no such step",
            None,
        ),
        (
            "name: a\n  type: exit\n  exit: {message: x}\n  result_key: __input__",
            "result_key",
            "belongs to the run",
            None,
        ),
        ("name: __end__\n  type: exit\n  exit: {message: x}", "name", "reserved", None),
        ("name: a\n  type: goto\n  goto: {step_name: b}", "goto.step_name", "leads to 'b'", "steps: a"),
        (
            "name: a\n  type: switch\n  switch: {data_key: x, cases: [{when: '[', step: {type: debug}}]}",
            "switch.cases.0.when",
            "not a regular expression",
            None,
        ),
        (
            "name: a\n  type: switch\n" + SWITCH + "step: {type: rest, rest: {uri: 5}}}]}",
            "switch.cases.0.step.rest.uri",
            "must be text, not a number",
            "quotes",
        ),
        (
            "name: a\n  type: switch\n" + SWITCH + "step: {type: rest, rest: {uri: x, vrify: 1}}}]}",
            "switch.cases.0.step.rest.vrify",
            "not a known key",
            "did you mean 'verify'?",
        ),
        (
            "name: a\n  type: switch\n" + SWITCH + "step: {type: jqq}}]}",
            "switch.cases.0.step.type",
            "'jqq' is not a step type",
            "did you mean 'jq'?",
        ),
        (
            "name: a\n  type: switch\n" + SWITCH + "step: {type: goto, goto: {step_name: b}}}]}",
            "switch.cases.0.step.goto.step_name",
            "leads to 'b'",
            None,
        ),
    ],
)
def test_a_wrong_step_is_named_with_its_place(step: str, path: str, message: str, hint: str | None) -> None:
    problem = only_problem_of(f"name: x\nsteps:\n- {step}\n")

    assert problem.path == f"steps.0.{path}"
    assert message in problem.message
    assert hint is None or hint in (problem.hint or "")
    assert problem.line is not None
    assert problem.line >= 3


def test_names_are_unique_in_a_flow() -> None:
    problem = only_problem_of("steps:\n- {name: a, type: debug}\n- {name: a, type: debug}\n")

    assert problem.message == "step 2 has the name of step 1, 'a'; names are unique in a flow"
    assert (problem.path, problem.line, problem.column) == ("steps.1.name", 3, 4)


def test_every_problem_is_told_at_once_by_line() -> None:
    problems = problems_of(
        """\
        nam: x
        finally_step: none
        steps:
        - 3
        - name: a
          type: rest
          rest: {urii: x, method: FETCH}
        - name: b
          type: nope
        - name: c
          type: goto
          goto: {step_name: d}
        """
    )

    assert [(problem.line, problem.path, problem.code) for problem in problems] == [
        (1, "nam", "unknown_key"),
        (2, "finally_step", "unknown_step"),
        (4, "steps.0", "wrong_type"),
        (7, "steps.1.rest.uri", "missing_key"),
        (7, "steps.1.rest.urii", "unknown_key"),
        (7, "steps.1.rest.method", "wrong_value"),
        (9, "steps.2.type", "unknown_type"),
        (12, "steps.3.goto.step_name", "unknown_step"),
    ]


def test_an_invalid_document_is_raised_with_all_its_errors() -> None:
    with pytest.raises(DocumentInvalid, match=r"f.yml, line 1: .* \(and 1 more\)") as caught:
        parse_flow("f.yml", "nmae: x\nsteps: 3")

    assert len(caught.value.details) == 2


def test_a_generator_under_auto_is_a_warning_not_an_error() -> None:
    text = "steps:\n- {name: a, type: jq, jq: {expression: '.a[]'%s}}\n"

    assert [(p.severity, p.hint) for p in problems_of(text % "")] == [("warning", "output: all")]
    assert problems_of(text % ", output: all") == []
    assert [p.path for p in problems_of("steps:\n- {name: a, type: debug, jq_expression: '.[]'}")] == [
        "steps.0.jq_expression"
    ]


def test_no_expression_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("jq", "jinja2"):
        monkeypatch.setitem(sys.modules, module, None)
    text = "steps:\n- {name: a, type: jq, jq: {expression: '(\"x\" * 2000000000'}, when: '{{ broken'}\n"

    assert problems_of(text) == []


@pytest.mark.parametrize("pattern", ["(" * 5000, "a{99999999999}"])
def test_a_pattern_that_python_gives_up_on_is_a_problem(pattern: str) -> None:
    problem = only_problem_of(f"steps: [{{name: a, type: debug, ignore_errors: '{pattern}'}}]")

    assert "step 'a': a pattern in it is too large" in problem.message


def test_a_text_made_of_mistakes_has_a_hundred_errors_and_is_soon_done() -> None:
    steps = "".join(f"- {{name: s{n}, type: goto, goto: {{step_name: x{n}}}}}\n" for n in range(5000))

    problems = problems_of("steps:\n" + steps)

    assert len(problems) == 100
    assert {problem.hint for problem in problems[5:]} != {None}


def test_many_warnings_do_not_hide_an_error() -> None:
    steps = "".join(f"- {{name: s{n}, type: jq, jq: {{expression: '.[]'}}}}\n" for n in range(150))

    problems = problems_of(f"steps:\n{steps}- {{name: last, type: nope}}\n")

    assert [problem.severity for problem in problems].count("warning") == 100
    assert problems[-1].code == "unknown_type"
