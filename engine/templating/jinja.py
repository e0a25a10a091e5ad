"""Renders templates and evaluates expressions; the text of each is compiled once."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import lru_cache
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from engine.models.job import Json
from engine.templating.errors import ExpressionError, excerpt
from engine.templating.json_values import as_json
from engine.templating.names import Names

if TYPE_CHECKING:
    from jinja2 import Template

T = TypeVar("T")

MAX_CHARACTERS = 10_000_000
"""The most characters one template renders, unless the caller says otherwise."""
MARKS = ("{{", "{%", "{#")
FALSE_WORDS = frozenset({"", "false", "no", "0"})
WORDS = FALSE_WORDS | {"true", "yes"}
"""Conditions that mean themselves: YAML 1.2 reads `when: no` as a text."""


def render(template: str, names: Mapping[str, Any], *, limit: int = MAX_CHARACTERS) -> str:
    """The template's text; ExpressionError when it does not compile, uses what is not there, or grows too long."""
    if not is_template(template):
        return template
    return _text(text_program(template), template, names, limit)


def evaluate(expression: str, names: Mapping[str, Any]) -> Json:
    """The value of a bare expression such as `tickets | length`."""
    return _value(expression_program(expression), expression, names)


def render_value(value: Json, names: Mapping[str, Any], *, limit: int = MAX_CHARACTERS) -> Json:
    """The value with each string in it rendered; a string that is one `{{ expression }}` becomes its value."""
    if isinstance(value, str):
        return _render_leaf(value, names, limit)
    if isinstance(value, dict):
        return {key: render_value(item, names, limit=limit) for key, item in value.items()}
    if isinstance(value, list):
        return [render_value(item, names, limit=limit) for item in value]
    return value


def condition(expression: Any, names: Mapping[str, Any]) -> bool:
    """Whether the condition holds: a bare expression, one in `{{ }}`, a template, or a plain value."""
    return holds(evaluate_condition(expression, names))


def evaluate_condition(expression: Any, names: Mapping[str, Any]) -> Json:
    """What the condition comes to, before `holds` judges it."""
    if not isinstance(expression, str) or is_word(expression):
        return expression
    if is_template(expression):
        return _render_leaf(expression, names, MAX_CHARACTERS)
    return evaluate(expression, names)


def holds(value: Json) -> bool:
    """Python's truth, but for the texts `false`, `no`, `0` and blank ones in any case, which are false."""
    if isinstance(value, str):
        return value.strip().lower() not in FALSE_WORDS
    return bool(value)


def warm() -> None:
    """Import and build what the first expression would wait for: called once, before job processes are forked."""
    import jq  # noqa: F401

    from engine.templating.sandbox import sandbox

    sandbox()


def is_template(text: str) -> bool:
    """Whether there is anything to render in it."""
    return any(mark in text for mark in MARKS)


def is_word(condition: str) -> bool:
    """Whether a condition means itself, as `no` does."""
    return condition.strip().lower() in WORDS


def _render_leaf(text: str, names: Mapping[str, Any], limit: int) -> Json:
    if not is_template(text):
        return text
    program, is_value = leaf_program(text)
    return _value(program, text, names) if is_value else _text(program, text, names, limit)


@lru_cache(maxsize=512)
def text_program(text: str) -> Template:
    """The template as a text program; ExpressionError when it does not compile."""
    from engine.templating.sandbox import compile_text

    return _compile(compile_text, text)


@lru_cache(maxsize=512)
def leaf_program(text: str) -> tuple[Template, bool]:
    """The program of a string in a value, and whether it gives a value; ExpressionError."""
    from engine.templating.sandbox import compile_leaf

    return _compile(compile_leaf, text)


@lru_cache(maxsize=512)
def expression_program(text: str) -> Template:
    """The program of a bare expression; ExpressionError when it does not compile."""
    from engine.templating.sandbox import compile_expression

    return _compile(compile_expression, text)


def _compile(compile: Callable[[str], T], text: str) -> T:
    from jinja2 import TemplateSyntaxError

    try:
        return compile(text)
    except TemplateSyntaxError as error:
        raise ExpressionError(f"{error.message}{_place(text, error.lineno)}") from error
    except Exception as error:
        raise ExpressionError(f"{_why(error, {})}{_place(text, None)}") from error


def _text(program: Template, text: str, names: Mapping[str, Any], limit: int) -> str:
    parts: list[str] = []
    size = 0
    try:
        for part in program.root_render_func(_context(program, names)):
            size += len(part)
            if size > limit:
                raise ExpressionError(f"the rendered text is over {limit} characters")
            parts.append(part)
    except Exception as error:
        raise _failure(error, program, text, names) from error
    return "".join(parts)


def _value(program: Template, text: str, names: Mapping[str, Any]) -> Json:
    context = _context(program, names)
    try:
        for _ in program.root_render_func(context):
            pass
        return as_json(context.vars["result"])
    except Exception as error:
        raise _failure(error, program, text, names) from error


def _context(program: Template, names: Mapping[str, Any]) -> Any:
    """A context that looks names up where they are: `shared` spares the copy that Jinja makes for each render."""
    maps = names.maps if isinstance(names, Names | ChainMap) else (names,)
    return program.new_context(Names(*maps, program.globals), shared=True)  # type: ignore[arg-type]


def _failure(error: Exception, program: Template, text: str, names: Mapping[str, Any]) -> ExpressionError:
    return ExpressionError(f"{_why(error, names)}{_place(text, _line(error.__traceback__, program))}")


def _why(error: Exception, names: Mapping[str, Any]) -> str:
    from jinja2.exceptions import SecurityError, UndefinedError

    from engine.templating.sandbox import UndefinedName

    match error:
        case UndefinedName(top=True):
            near = get_close_matches(error.name, [str(name) for name in names], n=1)
            return f"{error}; did you mean {near[0]!r}?" if near else str(error)
        case ExpressionError() | UndefinedError() | SecurityError():
            return str(error)
        case RecursionError():
            return "it is nested, or calls itself, too deeply"
        case MemoryError():
            return "it needs more memory than a job may have (JOB_MEMORY_MB)"
    return f"{error} ({type(error).__name__})"


def _line(traceback: TracebackType | None, program: Template) -> int | None:
    """The template's own line: the deepest frame of its compiled code tells."""
    line = None
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == "<template>":
            line = program.get_corresponding_lineno(traceback.tb_lineno)
        traceback = traceback.tb_next
    return line


def _place(text: str, line: int | None) -> str:
    if line is not None and "\n" in text.strip():
        return f" (line {line} of the template, in `{excerpt(text.splitlines()[line - 1])}`)"
    return f" (in `{excerpt(text)}`)"
