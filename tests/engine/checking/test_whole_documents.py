"""A document with its sub-flows and templates: its revision, its parts, and what is wrong anywhere in it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from textwrap import dedent

import pytest
import yaml

from engine.catalog import Catalog
from engine.checking import Checker
from engine.errors import DocumentInvalid, FlowNotFound, PathRefused
from engine.models.problem import Problem
from engine.settings import Settings


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "flows").mkdir()
    (tmp_path / "templates").mkdir()
    return tmp_path


@pytest.fixture
def checker(data: Path) -> Checker:
    return Checker(Catalog.from_settings(Settings(data_path=data, max_document_bytes=2000)), max_depth=9)


def write_flow(data: Path, path: str, *calls: str, template: str | None = None) -> None:
    steps = [{"name": f"to {call}", "type": "flow", "flow": {"path": call, "data_key": "."}} for call in calls]
    if template is not None:
        steps.append({"name": "render", "type": "jinja", "jinja": {"path": template}})
    steps.append({"name": "end", "type": "debug"})
    (data / "flows" / path).parent.mkdir(exist_ok=True)
    (data / "flows" / path).write_text(yaml.safe_dump({"name": path, "steps": steps}, sort_keys=False))


def invalid(checker: Checker, path: str) -> list[Problem]:
    with pytest.raises(DocumentInvalid) as caught:
        checker.document(path)
    return caught.value.problems


def test_a_document_comes_with_all_its_parts(data: Path, checker: Checker) -> None:
    write_flow(data, "a.yml", "./sub/b.yml", "c.yml", template="templates/t.j2")
    write_flow(data, "sub/b.yml", "c.yml")
    write_flow(data, "c.yml", template="t.j2")
    (data / "templates" / "t.j2").write_text("{{ not compiled")

    checked = checker.document("./a.yml")

    parts = {part.path: part for part in checked.parts}
    assert sorted(parts) == ["c.yml", "sub/b.yml", "t.j2"]
    assert len(checked.parts) == 3
    assert checked.document.path == "a.yml"
    assert checked.document.parts == {
        "flow:./sub/b.yml": parts["sub/b.yml"].revision,
        "flow:c.yml": parts["c.yml"].revision,
        "template:templates/t.j2": parts["t.j2"].revision,
    }
    assert parts["sub/b.yml"].parts == {"flow:c.yml": parts["c.yml"].revision}
    assert parts["t.j2"].text == "{{ not compiled"
    assert all(re.fullmatch("[0-9a-f]{64}", document.revision) for document in (checked.document, *checked.parts))


def test_a_revision_changes_with_anything_below_it_and_with_nothing_else(data: Path, checker: Checker) -> None:
    write_flow(data, "a.yml", "b.yml")
    write_flow(data, "b.yml", template="t.j2")
    write_flow(data, "other.yml")
    (data / "templates" / "t.j2").write_text("one")
    first = checker.document("a.yml")

    write_flow(data, "other.yml", "b.yml")
    os.utime(data / "flows" / "b.yml")
    assert checker.document("a.yml").document.revision == first.document.revision

    (data / "templates" / "t.j2").write_text("two")
    second = checker.document("a.yml")
    assert second.document.revision != first.document.revision
    assert second.document.text == first.document.text

    (data / "templates" / "t.j2").write_text("one")
    assert checker.document("a.yml").document.revision == first.document.revision


def test_a_verdict_is_kept_until_a_file_changes(data: Path, checker: Checker) -> None:
    write_flow(data, "a.yml", "b.yml")
    write_flow(data, "b.yml")
    first = checker.document("a.yml")

    assert checker.document("./a.yml") is first
    write_flow(data, "b.yml")
    assert checker.document("a.yml") is not first
    (data / "flows" / "b.yml").unlink()
    assert [problem.code for problem in invalid(checker, "a.yml")] == ["file_not_found"]
    write_flow(data, "b.yml")
    assert checker.document("a.yml").document == first.document


def test_a_link_turned_to_another_file_is_seen(data: Path, checker: Checker) -> None:
    write_flow(data, "a.yml", "current.yml")
    write_flow(data, "one.yml")
    write_flow(data, "two.yml")
    (data / "flows" / "current.yml").symlink_to("one.yml")
    first = checker.document("a.yml")

    (data / "flows" / "current.yml").unlink()
    (data / "flows" / "current.yml").symlink_to("two.yml")

    assert checker.document("a.yml").parts[0].path == "two.yml"
    assert first.parts[0].path == "one.yml"


def test_every_spelling_is_the_same_document(data: Path, checker: Checker) -> None:
    write_flow(data, "é.yml")
    (data / "flows" / "link.yml").symlink_to("é.yml")

    keys = {
        checker.document(path).document.path for path in ("é.yml", "e\u0301.yml", "./é.yml", "x/../é.yml", "link.yml")
    }

    assert keys == {"é.yml"}


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("tickets", "'tickets.yml'"),
        ("tickets.yaml", "'tickets.yml'"),
        ("flows/tickets.yml", "'tickets.yml'"),
        ("daily.yml", "'reports/daily.yml'"),
        ("nope.yml", None),
        ("x.yml", None),
        ("helo.yml", "'hello.yml'"),
    ],
)
def test_what_is_meant_is_told_by_the_name_and_not_by_the_suffix(data: Path, checker: Checker, asked, meant) -> None:
    for name in ("tickets.yml", "reports/daily.yml", "a/ok.yml", "b/other.yml", "hello.yml", "own.yml", "slow.yml"):
        write_flow(data, name)

    with pytest.raises(FlowNotFound) as caught:
        checker.document(asked)

    assert str(caught.value).partition(" Did you mean ")[2] == (f"{meant}?" if meant else "")


def test_a_flow_that_is_not_there_is_named_with_those_that_are_close(data: Path, checker: Checker) -> None:
    write_flow(data, "tickets.yml")

    with pytest.raises(
        FlowNotFound, match=r"There is no flow 'ticket.yml' in FLOWS_PATH. Did you mean 'tickets.yml'\?"
    ):
        checker.document("ticket.yml")
    with pytest.raises(FlowNotFound, match=r"There is no flow 'zzz' in FLOWS_PATH\.$"):
        checker.document("zzz")
    with pytest.raises(PathRefused):
        checker.document("../secrets.yml")


def test_a_document_that_is_too_large_or_not_text_is_refused(data: Path, checker: Checker) -> None:
    (data / "flows" / "big.yml").write_text("#" * 2001)
    (data / "flows" / "latin.yml").write_bytes(b"name: \xe9")

    assert [(problem.code, problem.message) for problem in invalid(checker, "big.yml")] == [
        ("too_large", "file 'big.yml' has 2001 bytes, more than the limit of 2000")
    ]
    assert [problem.code for problem in invalid(checker, "latin.yml")] == ["not_utf8"]


def test_references_that_lead_nowhere_are_problems_at_their_lines(data: Path, checker: Checker) -> None:
    text = """\
        steps:
        - name: a
          type: flow
          flow: {path: sub.yml, data_key: .}
        - name: b
          type: flow_loop
          flow_loop:
            path: "{{ which }}.yml"
            data_key: items
        - name: c
          type: switch
          switch:
            data_key: x
            cases:
            - when: x
              step: {type: jinja, jinja: {path: ../flows/a.yml}}
        """
    write_flow(data, "subs.yml")
    (data / "flows" / "a.yml").write_text(dedent(text))

    problems = invalid(checker, "a.yml")

    assert [(p.line, p.path, p.code) for p in problems] == [
        (4, "steps.0.flow.path", "file_not_found"), (8, "steps.1.flow_loop.path", "file_not_found"),
        (16, "steps.2.switch.cases.0.step.jinja.path", "path_refused"),
    ]  # fmt: skip
    assert "did you mean 'subs.yml'" in problems[0].message
    assert "expression cannot stand here" in (problems[1].hint or "")


@pytest.mark.parametrize(
    ("called", "hint"), [("sub/nope.yml", ""), ("sub/helo.yml", "; did you mean 'sub/hello.yml'?")]
)
def test_a_sub_flow_that_may_be_meant_is_told_with_its_whole_path(data: Path, checker: Checker, called, hint) -> None:
    for name in ("sub/hello.yml", "sub/own.yml", "sub/slow.yml"):
        write_flow(data, name)
    write_flow(data, "a.yml", called)

    [problem] = invalid(checker, "a.yml")

    assert problem.message.endswith(f"file '{called}' is not in FLOWS_PATH{hint}")


def test_a_flow_that_calls_itself_is_refused_with_the_chain(data: Path, checker: Checker) -> None:
    write_flow(data, "a.yml", "b.yml")
    write_flow(data, "b.yml", "sub/../c.yml")
    write_flow(data, "c.yml", "./a.yml")
    write_flow(data, "self.yml", "self.yml")

    [problem] = invalid(checker, "a.yml")
    assert "the flow calls itself: a.yml > b.yml > c.yml > a.yml" in problem.message
    assert "sub-flow 'c.yml', line" in problem.message
    assert problem.path == "steps.0.flow.path"
    [problem] = invalid(checker, "self.yml")
    assert problem.message.endswith("the flow calls itself: self.yml > self.yml")
    [problem] = invalid(checker, "c.yml")
    assert "c.yml > a.yml > b.yml > c.yml" in problem.message


def test_flows_nest_as_deep_as_the_limit_and_no_deeper(data: Path, checker: Checker) -> None:
    for number in range(11):
        write_flow(data, f"{number}.yml", *([f"{number + 1}.yml"] if number < 10 else []))

    assert len(checker.document("1.yml").parts) == 9
    [problem] = invalid(checker, "0.yml")
    assert "flow depth over 9: 0.yml > 1.yml" in problem.message


def test_depth_is_counted_along_every_way_to_a_sub_flow(data: Path, checker: Checker) -> None:
    write_flow(data, "0.yml", "6.yml", "1.yml")
    for number in range(1, 12):
        write_flow(data, f"{number}.yml", *([f"{number + 1}.yml"] if number < 11 else []))

    assert {problem.code for problem in invalid(checker, "0.yml")} == {"too_deep"}


def test_problems_of_a_sub_flow_are_told_once_where_it_is_called(data: Path, checker: Checker) -> None:
    write_flow(data, "a.yml", "b.yml", "c.yml")
    write_flow(data, "b.yml", "c.yml")
    (data / "flows" / "c.yml").write_text("nmae: x\nsteps:\n- {name: a, type: jqq}\n")

    problems = invalid(checker, "a.yml")

    assert [(p.path, p.message) for p in problems] == [
        ("steps.0.flow.path", "sub-flow 'c.yml', line 1: nmae is not a known key of a flow"),
        ("steps.0.flow.path", "sub-flow 'c.yml', line 3: step 'a': 'jqq' is not a step type"),
    ]


def test_warnings_do_not_stop_a_document(data: Path, checker: Checker) -> None:
    write_flow(data, "a.yml", "b.yml")
    (data / "flows" / "b.yml").write_text("steps: [{name: x, type: jq, jq: {expression: '.[]'}}]")

    checked = checker.document("a.yml")

    assert [(p.severity, p.path) for p in checked.warnings] == [("warning", "steps.0.flow.path")]


def test_a_text_is_checked_as_if_it_were_at_its_path(data: Path, checker: Checker) -> None:
    write_flow(data, "a.yml", "b.yml")
    write_flow(data, "b.yml", "a.yml")

    assert checker.look("b.yml", "steps: [{name: x, type: debug}]").problems == ()
    assert checker.look("new.yml", "steps: 1").problems[0].path == "steps"
    loop = checker.look("new.yml", "steps: [{name: x, type: flow, flow: {path: new.yml, data_key: .}}]").problems
    assert [problem.code for problem in loop] == ["file_not_found"]
    with pytest.raises(PathRefused):
        checker.look("../x.yml", "")


def test_a_diamond_of_many_levels_is_checked_once_each(data: Path, checker: Checker) -> None:
    for level in range(9):
        for side in "lr":
            write_flow(data, f"{level}{side}.yml", f"{level + 1}l.yml", f"{level + 1}r.yml")
    for side in "lr":
        write_flow(data, f"9{side}.yml")

    assert len(checker.document("0l.yml").parts) == 18
