"""Writes docs/reference/ from the code: `make docs`. A test holds that what is committed is what this writes."""

from __future__ import annotations

import runpy
import sys
import types
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from engine.errors import OctoflowError
from engine.models.metric import METRICS
from engine.settings import Settings
from engine.steps import CommonKeys, NestedStep, step_types

FOLDER = Path(__file__).parent / "reference"
NAMES = {str: "text", bool: "true or false", int: "whole number", float: "number", Any: "any", type(None): "null"}

ABOUT_ERRORS = """Every error is answered as `{"error": sentence, "code": word}`: the sentence is for people, the word
for programs. Some have further members, such as `job_id`. Where there are several problems at once, `details` lists
them: those of a body have `field` and `message`; those of a document `path`, `line`, `column`, `severity`, `code`,
`message` and `hint`.
"""
OTHER_ERRORS = (
    ("not_found", 404, "There is no operation at this path.", "Check the path."),
    ("method_not_allowed", 405, "The path is known, and not with this method.", "Use one that `Allow` lists."),
    ("internal", 500, "A fault of ours.", "Look it up in the service log under the number in the sentence."),
)
"""What the HTTP functions say by themselves."""


def pages() -> dict[str, str]:
    """The text of each page by its file's name."""
    return {
        **{
            f"{name}.md": runpy.run_path(str(FOLDER.parent / f"{name}_page.py"))["page"]()
            for name in ("api", "commands", "flows")
        },
        "steps.md": "".join(_steps()),
        "settings.md": "".join(_settings()),
        "errors.md": "".join(_errors()),
        "metrics.md": "".join(_metrics()),
    }


def main() -> None:
    """Write the pages."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    sys.stdout.write(f"{len(pages())} pages are in docs/reference/\n")


def _steps() -> Iterator[str]:
    yield "# Steps\n\nMade from the code by `make docs`.\n\n"
    yield "A step is an object with a `name`, a `type`, one object of options that is named after the type, and any\n"
    yield "of the common keys. *Jinja* marks texts in which `{{ expressions }}` are filled in.\n\n"
    yield "## Common keys\n\n"
    yield from _table(CommonKeys)
    for name, options in step_types().items():
        yield f"\n## {name}\n\n{' '.join((options.__doc__ or '').split())}\n\n"
        yield from _table(options)


def _table(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    yield "| key | value | default | what it is |\n|---|---|---|---|\n"
    yield from _rows(model, prefix)


def _rows(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for key, field in model.model_fields.items():
        name = f"{prefix}{field.alias or key}"
        about = " ".join((field.description or "").split()).replace("|", "\\|")
        yield f"| `{name}` | {_value(field)} | {_default(field)} | {about} |\n"
        inner = _inner_model(field.annotation)
        if inner is not None:
            dots = "[]." if get_origin(field.annotation) is list else "."
            yield from _rows(inner, f"{name}{dots}")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    value = field.get_default(call_default_factory=True, validated_data={})
    if value in (None, "", [], {}):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _value(field: FieldInfo) -> str:
    if any(part is _marker() for part in field.metadata):
        return "a step"
    return _type(field.annotation)


def _marker() -> Any:
    return get_args(NestedStep)[1]


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in arguments)
    if origin is Annotated:
        return "a step" if _marker() in arguments else _type(arguments[0])
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_type(argument) for argument in arguments if argument is not type(None)))
    if origin is list:
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return "object"
    if getattr(origin, "__name__", "") == "Pattern":
        return "regular expression"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "object"
    return NAMES.get(annotation, str(annotation))


def _inner_model(annotation: Any) -> type[BaseModel] | None:
    for part in (annotation, *get_args(annotation)):
        if isinstance(part, type) and issubclass(part, BaseModel):
            return part
    return None


def _settings() -> Iterator[str]:
    yield "# Settings\n\nMade from the code by `make docs`. Environment variables, all optional; empty means unset.\n\n"
    yield "| variable | default | what it is |\n|---|---|---|\n"
    for setting in fields(Settings):
        default = "" if setting.default is None else f"`{setting.default}`"
        yield f"| `{setting.name.upper()}` | {default} | {setting.metadata['help']} |\n"


def _errors() -> Iterator[str]:
    import yaml

    advice: dict[str, str] = yaml.safe_load((FOLDER.parent / "advice.yml").read_text(encoding="utf-8"))
    yield f"# Errors\n\nMade from the code by `make docs`.\n\n{ABOUT_ERRORS}"
    yield "\n| code | status | meaning | what to do |\n|---|---|---|---|\n"
    for kind, leaf, status in _error_leaves():
        meaning = " ".join((leaf.__doc__ or "").split()).replace('fields["', "").replace('"]', "")
        yield f"| `{leaf.code}` | {status} | {meaning} | {advice.get(leaf.code, advice[kind.code])} |\n"
    for row in OTHER_ERRORS:
        yield "| `{}` | {} | {} | {} |\n".format(*row)


def _metrics() -> Iterator[str]:
    yield "# Metrics\n\nMade from the code by `make docs`. `GET /metrics` answers with these numbers in the text\n"
    yield "format of Prometheus, and with those named `process_...` that its clients share, such as memory.\n"
    yield "It takes a key of a viewer that is not limited to some flows.\n\n"
    yield "| metric | kind | label | what it is |\n|---|---|---|---|\n"
    for metric in METRICS:
        label = f"`{metric.label}`" if metric.label else ""
        yield f"| `{metric.shown}` | {metric.kind} | {label} | {metric.about} |\n"


def _error_leaves() -> Iterator[tuple[type[OctoflowError], type[OctoflowError], int]]:
    """Each error that a caller can meet, after its kind, with its status."""
    from functions._http import STATUS

    for kind in OctoflowError.__subclasses__():
        for leaf in kind.__subclasses__():
            if leaf.__module__.startswith(("engine.", "functions.")):  # Not one that a test has made.
                yield kind, leaf, next(STATUS[cls] for cls in leaf.__mro__ if cls in STATUS)


if __name__ == "__main__":
    main()
