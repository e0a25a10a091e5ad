"""Takes secrets out of texts and values: the values as they are, and as any common encoding would write them.

Each secret becomes a few needles. A needle is looked for by its anchor, the longest run of letters and digits, which
no encoding changes; only where an anchor is found does a pattern look at the rest, each character in every spelling.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html.entities import codepoint2name

from engine.models.job import Json

MASK = "***"
SHORTEST = 4
"""Shorter values are left alone: masking every `ab` would leave no text."""

SHORTEST_LINE = 8
"""A line of a longer secret, such as a private key, is a secret of its own from this length on."""

RUN = re.compile(r"[A-Za-z0-9]+")
ESCAPES = {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f"}


@dataclass(frozen=True, slots=True)
class Needle:
    """Something to mask: `anchor` is in every spelling of it, `pattern` matches all of them."""

    anchor: str
    pattern: str

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Where it is in the text."""
        if self.anchor in text:
            for found in re.finditer(self.pattern, text):
                yield found.span()


class Mask:
    """Replaces secrets by `***`. `pairs` are user names and passwords as Basic authentication joins them."""

    def __init__(self, values: Iterable[str], pairs: Iterable[tuple[str, str]] = ()) -> None:
        found: dict[Needle, None] = {}
        for value in _worth_masking(values):
            found.update((needle, None) for needle in _needles(value))
        for user, password in pairs:
            if len(password) >= SHORTEST:
                found.update((needle, None) for needle in _base64_needles(f"{user}:{password}"))
        self._needles = tuple(found)

    def hiding(self, values: Iterable[str]) -> Mask:
        """A mask that hides these as well, where one is part of the other too."""
        mask = Mask(values)
        mask._needles = tuple(dict.fromkeys([*self._needles, *mask._needles]))
        return mask

    def text(self, text: str) -> str:
        """The text without secrets."""
        spans = [span for needle in self._needles for span in needle.spans(text)]
        if not spans:
            return text
        parts, end = [], 0
        for start, stop in _joined(spans):
            parts += [text[end:start], MASK]
            end = stop
        return "".join([*parts, text[end:]])

    def json_text(self, text: str) -> str:
        """JSON text without secrets, and still JSON: where there is one, the values are masked and written again.

        Text that turns out not to be JSON becomes one JSON string.
        """
        if self.text(text) == text:
            return text
        import json

        try:
            masked = self.json(json.loads(text))
        except (ValueError, RecursionError):
            masked = self.text(text)
        return json.dumps(masked, separators=(",", ":"))

    def json(self, value: Json) -> Json:
        """The value without secrets, in keys and texts; a number that is a secret becomes `***`."""
        match value:
            case str():
                return self.text(value)
            case bool() | None:
                return value
            case int() | float():
                return MASK if self.text(str(value)) != str(value) else value
            case dict():
                masked: dict[str, Json] = {}
                for key, item in value.items():
                    masked[_free(self.text(key), masked)] = self.json(item)
                return masked
        return [self.json(item) for item in value]


def _worth_masking(values: Iterable[str]) -> Iterator[str]:
    for value in values:
        stripped = value.strip()
        yield from (form for form in {value, stripped} if len(form) >= SHORTEST and form.strip("* "))
        lines = stripped.splitlines()
        yield from (line.strip() for line in lines if len(lines) > 1 and len(line.strip()) >= SHORTEST_LINE)


def _needles(value: str) -> Iterator[Needle]:
    yield Needle(_anchor(value), _spellings(value))
    yield from _base64_needles(value)
    digits = value.encode("utf-8", "surrogatepass").hex()
    yield Needle(digits, digits)
    yield Needle(digits.upper(), digits.upper())


def _base64_needles(value: str) -> Iterator[Needle]:
    """The part of the Base64 text that stays the same whatever stands before and after, at each of three alignments."""
    content = value.encode("utf-8", "surrogatepass")
    for before in range(3):
        first = (before * 8 + 5) // 6
        last = (before + len(content)) * 8 // 6
        middle = b64encode(bytes(before) + content).decode()[first:last]
        if len(middle) >= SHORTEST:
            edges = "[A-Za-z0-9+/_-]"
            pattern = f"{edges}{{0,{first}}}{_spellings(middle, base64=True)}{edges}{{0,2}}={{0,2}}"
            yield Needle(_anchor(middle), pattern)


def _anchor(value: str) -> str:
    return max(RUN.findall(value), key=len, default="")


def _spellings(value: str, *, base64: bool = False) -> str:
    """A pattern for the value in which each character may be written in its own way."""
    parts = []
    for found in re.finditer(r"[A-Za-z0-9]+|\\+|.", value, re.DOTALL):
        text = found[0]
        if text.isascii() and text.isalnum():
            parts.append(text)
        elif text[0] == "\\":
            parts.append(_backslashes(len(text)))
        else:
            also = {"+": "-", "/": "_"}.get(text, "") if base64 else ""
            parts.append(_character(text, also))
    return "".join(parts)


def _backslashes(count: int) -> str:
    """So many backslashes, each escaped up to three times over, or percent-encoded."""
    return f"(?:\\\\{{{count},{8 * count}}}|(?:%(?i:5c)){{{count},{2 * count}}})"


def _character(character: str, also: str) -> str:
    """Every way to write one character: itself, escaped for JSON, Python, YAML or HTML, or percent-encoded."""
    number = ord(character)
    units = character.encode("utf-16-be", "surrogatepass").hex()
    unicode = "".join(f"\\\\{{1,8}}u(?i:{units[at : at + 4]})" for at in range(0, len(units), 4))
    percent = "".join(f"%(?i:{byte:02x})" for byte in character.encode("utf-8", "surrogatepass"))
    ways = [f"\\\\{{0,8}}{re.escape(character)}", unicode, percent, f"&#(?:0*{number}|[xX]0*(?i:{number:x}));"]
    if also:
        ways.append(re.escape(also))
    if character in ESCAPES:
        ways.append(f"\\\\{{1,8}}{ESCAPES[character]}")
    if character == " ":
        ways.append("\\+")
    if character == "'":
        ways += ["''", "&apos;"]
    if number > 0xFFFF:
        ways.append(f"\\\\{{1,8}}U(?i:{number:08x})")
    if number < 256:
        ways.append(f"\\\\{{1,8}}x(?i:{number:02x})")
    if number in codepoint2name:
        ways.append(f"&{codepoint2name[number]};")
    return f"(?:{'|'.join(ways)})"


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The spans in order, those that overlap or touch made one."""
    joined: list[tuple[int, int]] = []
    for start, stop in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((start, stop))
    return joined


def _free(key: str, taken: dict[str, Json]) -> str:
    """The key, numbered when masking has made it equal to another one."""
    number, free = 1, key
    while free in taken:
        number += 1
        free = f"{key} ({number})"
    return free
