"""YAML and JSON to JSON values: 1.2's core schema, every refusal with its line."""

from __future__ import annotations

import json
import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from engine.models.problem import Problem
from engine.reading import ReadingError, decode, read_document, read_json, read_yaml

PARSERS = ["C", "Python"]


@pytest.fixture(params=PARSERS)
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "Python":
        monkeypatch.delattr(yaml, "CSafeLoader")
    return str(request.param)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None), ("# nothing", None), ("~", None), ("null", None), ("Null", None), ("nULL", "nULL"),
        ("true", True), ("True", True), ("FALSE", False), ("yes", "yes"), ("on", "on"), ("Off", "Off"), ("n", "n"),
        ("0", 0), ("-7", -7), ("+12", 12), ("010", 10), ("0o10", 8), ("0x1F", 31), ("1_000", "1_000"), ("0b1", "0b1"),
        ("1.5", 1.5), ("-.5", -0.5), ("1.", 1.0), ("1e3", 1000.0), ("1:30", "1:30"), ("1.2.3", "1.2.3"), ("-", [None]),
        ("2024-05-23", "2024-05-23"), ("2024-05-23T10:00:00Z", "2024-05-23T10:00:00Z"), ("'1'", "1"), ('"~"', "~"),
        ("=", "="), ("!!str 1", "1"), ("!!int '1'", 1), ("!!float 1", 1.0), ("!!null ''", None), ("! 1", "1"),
        ("!!bool 'true'", True), ("[1, {a: b}, []]", [1, {"a": "b"}, []]),
        ("{1: a, true: b, ~: c}", {"1": "a", "true": "b", "~": "c"}),
        ("&a x: *a", {"x": "x"}), ("[&a [1], *a]", [[1], [1]]), ("{&k a: 1, b: *k}", {"a": 1, "b": "a"}),
        ("[&a k, {*a : 1}]", ["k", {"k": 1}]), ("\ufeffa: 1", {"a": 1}), ("a: |\n  x\n  y\n", {"a": "x\ny\n"}),
        ("<<: 1", {"<<": 1}), ("%YAML 1.2\n---\na", "a"),
    ],
)  # fmt: skip
def test_yaml_is_read_as_its_core_schema_says(parser: str, text: str, value: object) -> None:
    read = read_yaml(text)

    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("text", "code", "line", "column"),
    [
        ("a: 1\nb: 2\na: 3", "duplicate_key", 3, 1), ("a: !!python/object:os.system x", "bad_tag", 1, 4),
        ("- !mine {}", "bad_tag", 1, 3), ("{!x a: 1}", "bad_tag", 1, 2), ("!!int x", "bad_tag", 1, 1),
        ("a:\n- .inf", "bad_number", 2, 3), ("-.INF", "bad_number", 1, 1), (".nan", "bad_number", 1, 1),
        ("1e999", "bad_number", 1, 1), ("9" * 5000, "bad_number", 1, 1), ("a: 1\n---\nb", "many_documents", 2, 1),
        ("? [a]\n: 1", "bad_key", 1, 3), ("a: {{ b }}", "bad_key", 1, 5), ("[&a [], {*a : 1}]", "bad_key", 1, 10),
        ("a: *b", "bad_alias", 1, 4), ("&a [*a]", "bad_alias", 1, 5), ("[&a 1, &a 2]", "bad_alias", 1, 8),
        ("[" * 51 + "]" * 51, "too_deep", 1, 51), ("- " * 60, "too_deep", 1, 101), ("a: b: c", "yaml_syntax", 1, 5),
        ("x\n\x07", "bad_character", 2, 1), ("a\ud800", "bad_character", 1, 2), ("[1, 2", "yaml_syntax", 1, 1),
    ],
)  # fmt: skip
def test_what_is_not_json_is_refused_with_its_place(text: str, code: str, line: int, column: int) -> None:
    with pytest.raises(ReadingError) as caught:
        read_yaml(text)

    problem = caught.value.problems[0]
    assert (problem.code, problem.line, problem.column) == (code, line, column)


def test_every_duplicate_is_told_at_once_with_both_lines() -> None:
    with pytest.raises(ReadingError) as caught:
        read_yaml("a: 1\nb:\n  c: 1\n  c: 2\na: 3\nd: .nan\n")

    assert [(problem.line, problem.path) for problem in caught.value.problems] == [(4, "b"), (5, ""), (6, "d")]
    assert str(caught.value) == "line 4: key 'c' is here a second time; it is on line 3 already"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("a:\n\tb: 1", "tabs"), ("a: {{ x }}/b", "quotes"), ("a: {{ x }}", "quotes"), ("a: b: c", "`: `"),
        ("a: @b", "special"), ("a: `b`", "special"), ("a: *b", "quotes"), ("- {% if x %}", "quotes"),
    ],
)  # fmt: skip
def test_common_mistakes_get_a_hint(text: str, hint: str) -> None:
    with pytest.raises(ReadingError) as caught:
        read_yaml(text)

    assert hint in (caught.value.problems[0].hint or "")


def test_a_yaml_bomb_is_refused(parser: str) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]

    with pytest.raises(ReadingError, match="aliases"):
        read_yaml("\n".join(lines))


def test_aliases_do_not_nest_deeper_than_written_lists_may() -> None:
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 60)]

    with pytest.raises(ReadingError, match="50 deep"):
        read_yaml("\n".join(lines))


def test_a_hundred_aliases_are_allowed_and_each_is_a_copy() -> None:
    value = read_yaml("a: &a [1]\nb: [" + ", ".join(["*a"] * 100) + "]")

    value["b"][0].append(2)
    assert value["b"][1] == value["a"] == [1]
    with pytest.raises(ReadingError, match="more than 100 aliases"):
        read_yaml("a: &a [1]\nb: [" + ", ".join(["*a"] * 101) + "]")


