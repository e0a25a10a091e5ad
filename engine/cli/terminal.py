"""What commands say to a person: lines, errors, tables, none of which a stranger's text can disturb."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from engine.errors import DocumentInvalid, FlowRunning, OctoflowError, RequestInvalid

if TYPE_CHECKING:
    import argparse

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]
    """What a group adds its commands to."""

_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that steer a terminal, turn a line around, or cannot be written at all."""


def say(line: str) -> None:
    """A line for the person at the terminal; standard output is for results."""
    print(plain(line, keep="\n\t"), file=sys.stderr, flush=True)


def explain(error: OctoflowError, typed: Mapping[str, str]) -> None:
    """An error on the terminal: the sentence, or every problem of a document with its place and its way out.

    `typed` are the fields that the command line gives, each as it is typed there.
    """
    if isinstance(error, FlowRunning) and (id := error.fields["job_id"]):
        say(f"octoflow: {error} It is job {id}: wait for its end, or stop it with `octoflow jobs cancel {id}`.")
    elif isinstance(error, DocumentInvalid):
        for problem in error.problems:
            place = f", line {problem.line}" if problem.line else ""
            hint = f" ({problem.hint})" if problem.hint else ""
            say(f"octoflow: {error.path}{place}: {problem.message}{hint}")
    elif isinstance(error, RequestInvalid):
        say(f"octoflow: {_as_typed(error, typed)}")
    else:
        say(f"octoflow: {error}")


def _as_typed(error: RequestInvalid, typed: Mapping[str, str]) -> str:
    """The sentence in the words of the command line, where all that is wrong was given there."""
    if not error.details or any(each["field"] not in typed for each in error.details):
        return str(error)
    return "; ".join(f"{typed[each['field']]} {each['message']}" for each in error.details) + "."


def plain(text: object, *, keep: str = "") -> str:
    """The text with its unseen characters written as escapes, but those to keep."""
    return _UNSEEN.sub(lambda found: found[0] if found[0] in keep else repr(found[0])[1:-1], str(text))


def print_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Aligned columns on standard output; on a terminal each line is cut to its width."""
    lines = [list(head), *([plain("" if cell is None else cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    most = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in lines:
        padded = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        print(padded if most is None or len(padded) <= most else f"{padded[: most - 1]}…")
