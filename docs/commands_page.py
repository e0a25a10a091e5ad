"""The page about the command line, from the parsers that the commands themselves use."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from engine.cli import parser


def page() -> str:
    """The text of the page."""
    return "".join(_page())


def commands() -> Iterator[tuple[str, str, argparse.ArgumentParser]]:
    """Each command that can be typed, such as `octoflow jobs list`, with what it is said to be for, and its parser."""
    yield from _below("octoflow", parser())


def _page() -> Iterator[str]:
    yield "# Commands\n\nMade from the code by `make docs`. `octoflow COMMAND --help` says the same.\n\n"
    yield "`documents`, `jobs`, `schedules`, `forecast`, `keys` and `audit` ask the service at OCTOFLOW_URL, with the\n"
    yield "token OCTOFLOW_TOKEN; where OCTOFLOW_URL is not set they work on the data folder, DATA_PATH, as all others\n"
    yield "do. Every command ends with 0, with 1 after an error, and with 2 when it was called wrongly, unless it\n"
    yield "says otherwise. An error is one sentence on standard error.\n"
    for name, about, each in commands():
        yield f"\n## {name}\n\n{_sentence(each.description or about)}\n"
        rows = [_row(action) for action in each._actions if action.dest != "help"]
        if rows:
            yield "\n| argument | what it is |\n|---|---|\n"
            yield from rows


def _below(name: str, one: argparse.ArgumentParser) -> Iterator[tuple[str, str, argparse.ArgumentParser]]:
    for action in one._actions:
        if isinstance(action, argparse._SubParsersAction):
            about = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for word, inner in action.choices.items():
                is_group = any(isinstance(part, argparse._SubParsersAction) for part in inner._actions)
                yield from _below(f"{name} {word}", inner) if is_group else [(f"{name} {word}", about[word], inner)]


def _row(action: argparse.Action) -> str:
    value = action.metavar or ("|".join(map(str, action.choices)) if action.choices else action.dest.upper())
    shown = str(value) if action.nargs != "?" else f"[{value}]"
    takes = "" if action.nargs == 0 else f" {shown}"
    names = ", ".join(f"`{name}{takes}`" for name in action.option_strings) or f"`{value}`"
    needed = " Always needed." if action.option_strings and action.required else ""
    about = f"{_sentence(action.help or '')}{needed}"
    return f"| {_cell(names)} | {_cell(about)} |\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
