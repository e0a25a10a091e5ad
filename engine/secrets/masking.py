"""Takes secrets out of texts and values: the values as they are, and as any common encoding would write them.

Each secret becomes a few needles. A needle is looked for by its anchor, the longest run of letters and digits, which
no encoding changes; only around anchors is the text read in every way that could show the needle.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from engine.models.job import Json
from engine.secrets.needles import SHORTEST, SHORTEST_LINE, Needle, base64_needles, needles
from engine.secrets.readings import Reading, read, useful

MASK = "***"

CUT = "..."
"""What stands where a text was cut: before it, the beginning of a secret is masked, too."""

HALF = re.compile(r"(?:\\+(?:[uUx][0-9A-Fa-f]{0,7})?|%[0-9A-Fa-f]?|&#?[A-Za-z0-9]{0,8}|\ufffd)\Z")
"""An escape that a cut has gone through."""

WIDEST = 32
"""So many characters one may be written in: escaped two or three times over, or by a number with zeros before it."""

RARE = 3
"""An anchor that is shorter is everywhere."""


class Mask:
    """Replaces secrets by `***`. `pairs` are user names and passwords as Basic authentication joins them."""

    def __init__(self, values: Iterable[str], pairs: Iterable[tuple[str, str]] = ()) -> None:
        found: dict[Needle, None] = {}
        for value in _worth_masking(values):
            found.update((needle, None) for needle in needles(value))
        for user, password in pairs:
            if len(password) >= SHORTEST:
                found.update((needle, None) for needle in base64_needles(f"{user}:{password}"))
        self._needles = tuple(found)

    def hiding(self, values: Iterable[str]) -> Mask:
        """A mask that hides these as well, where one is part of the other too."""
        mask = Mask(values)
        mask._needles = tuple(dict.fromkeys([*self._needles, *mask._needles]))
        return mask

    def text(self, text: str) -> str:
        """The text without secrets."""
        spans = [*self._whole(text), *(self._cut(text) if CUT in text else ())]
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

        mask = self._within(text)
        try:
            masked = mask.json(json.loads(text))
        except (ValueError, RecursionError):
            masked = mask.text(text)
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

    def _within(self, text: str) -> Mask:
        """A mask for parts of this text: of the needles that can be in it."""
        mask = Mask(())
        mask._needles = tuple(each for each in self._needles if each.anchor in text or each.head in text)
        return mask

    def _whole(self, text: str) -> Iterator[tuple[int, int]]:
        """Where whole needles are."""
        found = [needle for needle in self._needles if needle.anchor in text]
        for start, stop in _windows(found, text) if found else ():
            part = text[start:stop]
            for needle, reading in _read(found, part):
                yield from ((start + first, start + last) for first, last in needle.spans(reading, part))

    def _cut(self, text: str) -> Iterator[tuple[int, int]]:
        """Where the beginnings of needles are that a cut has left."""
        found = [needle for needle in self._needles if needle.head in text]
        widest = max((needle.length for needle in found), default=0) * WIDEST
        begin = 0
        for cut in re.finditer(re.escape(CUT), text) if found else ():
            start, stop = max(begin, cut.start() - widest), cut.start()
            begin = cut.end()
            part = text[start:stop]
            half = HALF.search(part, max(0, len(part) - WIDEST))
            for each in (part,) if half is None else (part, part[: half.start()]):
                for needle, reading in _read(found, each):
                    yield from ((start + first, stop) for first, _ in needle.cut(reading, each))


def _worth_masking(values: Iterable[str]) -> Iterator[str]:
    for value in values:
        stripped = value.strip()
        yield from (form for form in {value, stripped} if len(form) >= SHORTEST and form.strip("* "))
        lines = stripped.splitlines()
        yield from (line.strip() for line in lines if len(lines) > 1 and len(line.strip()) >= SHORTEST_LINE)


def _read(found: Sequence[Needle], part: str) -> Iterator[tuple[Needle, Reading]]:
    """The part in all the readings that a needle is looked for in."""
    undo, made = useful(part), dict[int, Reading]()
    for needle in found:
        for number in needle.readings(undo):
            if number not in made:
                made[number] = read(part, number)
            yield needle, made[number]


def _windows(found: Sequence[Needle], text: str) -> list[tuple[int, int]]:
    """The parts of the text around anchors, where whole needles may be."""
    windows: list[tuple[int, int]] = []
    for needle in found:
        if len(needle.anchor) < RARE or len(text) <= WIDEST * needle.length:
            return [(0, len(text))]
        # Each search costs as much as the anchor is long, so those that overlap are left to the window around them.
        around, at = (needle.length + 1) * WIDEST, 0
        while (at := text.find(needle.anchor, at)) >= 0:
            windows.append((max(0, at - around), min(len(text), at + around)))
            at += len(needle.anchor)
    return _joined(windows)


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
