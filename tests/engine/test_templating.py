from __future__ import annotations

import json
from collections import ChainMap
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.templating import (
    ExpressionError,
    Names,
    condition,
    evaluate,
    evaluate_condition,
    jq_all,
    render,
    render_value,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
DATA: dict[str, Any] = {
    "tickets": [{"id": 1}],
    "pods": {"items": ["a"], "kind": "List"},
    "result": {"x": 3},
    "none": None,
}


# Jinja


def test_names_are_looked_up_in_the_data_before_the_input() -> None:
    names = Names({"a": "data"}, {"a": "input", "b": "input"})

    assert render("{{ a }} {{ b }}", names) == "data input"


def test_a_chain_of_maps_will_do_for_names() -> None:
    assert render("{{ a }} {{ b }}", ChainMap({"a": 1}, {"b": 2})) == "1 2"


def test_the_trailing_newline_and_text_without_marks_are_kept() -> None:
    assert render("{{ 1 }}\n", {}) == "1\n"
    assert render("a\r\n# b {", {}) == "a\r\n# b {"


def test_an_undefined_name_is_an_error_with_the_nearest_name() -> None:
    with pytest.raises(
        ExpressionError, match=r"'tickts' is not defined; did you mean 'tickets'\? \(in `\{\{ tickts \}\}`\)"
    ):
        render("{{ tickts }}", DATA)


def test_an_undefined_key_is_an_error_with_the_keys_that_are_there() -> None:
    with pytest.raises(ExpressionError, match=r"there is no key 'x' \(there are: items, kind\)"):
        render("{{ pods.x }}", DATA)


def test_an_undefined_name_inside_a_value_is_an_error() -> None:
    with pytest.raises(ExpressionError, match="'nope' is not defined"):
        render_value('{{ {"a": [nope]} }}', DATA)


def test_errors_name_the_line_of_a_longer_template() -> None:
    with pytest.raises(ExpressionError, match=r"line 2 of the template, in `b \{\{ nope \}\}`"):
        render("a\nb {{ nope }}\nc", DATA)
    with pytest.raises(ExpressionError, match="line 3 of the template"):
        render("a\nb\n{% if %}", DATA)


def test_a_key_wins_over_a_method_of_the_same_name_unless_it_is_called() -> None:
    assert render_value("{{ pods.items }}", DATA) == ["a"]
    assert render_value("{{ pods.items() }}", DATA) == [["items", ["a"]], ["kind", "List"]]


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{{ tickets }}", [{"id": 1}]),
        ("  {{ tickets | length }}\n", 1),
        ("{{ result.x }}", 3),
        ("{{ none }}", None),
        ("{{ (1, 2) }}", [1, 2]),
        ("{{ tickets | map(attribute='id') }}", [1]),
        ("{{ {1: true} }}", {"1": True}),
        ("{{ 'a' | e }}", "a"),
        ("{{ nope | default(3) }}", 3),
        ("{{ 1 }}{{ 2 }}", "12"),
        ("n: {{ 1 }}", "n: 1"),
        ({"a": ["{{ result }}", 5, None]}, {"a": [{"x": 3}, 5, None]}),
    ],
)
def test_a_string_that_is_one_expression_keeps_its_type(template: Any, value: Any) -> None:
    assert render_value(template, DATA) == value


@given(JSON)
def test_any_json_comes_out_of_an_expression_as_it_went_in(value: Any) -> None:
    assert render_value("{{ value }}", {"value": value}) == value


@given(JSON)
def test_the_filter_tojson_writes_plain_json(value: Any) -> None:
    assert json.loads(render("{{ value | tojson }}", {"value": value})) == value


def test_tojson_does_not_escape_for_html() -> None:
    assert render("{{ v | tojson }}", {"v": "<é&'>"}) == '"<é&\'>"'


@pytest.mark.parametrize("template", ["{{ range }}", "{{ 1e308 * 10 }}", "{{ namespace() }}", "{{ {none: 1} }}"])
def test_what_is_not_json_is_refused(template: str) -> None:
    with pytest.raises(ExpressionError):
        render_value(template, DATA)


@pytest.mark.parametrize(
    "template",
    [
        "{{ cycler.__init__.__globals__.os }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ '' | attr('__class__') }}",
        "{{ '{0.__class__}'.format(1) }}",
        "{{ tickets.append(1) }}",
        "{{ result.update(x=1) }}",
        "{{ result.clear() }}",
        "{{ now() }}",
        "{{ env }}",
        "{{ lipsum() }}",
        "{% include 'secrets.yml' %}",
    ],
)
def test_a_template_cannot_leave_the_sandbox_or_change_the_data(template: str) -> None:
    data = json.loads(json.dumps(DATA))

    with pytest.raises(ExpressionError):
        render(template, data)

    assert data == DATA


