"""Whether an expression compiles, asked of the very functions that run it."""

from __future__ import annotations

import re
from difflib import get_close_matches

from engine.models.expression import Fault, Language
from engine.templating.errors import ExpressionError
from engine.templating.jinja import MARKS, expression_program, is_template, is_word, leaf_program, text_program
from engine.templating.queries import must_compile

MAX_MESSAGE = 500
"""The most characters of a fault's sentence: jq may have something to say about every word."""
UNKNOWN_NAME = re.compile(r"No (filter|test) named '(.*?)'")
UNKNOWN_FUNCTION = re.compile(r"(?:^|; )([A-Za-z_]\w*)/0 is not defined")


def is_code(language: Language, text: str) -> bool:
    """Whether there is anything to compile. It only looks at the text: any process may ask."""
    match language:
        case Language.JQ:
            return True
        case Language.CONDITION:
            return not is_word(text)
    return is_template(text)


def fault_of(language: Language, text: str) -> Fault | None:
    """Why the text does not compile, None when it does. It may take all memory, and any time, to find out."""
    if not is_code(language, text):
        return None
    try:
        _compile(language, text)
    except ExpressionError as error:
        message = str(error)
        if len(message) > MAX_MESSAGE:
            message = f"{message[:MAX_MESSAGE]}... ({len(message)} characters)"
        return Fault(message, _hint(language, text, message))
    except MemoryError:
        return Fault("it needs more memory than a job may have (JOB_MEMORY_MB)")
    return None


def _compile(language: Language, text: str) -> None:
    match language:
        case Language.JQ:
            must_compile(text)
        case Language.TEMPLATE:
            text_program(text)
        case Language.CONDITION if not is_template(text):
            expression_program(text)
        case _:
            leaf_program(text)


def _hint(language: Language, text: str, message: str) -> str | None:
    """The way out of what is often done wrong."""
    if language is Language.JQ:
        if any(mark in text for mark in MARKS[:2]):
            return "this is jq and not Jinja: a key of the data is written `.key`, without braces"
        name = UNKNOWN_FUNCTION.search(message)
        return f"jq has no function {name[1]}; a key of the data is written `.{name[1]}`" if name else None
    name = UNKNOWN_NAME.search(message)
    return _known_hint(name[1], name[2]) if name else None


def _known_hint(kind: str, name: str) -> str | None:
    from engine.templating.sandbox import sandbox

    known = sandbox().filters if kind == "filter" else sandbox().tests
    near = get_close_matches(name, known, 1)
    return f"did you mean {near[0]!r}?" if near else None
