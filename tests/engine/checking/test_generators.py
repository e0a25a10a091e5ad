"""A generator at the top of a jq program, told from its text."""

from __future__ import annotations

import pytest

from engine.checking.generators import yields_many


@pytest.mark.parametrize(
    ("expression", "many"),
    [
        (".tickets[] | select(.open)", True),
        (".a[]", True),
        (".a[]?", True),
        (".a, .b", True),
        ("to_entries[] | .key", True),
        (".[] as $x | $x", True),
        (".a[ ]", True),
        ("[.a[]]", False),
        ("[.a[] | .b] | length", False),
        (".a | map(.b)", False),
        ("first(.a[])", False),
        ("reduce .a[] as $x (0; . + $x)", False),
        ("reduce .a[] as $x (0; . + $x) | .b[]", True),
        ('"a[], b"', False),
        (".a # .b[]", False),
        ("{a: .b, c: .d}", False),
        (".a[].b = 1", False),
        (".a[] |= f", False),
        (".a[] |= f | .b[]", True),
        (".a[] == 1", True),
        (".a[0]", False),
        ("if . then .a[] else . end", False),
        ("def f: .a[]; [f]", False),
        ("[", False),
        ("]]]", False),
        ('"', False),
        ("", False),
    ],
)
def test_a_generator_at_the_top_is_told_from_its_text(expression: str, many: bool) -> None:
    assert yields_many(expression) is many
