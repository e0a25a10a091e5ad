"""The pages of docs/ as their readers use them: blocks to type, files to write, answers to compare."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
FENCE = re.compile(r"^( *)```(.*)$")
FILE_NAME = re.compile(r"^(?:#|//|\{#) (\.?[\w.-]+(?:/[\w.-]+)*\.\w+)(?: #\})?$")
BEGINNING = "README.md#before-you-begin"
"""A page that links here starts from a running service."""


@dataclass(frozen=True)
class Block:
    """A fenced block: `mark` is what follows the language, `file` the name in its first line, if that is one."""

    page: str
    line: int
    language: str
    mark: str
    text: str
    answers: bool
    """Whether it stands behind commands and shows what they print."""

    @property
    def file(self) -> str | None:
        found = FILE_NAME.match(self.text.partition("\n")[0])
        return found[1] if found else None

    @property
    def place(self) -> str:
        return f"docs/{self.page}, line {self.line}"


def pages() -> list[str]:
    """Every page that somebody wrote by hand."""
    found = (path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
    return sorted(name for name in found if not name.startswith(("adr/", "reference/")))


def blocks_of(page: str) -> list[Block]:
    return list(_blocks(page, (DOCS / page).read_text()))


def _blocks(page: str, text: str) -> Iterator[Block]:
    commands_before = False
    lines = enumerate(text.splitlines(), 1)
    for number, line in lines:
        fence = FENCE.match(line)
        if not fence:
            continue
        language, _, mark = fence[2].partition(" ")
        content = []
        for _, inside in lines:
            if inside.strip() == "```":
                break
            content.append(inside.removeprefix(fence[1]))
        block = Block(page, number, language, mark, "\n".join(content) + "\n", answers=False)
        answers = commands_before and language in ("text", "json") and not mark and block.file is None
        yield replace(block, answers=answers)
        commands_before = language == "sh" and not mark


def same_text(shown: str, printed: str) -> bool:
    """Whether this was printed; `...` stands for anything, and any number of spaces for one."""
    parts = (re.escape(" ".join(part.split(" "))) for part in _squeezed(shown).split("..."))
    return re.fullmatch(".*?".join(parts), _squeezed(printed), re.DOTALL) is not None


def _squeezed(text: str) -> str:
    return "\n".join(re.sub(r"\s+", " ", line).strip() for line in text.strip().splitlines())


def same_json(shown: Any, printed: Any) -> bool:
    """Whether this was answered; `"..."` stands for any value, as a key and as the last item for any more of them."""
    match shown, printed:
        case "...", _:
            return True
        case str(), str() if "..." in shown:
            return same_text(shown, printed)
        case dict(), dict():
            keys = {key for key in shown if key != "..."}
            complete = keys == set(printed) or ("..." in shown and keys <= set(printed))
            return complete and all(same_json(shown[key], printed[key]) for key in keys)
        case list(), list():
            items = shown[:-1] if shown and shown[-1] == "..." else shown
            fits = len(items) == len(printed) or (len(items) < len(shown) and len(items) <= len(printed))
            return fits and all(map(same_json, items, printed))
    return bool(shown == printed and type(shown) is type(printed))


def last_json(text: str) -> Any:
    """The JSON that commands printed, whatever stood before it; ValueError when there is none."""
    for start in (found.start() for found in re.finditer(r"^[\[{]", text, re.MULTILINE)):
        try:
            return json.loads(text[start:])
        except ValueError:
            continue
    raise ValueError(f"no JSON in {text!r}")
