"""Whether a jq program yields many values at its top, told from its text: compiling it would be running it."""

from __future__ import annotations

import re

TOKEN = re.compile(
    r'#[^\n]*|"(?:\\.|[^"\\])*"'
    r"|(?P<each>\[\s*\])|(?P<open>[\[({])|(?P<close>[\])}])|(?P<comma>,)"
    r"|(?P<assign>(?://|[|+*/%-])=|(?<![=!<>])=(?!=))|(?P<pipe>\|)|(?P<gathers>\breduce\b)|(?P<unclear>\b(?:def|if|foreach)\b)",
    re.DOTALL,
)


def yields_many(expression: str) -> bool:
    """True for `.a[] | f` and `.a, .b`; False where values are gathered or set, and whenever it is not plain to see."""
    depth, many, gathered = 0, False, False
    for token in TOKEN.finditer(expression):
        match token.lastgroup:
            case "open":
                depth += 1
            case "close":
                depth -= 1
                gathered = gathered and depth > 0
            case "unclear" if depth == 0:
                return False
            case "gathers" if depth == 0:
                gathered = True
            case "each" if depth == 0 and not gathered:
                many = True
            case "assign" if depth == 0:
                many = False
            case "comma" if depth == 0:
                return True
            case "pipe" if depth == 0 and many:
                return True
    return many
