"""Whether an expression compiles, as those see it who do not run it."""

from __future__ import annotations

import pytest

from engine.models.expression import Language
from engine.templating import ExpressionError, condition, fault_of, is_code, jq_all, render, render_value
from engine.templating.compiling import MAX_MESSAGE

TEXTS = [
    "", "plain", "{{", "}}", "{{ a", "{{ a }}", "{% if a %}", "{# never ends", "{{ a | upper }}", "{{ a | uper }}",
    "{{ a is odd }}", "{{ a is ood }}", " {{ a }} ", "a", "a ==", "a b", "no", " FALSE ", ".a", ".[]", "a | foo",
    "{a: 1}", "# comment", "1 +", '"\\(', "env", "$ENV", "input", "\0", "\ud800", "import 'x' as x; .",
    "[" * 20_000, "(" * 2_000, "{{ " + "(" * 5_000, "{{ '%1000000d' % 1 }}", "{% extends 'x' %}", "{% include a %}",
    "{{ [1, 2] | map('abs') }}", "{{ a if b else c | nope }}", "{% set x = 1 %}{{ x }}", "{{ 'a' * 2000000000 }}",
    "{% raw %}{{ }}{% endraw %}",
]  # fmt: skip
RUN = {
    Language.TEMPLATE: render,
    Language.VALUE: render_value,
    Language.CONDITION: condition,
    Language.JQ: jq_all,
}


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: repr(text[:30]))
@pytest.mark.parametrize("language", Language)
def test_who_runs_an_expression_that_has_a_fault_meets_that_fault(language: Language, text: str) -> None:
    fault = fault_of(language, text)

    try:
        RUN[language](text, {"a": "b", "b": "c", "c": "d"})
        error = None
    except ExpressionError as caught:
        error = str(caught)

    assert fault is None or (error or "").startswith(fault.message[:MAX_MESSAGE])
    assert error is None or fault is not None or not is_syntax(error)


def is_syntax(error: str) -> bool:
    """Whether the error cannot be the data's doing."""
    return any(word in error for word in ("syntax error", "No filter", "No test", "unexpected", "not allowed here"))


def test_what_holds_no_code_is_told_from_what_does() -> None:
    assert [is_code(Language.TEMPLATE, text) for text in ("plain", "a {{ b", "{% x", "{# y")] == [
        False,
        True,
        True,
        True,
    ]
    assert [is_code(Language.CONDITION, text) for text in ("no", " True ", "", "n", "{{ n }}")] == [
        *[False] * 3,
        True,
        True,
    ]
    assert is_code(Language.JQ, "")


@pytest.mark.parametrize(
    ("language", "text", "hint"),
    [
        (Language.JQ, "{{ name }}", "this is jq and not Jinja: a key of the data is written `.key`, without braces"),
        (Language.JQ, ".a | name", "jq has no function name; a key of the data is written `.name`"),
        (Language.JQ, ".a | name(1)", None),
        (Language.JQ, ".a |", None),
        (Language.VALUE, "{{ a | uper }}", "did you mean 'upper'?"),
        (Language.CONDITION, "a is defind", "did you mean 'defined'?"),
        (Language.TEMPLATE, "{{ a | xyzzyx }}", None),
        (Language.TEMPLATE, "{{ a", None),
    ],
)
def test_what_is_often_done_wrong_has_a_way_out(language: Language, text: str, hint: str | None) -> None:
    fault = fault_of(language, text)

    assert fault is not None
    assert fault.hint == hint


def test_a_template_says_in_which_of_its_lines_it_is_wrong() -> None:
    fault = fault_of(Language.TEMPLATE, "one\ntwo {{ a | nope }}\nthree")
    program = fault_of(Language.JQ, ".a\n| [")

    assert fault is not None
    assert "line 2 of the template" in fault.message
    assert program is not None
    assert "line 2, column" in program.message


def test_a_fault_is_a_sentence_and_no_book() -> None:
    fault = fault_of(Language.JQ, " | ".join(f"name{n}" for n in range(500)))

    assert fault is not None
    assert len(fault.message) < MAX_MESSAGE + 40
