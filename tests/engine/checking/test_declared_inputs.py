"""The declarations of inputs: every problem with its place, and a list of those that are good."""

from __future__ import annotations

import json
import os

import pytest

from engine.catalog import Catalog
from engine.checking import check_flow
from engine.checking import declared as declared_module
from engine.checking.declared import DeclaredInputs
from engine.models.inputs import MAX_INPUTS, MAX_PATTERNS
from engine.settings import Settings

STEPS = "steps: [{name: a, type: debug, debug: {}}]\n"
GOOD = "inputs: [{name: host}]\n" + STEPS


def problems_of(declaration):
    return check_flow("f.yml", f"{STEPS}inputs:\n  - {declaration}\n")[1]


@pytest.mark.parametrize(
    ("declaration", "key", "code", "message", "hint"),
    [
        ("{name: a, type: strin}", "type", "unknown_type", "not 'strin'", "did you mean 'string'?"),
        ("{name: a, type: zzz}", "type", "unknown_type", "not 'zzz'", "types: string, integer"),
        ("{name: a, type: [1]}", "type", "unknown_type", "not a list", "types: "),
        ("{name: 1a}", "name", "wrong_value", "a plain name, not '1a'", "no digit first"),
        ("{name: __input__}", "name", "reserved_name", "'__input__', which in `_data` belongs to the run", None),
        ("{name: __job_id__}", "name", "reserved_name", "belongs to the run", None),
        ("{name: 5}", "name", "wrong_type", "must be text", "quotes"),
        ("{name: a, reqired: true}", "reqired", "unknown_key", "not a known key", "'required'"),
        ("{name: a, required: 1}", "required", "wrong_type", "true or false", None),
        ("{name: a, description: 5}", "description", "wrong_type", "must be text", "quotes"),
        ("{name: a, default: 5}", "default", "wrong_value", "must be text, not a number", None),
        ("{name: a, default: }", "default", "wrong_value", "not null", "leave it out"),
        ("{name: a, enum: []}", "enum", "empty", "must not be empty", "leave it out"),
        ("{name: a, enum: x}", "enum", "wrong_type", "a list of values", None),
        ("{name: a, enum: [x, x]}", "enum", "duplicate", "same value twice", None),
        ("{name: a, enum: [x, 5]}", "enum", "wrong_value", "cannot have 5: it must be text", None),
        ("{name: a, enum: [x], default: y}", "default", "wrong_value", 'must be one of "x"', None),
        ("{name: a, pattern: '('}", "pattern", "bad_pattern", "does not compile: unclosed group", "RE2"),
        ("{name: a, pattern: '(?=x)'}", "pattern", "bad_pattern", "look-around", "no look-around"),
        ("{name: a, pattern: '\\pL{1000}'}", "pattern", "bad_pattern", "exceeds size limit", None),
        (f"{{name: a, pattern: '{'x' * 1001}'}}", "pattern", "wrong_value", "may have 1000", None),
        ("{name: a, pattern: 5}", "pattern", "wrong_type", "must be text", "quotes"),
        ("{name: a, type: integer, pattern: x}", "pattern", "wrong_value", "for texts only", "string"),
        ("{name: a, pattern: '^x', default: y}", "default", "wrong_value", "must match the pattern ^x", None),
        ("{name: a, secret: true, default: hunter2}", "default", "wrong_value", "read by everybody", "secrets.yml"),
        ("{name: a, secret: true, enum: [hunter2]}", "enum", "wrong_value", "read by everybody", None),
        ("{name: a, secret: true, type: integer}", "type", "wrong_value", "a secret is a text", None),
    ],
)
def test_what_is_wrong_is_told_with_its_place(declaration, key, code, message, hint):
    [problem] = problems_of(declaration)

    assert (problem.path, problem.code, problem.line, problem.severity) == (f"inputs.0.{key}", code, 3, "error")
    assert problem.column == 6 + declaration.index(f"{key}:") - 1
    assert message in problem.message
    assert (hint in (problem.hint or "")) if hint else True


