"""The Jinja environment that a document's expressions run in: data may be read, not changed, and results stay small."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sized
from functools import cache, partial, wraps
from typing import Any

from jinja2 import StrictUndefined, Template, nodes
from jinja2.exceptions import SecurityError, UndefinedError
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing

from engine.templating.json_values import as_json

MAX_SIZE = 10_000_000
"""The most characters or elements that one operator may make."""
MAX_BITS = 100_000
"""The most bits of a whole number."""
MAX_WIDTH = 100_000
"""The widest padding."""
WIDE_FORMAT = re.compile(r"%(\(\w*\))?[-+ #0]*(\d*\.)?(\*|\d{6})|\{[^{}]*:[^{}]*(\{|\d{6})")
"""Such as `%1000000d`, `%.*f`, `{:1000000}` and `{:{}}`."""
METHOD = "()"
"""Marks the attribute in `x.items()`, so that `x.items` can be the key."""


class UndefinedName(UndefinedError):
    """`name` is not there; `top` when it was looked up among the names and not in a value."""

    def __init__(self, message: str | None, *, name: str, top: bool) -> None:
        super().__init__(message)
        self.name = name
        self.top = top


class Missing(StrictUndefined):
    """An undefined name that remembers, when it is used, which one it was."""

    def __init__(
        self, hint: str | None = None, obj: Any = missing, name: str | None = None, exc: Any = UndefinedError
    ) -> None:
        if exc is UndefinedError:
            exc = partial(UndefinedName, name=str(name), top=obj is missing)
        super().__init__(hint, obj, name, exc)

    @property
    def _undefined_message(self) -> str:
        if self._undefined_hint:
            return str(self._undefined_hint)
        if self._undefined_obj is missing:
            return f"{self._undefined_name!r} is not defined"
        name = str(self._undefined_name).removesuffix(METHOD)
        if isinstance(self._undefined_obj, dict):
            keys = ", ".join(str(key) for key in list(self._undefined_obj)[:10])
            return f"there is no key {name!r} (there are: {keys})" if keys else f"there is no key {name!r}"
        return f"a {type(self._undefined_obj).__name__} has no {name!r}"


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's immutable sandbox without loaders, with limits on what grows, and with keys before methods."""

    intercepted_binops = frozenset({"*", "**", "%", "+"})

    def __init__(self) -> None:
        super().__init__(undefined=Missing, autoescape=False, keep_trailing_newline=True)
        del self.globals["lipsum"]
        for name in ("center", "indent", "batch", "slice"):
            self.filters[name] = _narrow(self.filters[name])
        self.filters["format"] = _checked_format(self.filters["format"])
        self.filters["tojson"] = to_json_text

    def getattr(self, obj: Any, attribute: str) -> Any:
        """JSON has keys such as `items` and `values`: the key wins, unless it is called."""
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute.removesuffix(METHOD))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        _check_growth(operator, left, right)
        return super().call_binop(context, operator, left, right)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        wrapped = super().wrap_str_format(value)
        if wrapped is not None:
            _check_format(value.__self__)
        return wrapped

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(getattr(__obj, "__self__", None), str):
            _check_widths(*args)
        return super().call(__context, __obj, *args, **kwargs)


@cache
def sandbox() -> Sandbox:
    """The one environment of this process."""
    return Sandbox()


def compile_text(text: str) -> Template:
    """The template as a text program."""
    return _compiled(sandbox().parse(text))


def compile_leaf(text: str) -> tuple[Template, bool]:
    """The template, and whether it is a value program: when it is nothing but one `{{ expression }}`."""
    match sandbox().parse(text.strip()).body:
        case [nodes.Output(nodes=[expression])] if not isinstance(expression, nodes.TemplateData):
            return _value_program(expression), True
    return compile_text(text), False


def compile_expression(text: str) -> Template:
    """A bare expression as a value program."""
    parser = Parser(sandbox(), text, state="variable")
    expression = parser.parse_expression()
    if not parser.stream.eos:
        parser.fail(f"unexpected {parser.stream.current.value!r} after the expression")
    return _value_program(expression)


def _value_program(expression: nodes.Expr) -> Template:
    """A program that leaves the value in its context as `result`."""
    assign = nodes.Assign(nodes.Name("result", "store"), expression, lineno=1)
    tree = nodes.Template([assign], lineno=1)
    tree.set_environment(sandbox())
    return _compiled(tree)


def _compiled(tree: nodes.Template) -> Template:
    for call in tree.find_all(nodes.Call):
        if isinstance(call.node, nodes.Getattr):
            call.node.attr += METHOD
    return sandbox().from_string(tree)


def to_json_text(value: Any, indent: int | None = None) -> str:
    """The filter `tojson`: plain JSON, since what is rendered here is no HTML."""
    return json.dumps(as_json(value), ensure_ascii=False, indent=indent)


def _check_growth(operator: str, left: Any, right: Any) -> None:
    match operator:
        case "**" if isinstance(left, int) and isinstance(right, int):
            _check_bits(left.bit_length() * max(right, 0))
        case "*" if isinstance(left, int) and isinstance(right, int):
            _check_bits(left.bit_length() + right.bit_length())
        case "*" if isinstance(left, Sized) and isinstance(right, int):
            _check_size(len(left) * right)
        case "*" if isinstance(left, int) and isinstance(right, Sized):
            _check_size(left * len(right))
        case "+" if isinstance(left, Sized) and isinstance(right, Sized):
            _check_size(len(left) + len(right))
        case "%" if isinstance(left, str):
            _check_format(left)


def _check_bits(bits: int) -> None:
    if bits > MAX_BITS:
        raise SecurityError(f"the number would have more than {MAX_BITS} bits")


def _check_size(size: int) -> None:
    if size > MAX_SIZE:
        raise SecurityError(f"the result would have more than {MAX_SIZE} characters or elements")


def _check_widths(*widths: Any) -> None:
    if any(isinstance(width, int) and width > MAX_WIDTH for width in widths):
        raise SecurityError(f"a width over {MAX_WIDTH} is not allowed")


def _check_format(text: str) -> None:
    """Refuse widths of six digits and those taken from the arguments."""
    if WIDE_FORMAT.search(text.replace("%%", "")):
        raise SecurityError("a format with a width over 99999, or one taken from its arguments, is not allowed")


def _narrow(filter: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(filter)
    def narrow(value: Any, *args: Any, **kwargs: Any) -> Any:
        _check_widths(*args, *kwargs.values())
        return filter(value, *args, **kwargs)

    return narrow


def _checked_format(filter: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(filter)
    def checked(value: Any, *args: Any, **kwargs: Any) -> Any:
        _check_format(str(value))
        return filter(value, *args, **kwargs)

    return checked