def test_fifty_levels_are_allowed() -> None:
    assert json.dumps(read_yaml("[" * 50 + "]" * 50)) == "[" * 50 + "]" * 50


def test_so_many_problems_end_the_reading() -> None:
    with pytest.raises(ReadingError) as caught:
        read_yaml("a: 1\n" * 1000)

    assert len(caught.value.problems) == 50


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ((), (1, 1)), (("a",), (1, 1)), (("a", 0), (2, 5)), (("a", 0, "c"), (3, 5)), (("a", 0, "c", "d"), (3, 9)),
        (("a", 0, "c", "none"), (3, 5)), (("a", 1), (4, 5)), (("a", 9), (1, 1)),
        (("e", "f"), (5, 1)), (("none",), (1, 1)),
    ],
)  # fmt: skip
def test_a_place_is_that_of_the_key_or_of_the_nearest_thing_above(
    parser: str, path: tuple[str | int, ...], place: tuple[int, int]
) -> None:
    marked = read_document("a:\n  - b: 1\n    c: {d: 2}\n  - x\ne: text\n")

    assert marked.place(path) == place


def test_failsafe_leaves_scalars_as_they_are_written() -> None:
    marked = read_document("- 007\n- true\n- ~\n- 2024-05-23\n- {a: 1e3}\n- ''\n-\n", failsafe=True)

    assert marked.value == ["007", "true", "~", "2024-05-23", {"a": "1e3"}, "", ""]


def test_bytes_that_are_not_utf8_are_refused_with_their_line() -> None:
    with pytest.raises(ReadingError, match="line 3: byte 0xff is not UTF-8") as caught:
        decode(b"a\nb\n\xff")

    assert caught.value.problems[0].line == 3
    assert decode(b"\xef\xbb\xbfa") == "a"


@pytest.mark.parametrize("text", ['{"a": [1, 2.5, null, true, "x"]}', "1", '"x"', "[" * 50 + "]" * 50, "\ufeff[]"])
def test_json_is_read(text: str) -> None:
    assert read_json(text) == json.loads(text.lstrip("\ufeff"))


@pytest.mark.parametrize(
    "text",
    [
        "", "NaN", "[Infinity]", "-Infinity", "1e999", "9" * 5000, '{"a": 1, "a": 2}', '[{"b": {"a": 1, "a": 1}}]',
        "[1", "{'a': 1}", "[" * 51 + "]" * 51, "[" * 200_000, "[1] [2]", "01", "{,}",
    ],
)  # fmt: skip
def test_json_that_is_not_strict_is_refused(text: str) -> None:
    with pytest.raises(ReadingError):
        read_json(text)


def test_a_json_mistake_has_its_place() -> None:
    with pytest.raises(ReadingError, match="line 2: this is not valid JSON"):
        read_json('{\n"a" 1}')


YAML_PIECES = st.sampled_from(
    ["a", ": ", "- ", "\n", "  ", "[", "]", "{", "}", ", ", "&x ", "*x", "!!str ", "!", "|", ">", "'",
     '"', "#", "---\n", "...", "%", "\t", "? ", "<<", "1", ".inf", "é", "\\", "\x00", "\ud800", "\u2028", "\r",
     "@", "`", "0x", "~"]
)  # fmt: skip


def is_json(value: object) -> bool:
    match value:
        case None | bool() | int() | str():
            return True
        case float():
            return math.isfinite(value)
        case list():
            return all(map(is_json, value))
        case dict():
            return all(isinstance(key, str) and is_json(item) for key, item in value.items())
    return False


@given(st.one_of(st.text(max_size=60), st.lists(YAML_PIECES, max_size=30).map("".join)))
def test_reading_gives_json_or_a_reading_error_with_problems(text: str) -> None:
    for read in (read_yaml, read_json):
        problems: list[Problem] | None = None
        try:
            assert is_json(read(text))
        except ReadingError as error:
            problems = error.problems
        assert problems != []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_what_json_writes_is_read_back(value: object) -> None:
    assert read_json(json.dumps(value)) == value


@given(JSON.filter(lambda value: "\x7f" not in json.dumps(value)))
def test_what_json_writes_is_yaml_as_well(value: object) -> None:
    """Also beyond U+FFFF, where it writes two escapes of which YAML takes neither; but for a raw DEL."""
    assert read_yaml(json.dumps(value)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'{"a": "\\\ud83d\ude00\uD83D\uDE00"}', {"a": "\\\U0001f600\U0001f600"}),
        (r'{"a": "\ud83d\ude00 \\ud83d\\ude00"}', {"a": "\U0001f600 \\ud83d\\ude00"}),
        (r"a: \ud83d\ude00", {"a": r"\ud83d\ude00"}),
    ],
)
def test_two_escapes_are_one_character_where_they_are_json_s(text: str, value: object) -> None:
    assert read_yaml(text) == value


@pytest.mark.parametrize(
    "text", [r'{"a": "\ud83d"}', r'{"a": "\ude00\ud83d"}', r'a: "\ud83d\ude00"', r'{"a": "\ud83d\ude00 \ud83d"}']
)
def test_half_a_character_is_refused_and_so_is_a_pair_in_yaml(text: str) -> None:
    with pytest.raises(ReadingError, match="line 1: this is not valid YAML"):
        read_yaml(text)


@given(JSON.filter(lambda value: "\ud800" not in json.dumps(value)))
def test_what_a_yaml_writer_writes_is_read_back(value: object) -> None:
    try:
        text = yaml.safe_dump(value, allow_unicode=False)
    except UnicodeEncodeError:
        return

    assert is_json(read_yaml(text))
