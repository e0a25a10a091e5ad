from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from engine.errors import StepFailed
from engine.steps.file import _encoded, _read, _written

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\ufeff\ufffe\uffff"))
TRICKY = st.sampled_from(
    ["on", "no", "true", "1e3", "0o17", "0x1f", "2024-05-23", "1_000", "12:30", "null", "~", "", ".5", "=", ".inf"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT | TRICKY,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT | TRICKY, inner, max_size=4),
    max_leaves=12,
)


def file(read_step: Any, run: Any, path: str, **options: Any) -> Any:
    return read_step("file", path=path, **options).options.run(run)


@pytest.mark.parametrize(
    ("name", "content", "value"),
    [
        ("a.json", b'{"a": [1, null]}', {"a": [1, None]}),
        ("a.json", b'\xef\xbb\xbf"bom"', "bom"),
        ("a.yml", "a: é\nb: on\n".encode(), {"a": "é", "b": "on"}),
        ("a.YAML", b"2024-05-23", "2024-05-23"),
        ("a.unknown", b"a: 1", {"a": 1}),
        ("a.csv", b"a,b\r\n1,2\r\n", "a,b\r\n1,2\r\n"),
        ("a.txt", b"", ""),
    ],
)
def test_a_file_is_read_by_its_extension(
    fake_run: Any, read_step: Any, tmp_path: Path, name: str, content: bytes, value: Any
) -> None:
    (tmp_path / name).write_bytes(content)

    assert file(read_step, fake_run(), name) == value


def test_the_type_wins_over_the_extension(fake_run: Any, read_step: Any, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")

    assert file(read_step, fake_run(), "a.json", type="text") == "{"


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.json", b'{"a": NaN}'), ("a.json", b"{"), ("a.json", b""), ("a.yml", b"a: [1"), ("a.txt", b"\xff\xfe")],
)
def test_a_file_that_cannot_be_read_is_named_with_the_reason(
    fake_run: Any, read_step: Any, tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(StepFailed, match=rf"file '{name}' cannot be read as \w+: .+"):
        file(read_step, fake_run(), name)


@pytest.mark.parametrize(
    ("name", "value", "content"),
    [
        ("a.json", {"a": "é"}, '{\n  "a": "é"\n}\n'),
        ("a.yml", {"b": "é", "a": "on"}, "b: é\na: 'on'\n"),
        ("a.yml", "x", "x\n"),
        ("a.txt", "no newline", "no newline"),
        ("a.txt", {"a": 1}, '{"a": 1}'),
    ],
)
def test_a_value_is_written_by_the_extension(
    fake_run: Any, read_step: Any, tmp_path: Path, name: str, value: Any, content: str
) -> None:
    run = fake_run({"value": value, "n": 1})

    result = file(read_step, run, "out_{{ n }}/" + name, mode="write", data_key="value")

    assert (tmp_path / "out_1" / name).read_text() == content
    assert result == {"path": f"out_1/{name}", "bytes": len(content.encode())}


@pytest.mark.parametrize(
    ("name", "value", "content"),
    [
        ("a.json", {"a": 1}, '{"a": 1}\n{"a": 1}\n'),
        ("a.json", [1, 2], "1\n2\n1\n2\n"),
        ("a.yml", {"a": 1}, "---\na: 1\n---\na: 1\n"),
        ("a.txt", "line", "line\nline\n"),
        ("a.log", "line\n", "line\nline\n"),
    ],
)
def test_append_adds_records_documents_and_lines(
    fake_run: Any, read_step: Any, tmp_path: Path, name: str, value: Any, content: str
) -> None:
    for _ in range(2):
        file(read_step, fake_run({"value": value}), name, mode="append", data_key="value")

    assert (tmp_path / name).read_text() == content


@pytest.mark.parametrize("mode", ["write", "append"])
def test_what_is_to_be_written_must_be_named(read_step: Any, mode: str) -> None:
    with pytest.raises(ValidationError, match=f"mode {mode} needs data_key"):
        read_step("file", path="a.yml", mode=mode)


def test_half_characters_are_not_written(fake_run: Any, read_step: Any, tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match=r"half character \(U\+D800\)"):
        file(read_step, fake_run({"value": "\ud800"}), "a.txt", mode="write", data_key="value")

    assert not (tmp_path / "a.txt").exists()


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(VALUES)
def test_what_is_written_is_read_again(value: Any) -> None:
    for format in ("json", "yaml"):
        assert _read("a", _encoded("a", _written(value, format)), format) == value