def test_a_key_that_is_not_known_hides_no_wrong_default():
    problems = problems_of("{name: a, type: integer, default: x, typo: 1}")

    assert [problem.path for problem in problems] == ["inputs.0.default", "inputs.0.typo"]


def test_two_inputs_of_one_name_are_told():
    [problem] = check_flow("f.yml", f"{STEPS}inputs: [{{name: a}}, {{name: a}}]")[1]

    assert (problem.path, problem.code) == ("inputs.1.name", "duplicate")


def test_a_default_that_is_never_used_is_a_warning():
    [problem] = problems_of("{name: a, required: true, default: x}")

    assert (problem.severity, problem.code) == ("warning", "unused_default")


@pytest.mark.parametrize(
    ("count", "extra"), [(MAX_INPUTS + 1, {}), (MAX_PATTERNS + 1, {"pattern": "x"})], ids=["inputs", "patterns"]
)
def test_there_are_only_so_many(count, extra):
    given = [{"name": f"a{number}", **extra} for number in range(count)]

    _, enough = check_flow("f.yml", json.dumps({"steps": [], "inputs": given[:-1]}))
    _, too_many = check_flow("f.yml", json.dumps({"steps": [], "inputs": given}))

    assert "too_many" not in {problem.code for problem in enough}
    assert "too_many" in {problem.code for problem in too_many}


# Of a whole folder


@pytest.fixture
def folder(tmp_path):
    flows = tmp_path / "flows"
    flows.mkdir()
    return flows


@pytest.fixture
def listed(folder, tmp_path):
    declared = DeclaredInputs(Catalog.from_settings(Settings(data_path=tmp_path)))
    return lambda is_wanted=lambda path: True: [flow.path for flow in declared.list(is_wanted)]


def test_documents_that_are_broken_or_declare_nothing_are_passed_over(folder, listed):
    (folder / "good.yml").write_text(GOOD)
    (folder / "none.yml").write_text(STEPS)
    (folder / "wrong.yml").write_text("inputs: [{name: 5}]\n" + STEPS)
    (folder / "broken.yml").write_text("inputs: [\n")
    (folder / "list.yml").write_text("[inputs]\n")
    (folder / "bytes.yml").write_bytes(b"inputs: \xff")

    assert listed() == ["good.yml"]


def test_a_change_of_a_file_is_seen_and_others_are_not_read_again(folder, listed, monkeypatch):
    for number, name in enumerate(("a.yml", "b.yml")):
        (folder / name).write_text(GOOD)
        os.utime(folder / name, ns=(0, number))
    listed()
    read = []
    load = Catalog.load
    monkeypatch.setattr(Catalog, "load", lambda self, key: read.append(key) or load(self, key))

    (folder / "a.yml").write_text(STEPS + "# inputs are gone")

    assert listed() == ["b.yml"]
    assert read == ["a.yml"]


def test_files_that_cannot_be_read_are_read_once(folder, listed, monkeypatch):
    (folder / "broken.yml").write_text("inputs: [\n")
    (folder / "bytes.yml").write_bytes(b"inputs: \xff")
    (folder / "big.yml").write_text(GOOD + "#" * Settings().max_document_bytes)
    listed()
    read = []
    monkeypatch.setattr(Catalog, "load", lambda self, key: read.append(key))

    assert listed() == []
    assert read == []


def test_only_those_that_are_wanted_and_only_so_many_are_looked_at(folder, listed, monkeypatch):
    for name in ("a", "b", "c", "d"):
        (folder / f"{name}.yml").write_text(GOOD)
    monkeypatch.setattr(declared_module, "MAX_DOCUMENTS", 2)

    assert listed(lambda path: path != "a.yml") == ["b.yml", "c.yml"]

    monkeypatch.setattr(declared_module, "MAX_CHARACTERS", len(GOOD) + 1)
    assert listed() == ["a.yml"]


def test_a_folder_that_is_not_there_has_none(folder, listed):
    folder.rmdir()

    assert listed() == []
