"""Inputs: which values fit, what is said of those that do not, and a JSON Schema that says the same."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from engine.checking import check_flow
from engine.errors import InputsInvalid
from engine.models.input_schema import schema_of_declarations, schema_of_values
from engine.models.input_values import MASK, read_inputs, refuse_secrets
from engine.models.inputs import LONGEST_MATCHED, NO_DEFAULT, Input, Kind

PATTERNS = [None, "^[a-c]{1,3}$", "b", "^(a|bb)*c?$"]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(-3, 3).map(lambda number: round(number * 2) / 2)
    | st.text("abc *\t", max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)


@st.composite
def inputs(draw, name):
    kind = draw(st.sampled_from(Kind))
    secret = kind is Kind.STRING and draw(st.booleans())
    enum = () if secret else tuple(draw(st.lists(VALUES, max_size=3)))
    default = NO_DEFAULT if secret or draw(st.booleans()) else draw(VALUES)
    return Input(
        name,
        kind,
        default=default,
        enum=enum,
        pattern=draw(st.sampled_from(PATTERNS)) if kind is Kind.STRING else None,
        is_required=draw(st.booleans()),
        is_secret=secret,
    )


def complaints(inputs, data):
    with pytest.raises(InputsInvalid) as caught:
        read_inputs("f.yml", inputs, data)
    assert all(f"`{each['field']}` {each['message']}" in str(caught.value) for each in caught.value.details)
    return [(each["field"], each["message"]) for each in caught.value.details]


def complaint(input, value):
    [(name, message)] = complaints([input], {input.name: value})
    assert name == input.name
    return message


@given(inputs("a"), inputs("b"), st.dictionaries(st.sampled_from(["a", "b", "c"]), VALUES) | VALUES)
def test_the_schema_accepts_what_the_check_accepts_and_nothing_else(one, other, data):
    declared = [one, other]
    by_schema = Draft202012Validator(schema_of_values(declared)).is_valid(data)

    try:
        read_inputs("f.yml", declared, data)
        by_check = True
    except InputsInvalid:
        by_check = False

    assert by_check == (by_schema or (data is None and not any(each.is_required for each in declared)))


@pytest.mark.parametrize(
    ("kind", "value", "word"),
    [
        ("string", 5, "must be text, not a number"),
        ("string", None, "must be text, not null"),
        ("integer", "5", "must be a whole number, not text"),
        ("integer", 1.5, "must be a whole number, not 1.5"),
        ("integer", True, "must be a whole number, not true or false"),
        ("number", float("inf"), "must be a number, not inf"),
        ("boolean", 1, "must be true or false, not a number"),
        ("object", [], "must be an object, not a list"),
        ("array", {}, "must be a list, not an object"),
    ],
)
def test_a_value_of_another_type_is_not_converted(kind, value, word):
    assert complaint(Input("a", Kind(kind)), value) == word


def test_a_whole_number_is_one_however_json_writes_it():
    values = read_inputs("f.yml", [Input("a", Kind.INTEGER), Input("b", Kind.NUMBER)], {"a": 60.0, "b": 60.0})

    assert repr(values.shown) == "{'a': 60, 'b': 60.0}"


def test_everything_that_is_wrong_is_told_at_once():
    declared = [Input("host"), Input("size", Kind.INTEGER), Input("kind", enum=("a", "b")), Input("mail", pattern="@")]

    told = complaints(declared, {"hots": "x", "size": "5", "kind": "c", "mail": "nobody"})

    assert told == [
        ("hots", "is not an input (did you mean 'host'?)"),
        ("host", "is required"),
        ("size", "must be a whole number, not text"),
        ("kind", 'must be one of "a", "b"'),
        ("mail", "must match the pattern @"),
    ]


def test_of_very_many_problems_the_first_are_told():
    with pytest.raises(InputsInvalid, match="and 80 more") as caught:
        read_inputs("f.yml", [Input("a", is_required=False)], {f"x{number}": 1 for number in range(100)})

    assert len(caught.value.details) == 20


def test_data_that_is_no_object_is_refused_where_inputs_are_declared():
    assert complaints([Input("a")], [1]) == [
        ("data", "must be an object, because f.yml declares its inputs, and it is a list")
    ]


@pytest.mark.parametrize("data", [None, 5, "x", [1], {"anything": {"at": "all"}}])
def test_a_flow_without_inputs_takes_any_json(data):
    assert read_inputs("f.yml", (), data).whole == data


def test_defaults_stand_for_what_is_not_given_and_are_copies():
    declared = [Input("a", Kind.ARRAY, default=[1], is_required=False), Input("b", is_required=False)]

    first = read_inputs("f.yml", declared, None).shown
    first["a"].append(2)

    assert read_inputs("f.yml", declared, {}).shown == {"a": [1]}


def test_a_secret_stands_apart_from_what_is_shown():
    values = read_inputs("f.yml", [Input("user"), Input("word", is_secret=True)], {"user": "ada", "word": "hunter2"})

    assert values.shown == {"user": "ada", "word": MASK}
    assert values.secrets == {"word": "hunter2"}
    assert values.whole == {"user": "ada", "word": "hunter2"}


@pytest.mark.parametrize("value", ["", "abc", " abc ", "****", "* * *", "\t\n  \t"])
def test_a_secret_that_could_not_be_hidden_is_refused_and_not_quoted(value):
    message = complaint(Input("word", is_secret=True), value)

    assert "too short for a secret" in message
    assert not value or value not in message.replace("*", "")


def test_a_secret_that_is_wrong_is_not_quoted():
    told = str(complaints([Input("word", is_secret=True, pattern="^[0-9]+$")], {"word": "hunter2"}))

    assert "must match the pattern" in told
    assert "hunter2" not in told


def test_what_is_kept_may_have_no_secret():
    declared = [Input("word", is_secret=True, is_required=False), Input("must", is_secret=True)]

    with pytest.raises(InputsInvalid, match=r"`word` is a secret.*secrets\.yml.*`must` is a secret"):
        refuse_secrets("f.yml", declared, {"word": "hunter2"})

    refuse_secrets("f.yml", declared[:1], {})


def test_a_text_is_looked_at_only_as_long_as_a_pattern_stays_quick():
    assert "at most 10000 characters" in complaint(Input("a", pattern="x"), "x" * (LONGEST_MATCHED + 1))


def test_a_pattern_that_ruins_other_engines_is_answered_by_this_one():
    assert complaint(Input("a", pattern="^(a+)+$"), "a" * 9_000 + "!") == "must match the pattern ^(a+)+$"


@pytest.mark.parametrize(
    ("declared", "is_good"),
    [
        ([{"name": "a"}], True),
        ([{"name": "a", "type": "integer", "default": 5, "enum": [5, 6], "description": "x"}], True),
        ([{"name": "a", "secret": True, "required": False}], True),
        ([{"name": "1a"}], False),
        ([{"name": "a", "type": "text"}], False),
        ([{"name": "a", "enum": []}], False),
        ([{"name": "a", "secret": "yes"}], False),
        ([{"type": "string"}], False),
        ([{"name": "a", "defualt": 1}], False),
        (["a"], False),
        ({"a": "string"}, False),
        (None, True),
    ],
)
def test_the_schema_for_editors_says_of_a_declaration_what_the_check_says(declared, is_good):
    text = json.dumps({"inputs": declared, "steps": [{"name": "a", "type": "debug", "debug": {}}]})
    flow, _ = check_flow("f.yml", text)

    assert Draft202012Validator(schema_of_declarations()).is_valid(declared) is is_good
    assert (flow is not None) is is_good


@pytest.mark.parametrize("value", ["x" * 10_001, "é" * 30_000, "line\n" * 201])
def test_a_secret_has_a_limit_which_is_told(value):
    secret = Input("word", is_secret=True)

    assert complaint(secret, value).startswith(
        "must have at most 10000 characters and 200 lines, because it is a secret"
    )
    assert not list(secret.faults("x" * 10_000))