@pytest.mark.parametrize(
    "template",
    [
        "{{ ('a' * 2000000000) | length }}",
        "{{ 2000000000 * 'a' }}",
        "{{ (9 ** (9 ** 7)) | string }}",
        "{% set ns = namespace(s='a') %}{% for i in range(40) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "{{ range(1000000) }}",
        "{{ 'a' | center(1000000000) }}",
        "{{ 'a'.ljust(1000000000) }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ '%*d' % (1000000000, 1) }}",
        "{{ '%1000000000d' | format(1) }}",
        "{{ '{:1000000000}'.format(1) }}",
        "{{ '{:{}}'.format(1, 1000000000) }}",
        "{% for i in range(100000) %}{{ 'x' * 1000 }}{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    ],
)
def test_what_would_grow_without_end_is_refused(template: str) -> None:
    with pytest.raises(ExpressionError):
        render(template, {})


def test_ordinary_formats_and_widths_are_allowed() -> None:
    assert render("{{ '**%5.1f%%**' | format(2.25) }}{{ '{:>4}|{}'.format(1, 2) }}{{ 'a'.center(3) }}", {}) == (
        "**  2.2%**   1|2 a "
    )


def test_the_rendered_text_is_limited() -> None:
    with pytest.raises(ExpressionError, match="over 5 characters"):
        render("{{ 'abc' }}{{ 'def' }}", {}, limit=5)


def test_an_expression_may_use_and_be_called_result() -> None:
    assert evaluate("result.x + 1", DATA) == 4


def test_an_expression_with_something_after_it_is_refused() -> None:
    with pytest.raises(ExpressionError, match="unexpected 'bar' after the expression"):
        evaluate("foo bar", {"foo": 1})


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ("tickets | length > 0", True),
        ("{{ tickets | length > 1 }}", False),
        ("{% if tickets %}No{% endif %}", False),
        ("{{ ' FALSE ' }}", False),
        ("no", False),
        ("yes", True),
        ("", False),
        ("0", False),
        ("none", False),
        ("'off'", True),
        ("pods.items", True),
        (True, True),
        (0, False),
        (None, False),
    ],
)
def test_conditions_hold_or_not(expression: Any, holds: bool) -> None:
    assert condition(expression, DATA) is holds


def test_what_a_condition_came_to_can_be_shown() -> None:
    assert evaluate_condition("{{ tickets | length }}", DATA) == 1


# jq


def test_jq_gives_every_result() -> None:
    assert jq_all(".[] | . + 1", [1, 2]) == [2, 3]
    assert jq_all("empty", None) == []


@pytest.mark.parametrize(
    "program",
    [
        "env",
        "$ENV",
        "$ENV.PATH",
        "{$ENV}",
        '"\\(env)"',
        '@json "\\("x" | "\\(env)")"',
        '"\\\\\\(env)"',
        "input",
        "[inputs]",
        'import "a" as $d {search: "/d"}; $d',
        'include "a"; .',
        "input_filename",
        "halt",
        '"x" | halt_error',
        "get_search_list",
        "{a: env}",
        "..env",
        '# \\\n"\nenv\n# "',
        '# \r "\nenv # "',
        ".a as {b: $x} | env",
        ".a\0 | env",
    ],
)
def test_a_jq_program_cannot_reach_outside_its_input(program: str) -> None:
    with pytest.raises(ExpressionError, match="is not allowed"):
        jq_all(program, {"a": 1})


@pytest.mark.parametrize(
    ("program", "result"),
    [
        (".env", 1),
        (".a.input", 2),
        ("{env: .env}", {"env": 1}),
        ('"env \\\\(input)"', "env \\(input)"),
        (".env # the input's env", 1),
        (". as $input | $input.env", 1),
        ('.["env"]', 1),
        ('"\\(.env)" + "\\("import")"', "1import"),
    ],
)
def test_keys_strings_and_comments_may_hold_any_word(program: str, result: Any) -> None:
    assert jq_all(program, {"env": 1, "a": {"input": 2}}) == [result]


def test_a_jq_error_is_one_line_with_the_program() -> None:
    with pytest.raises(ExpressionError) as raised:
        jq_all(".a |\n nope", {})

    assert str(raised.value).startswith("nope/0 is not defined")
    assert str(raised.value).endswith("(in `.a | nope`)")
    assert "\n" not in str(raised.value)


def test_a_jq_program_that_fails_on_the_data_says_why() -> None:
    with pytest.raises(ExpressionError, match="Cannot index number with"):
        jq_all(".a.b", {"a": 1})


def test_results_without_end_are_refused() -> None:
    with pytest.raises(ExpressionError, match="more than 1000000 results"):
        jq_all("repeat(1)", None)


def test_long_whole_numbers_are_not_rounded_on_their_way_through() -> None:
    assert jq_all(".id", {"id": 12345678901234567890}) == [12345678901234567890]
    assert jq_all(".[] # each", [9007199254740993]) == [9007199254740993]


def test_what_jq_cannot_write_as_json_is_null() -> None:
    assert jq_all("[nan, 1]", None) == [[None, 1]]


def test_data_that_is_not_json_is_refused() -> None:
    with pytest.raises(ExpressionError, match="the data is not JSON"):
        jq_all(".", float("nan"))


@given(JSON.filter(lambda value: "\\ud" not in json.dumps(value)))
def test_json_goes_through_jq_unchanged(value: Any) -> None:
    assert jq_all(".", value) == [value]


def test_expressions_are_shared_by_threads() -> None:
    wrong: list[int] = []

    def work(number: int) -> None:
        for _ in range(200):
            if jq_all(".n + 1", {"n": number}) != [number + 1] or render("{{ n }}", {"n": number}) != str(number):
                wrong.append(number)

    threads = [Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []
