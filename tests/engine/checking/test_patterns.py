"""Regular expressions that would keep the process busy that checks them are refused before they are compiled."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from engine.checking.patterns import AFFORDABLE, Budget, cost_of, patterns_of
from engine.checking.structure import check_flow

WIDE = r"[\u0000-\U0010ffff]"


def step(name: str = "a", **keys: Any) -> dict[str, Any]:
    return {"name": name, "type": "set_fact", "set_fact": {"value": 1}, **keys}


def switch(*patterns: str, default: Any = None) -> dict[str, Any]:
    cases = [{"when": each, "step": step()} for each in patterns]
    return {"name": "s", "type": "switch", "switch": {"data_key": "x", "cases": cases, "default": default or step()}}


def codes_of(*steps: Any) -> list[str]:
    _, problems = check_flow("f.yml", json.dumps({"name": "f", "steps": list(steps)}))
    return [each.code for each in problems]


@pytest.mark.parametrize(
    "costly",
    [
        step(ignore_errors=WIDE * 3000),
        step(ignore_errors=["x" * AFFORDABLE, "y"]),
        step(ignore_errors=["(?i)" + "[\\u0000-\\uffff]" * 3000]),
        step(ignore_errors=[f"[a-z]{number}" for number in range(2000)]),
        switch(WIDE * 3000),
        switch("a", default=switch("b", default=step(ignore_errors=WIDE * 3000))),
    ],
)
def test_what_would_take_long_to_compile_is_refused_and_not_compiled(costly: Any, monkeypatch: Any) -> None:
    compiled: set[str] = set()
    really = re.compile
    monkeypatch.setattr(re, "compile", lambda text, *flags: compiled.add(str(text)) or really(text, *flags))

    codes = codes_of(costly)

    assert codes == ["patterns_too_costly"]
    assert not compiled & set(patterns_of(costly))


def test_many_cheap_steps_are_costly_together() -> None:
    steps = [step(f"s{number}", ignore_errors=f"{WIDE}{number}") for number in range(100)]

    assert codes_of(*steps) == ["patterns_too_costly"]
    assert codes_of(*steps[: AFFORDABLE // cost_of(WIDE + "99") - 1]) == []


def test_a_pattern_that_stands_in_every_step_costs_once() -> None:
    wide = [step(f"s{number}", ignore_errors=WIDE) for number in range(300)]
    usual = [step(f"t{number}", ignore_errors=["timed? out", "[45]\\d\\d", "refused"]) for number in range(300)]

    assert codes_of(*wide, *usual) == []


@pytest.mark.parametrize(
    "odd",
    [None, 1, [], [[]], {"switch": []}, {"switch": {"cases": 1, "default": [1]}}, {"ignore_errors": [None, 3, {}]},
     {"switch": {"cases": [1, {"when": 5, "step": "x"}]}}],
)  # fmt: skip
def test_what_is_no_step_has_no_patterns(odd: Any) -> None:
    assert list(patterns_of(odd)) == []
    assert Budget().allows(odd)
