"""Refuses jq programs that reach outside their input: the environment, further input, files, the process itself.

jq has no switch for this, so that the text is read the way jq's lexer does it: words inside strings and comments are
free, words inside an interpolation (`"\\(env)"`) are not. Where jq's versions differ, the text is refused.
"""

from __future__ import annotations

import re

from engine.templating.errors import ExpressionError

REACHING = frozenset(
    {
        "env", "ENV", "input", "inputs", "import", "include", "input_filename", "input_line_number",
        "get_search_list", "modulemeta", "halt", "halt_error",
    }
)  # fmt: skip
CODE = re.compile(
    r"""(?P<quote>")
      | (?P<comment>\#[^\r\n]*)(?P<end>\r?\n|\r|$)
      | (?P<open>[(\[{]) | (?P<close>[)\]}])
      | (?P<field>(?<!\.)\.[A-Za-z_]\w*)
      | (?P<word>\$?[A-Za-z_]\w*)(?P<key>\s*:(?!:))?
    """,
    re.VERBOSE | re.ASCII,
)
STRING = re.compile(r'(?P<interpolation>\\\()|\\.|(?P<quote>")', re.DOTALL)


def refuse_reach(program: str) -> None:
    """ExpressionError when the program names something that reaches outside its input."""
    if "\0" in program:
        raise ExpressionError("a NUL is not allowed here: jq would not read what follows it")
    brackets: list[str] = []
    position, in_string = 0, False
    while match := (STRING if in_string else CODE).search(program, position):
        position = match.end()
        groups = match.groupdict()
        if groups["quote"]:
            in_string = not in_string
        elif groups.get("interpolation"):
            brackets.append("string")
            in_string = False
        elif groups.get("open"):
            brackets.append("code")
        elif groups.get("close"):
            in_string = bool(brackets) and brackets.pop() == "string"
        elif groups.get("comment"):
            _check_comment(groups["comment"], groups["end"])
        elif groups.get("word"):
            _check_word(groups["word"], is_key=bool(groups["key"]))


def _check_comment(comment: str, end: str) -> None:
    """Whether such a comment goes on in the next line depends on jq's version."""
    if comment.endswith("\\") or end == "\r":
        raise ExpressionError("a comment that ends in a backslash or a bare carriage return is not allowed")


def _check_word(word: str, *, is_key: bool) -> None:
    """A variable may be called `$input` and a key `env`; only `$ENV` is never what a flow made itself."""
    if word == "$ENV" or (word in REACHING and not is_key):
        raise ExpressionError(f"{word!r} is not allowed here: a program sees its input and nothing else")
