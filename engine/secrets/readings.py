"""A text with its encodings undone, and where each part of it stood: all ways to write a secret are one there.

Each reading takes time linear in the text: patterns find single escapes, which have one way to match, and secrets are
looked for by `str.find`. What an attacker may choose, texts and secrets, is never made into a pattern.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html.entities import name2codepoint

PERCENT, NUMBERED, HTML = 1, 2, 4
"""What a reading may undo. It is left when it could take a part of the secret: the % of `50%ab` may be a text's own."""
ALL = PERCENT | NUMBERED | HTML

HEX = "[0-9A-Fa-f]"
BYTE = "%(?:25)*"
NEXT = f"{BYTE}[89abAB]{HEX}"
CHARACTERS = re.compile(f"{BYTE}(?:[cdCD]{HEX}{NEXT}|[eE]{HEX}{NEXT}{NEXT}|[fF]{HEX}{NEXT}{NEXT}{NEXT}|{HEX}{HEX})")
BACKSLASHES = re.compile(r"\\+")
ESCAPES = re.compile(
    rf"\\+(?:u([dD][89abAB]{HEX}{{2}})\\+u([dD][c-fC-F]{HEX}{{2}})|u({HEX}{{4}})|U({HEX}{{8}})|x({HEX}{{2}}))?"
)
AMPERSAND = "(?:amp|#0*38|#[xX]0*26);"
ENTITIES = re.compile(
    f"&(?:{AMPERSAND})*(?:#0*([1-9][0-9]{{0,6}})|#[xX]0*([1-9a-fA-F]{HEX}{{0,5}})|([A-Za-z][A-Za-z0-9]{{1,7}}));"
)
QUOTES = re.compile(r"''+|\"\"+")
NAMES = {**name2codepoint, "apos": ord("'")}
LETTERS = {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f", "\a": "a", "\v": "v", "\x1b": "e", "\0": "0"} | {
    "\x85": "N",
    "\u2028": "L",
    "\u2029": "P",
    "\xa0": "_",
}
"""A character that is escaped by a letter counts as that letter, as backslashes do not count; + may be a space."""
SAME = str.maketrans({**LETTERS, "+": " "})


@dataclass(frozen=True, slots=True)
class Edits:
    """What was replaced: where each piece begins and ends now, and where it did."""

    starts: list[int]
    ends: list[int]
    old_starts: list[int]
    old_ends: list[int]

    def back(self, start: int, stop: int) -> tuple[int, int]:
        """Where a span of the new text was in the old one."""
        first = bisect_right(self.starts, start) - 1
        last = bisect_right(self.starts, stop - 1) - 1
        if first >= 0:
            is_inside = start < self.ends[first]
            start = self.old_starts[first] if is_inside else self.old_ends[first] + start - self.ends[first]
        if last >= 0:
            stop = self.old_ends[last] + max(0, stop - self.ends[last])
        return start, stop


@dataclass(frozen=True, slots=True)
class Reading:
    """A text as one of the readings has it. `number` says which encodings were undone."""

    number: int
    text: str
    _edits: tuple[Edits | None, ...]
    _raw: str
    """With its backslashes: they are given back to what begins or ends with them."""

    def backslashes(self, least: int) -> Iterator[tuple[int, int]]:
        """Where so many of them stand in a row."""
        for found in BACKSLASHES.finditer(self._raw):
            if len(found[0]) >= least:
                yield found.span() if self._edits[0] is None else self._edits[0].back(*found.span())

    def back(self, start: int, stop: int, *, before: bool = False, after: bool = False) -> tuple[int, int]:
        """Where a span was in the text that was read, with the backslashes before and after it if so asked."""
        percent, *others = self._edits
        for edits in reversed(others):
            if edits is not None:
                start, stop = edits.back(start, stop)
        while before and start and self._raw[start - 1] == "\\":
            start -= 1
        while after and self._raw[stop : stop + 1] == "\\":
            stop += 1
        return (start, stop) if percent is None else percent.back(start, stop)


def useful(text: str) -> int:
    """What there may be to undo in the text."""
    return (
        (PERCENT if "%" in text else 0)
        | (NUMBERED if "\\" in text or "%" in text else 0)
        | (HTML if "&" in text else 0)
    )


def read(text: str, number: int) -> Reading:
    """The text as the reading of this number has it."""
    edits: list[Edits | None] = [None] * 4
    if number & PERCENT:
        text, edits[0] = _replaced(CHARACTERS, text, _character)
    raw = text
    if "\\" in text:
        text, edits[1] = _replaced(ESCAPES if number & NUMBERED else BACKSLASHES, text, _escaped)
    if number & HTML:
        text, edits[2] = _replaced(ENTITIES, text, _entity)
    if "''" in text or '""' in text:
        text, edits[3] = _replaced(QUOTES, text, lambda found: found[0][0])
    return Reading(number, text.translate(SAME), tuple(edits), raw)


def _replaced(pattern: re.Pattern[str], text: str, new: Callable[[re.Match[str]], str]) -> tuple[str, Edits]:
    edits = Edits([], [], [], [])
    parts: list[str] = []
    at, length = 0, 0
    for found in pattern.finditer(text):
        start, stop = found.span()
        piece = new(found)
        parts += (text[at:start], piece)
        length += start - at
        edits.starts.append(length)
        length += len(piece)
        edits.ends.append(length)
        edits.old_starts.append(start)
        edits.old_ends.append(stop)
        at = stop
    return "".join([*parts, text[at:]]), edits


def _character(found: re.Match[str]) -> str:
    """A character of UTF-8; bytes that make none count as themselves."""
    content = bytes.fromhex("".join(each[-2:] for each in found[0].split("%")[1:]))
    return content.decode("utf-8", "surrogateescape")


def _escaped(found: re.Match[str]) -> str:
    if not found.lastindex:
        return ""
    high, low, *single = found.groups()
    if high:
        return bytes.fromhex(high + low).decode("utf-16-be")
    number = int(next(each for each in single if each), 16)
    return "" if number == ord("\\") else _of(number, found[0].lstrip("\\"))


def _entity(found: re.Match[str]) -> str:
    decimal, hexadecimal, name = found.groups()
    if name:
        return chr(NAMES[name]) if name in NAMES else f"&{name};"
    return _of(int(decimal or hexadecimal, 10 if decimal else 16), "&")


def _of(number: int, otherwise: str) -> str:
    return chr(number) if number <= 0x10FFFF else otherwise
