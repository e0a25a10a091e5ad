"""What to look for when a secret is to be masked: its value, and what Base64 and hexadecimal make of it."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass

from engine.secrets.readings import ALL, HTML, NUMBERED, PERCENT, Reading, read

SHORTEST = 4
"""Shorter values are left alone: masking every `ab` would leave no text."""

SHORTEST_LINE = 8
"""A line of a longer secret, such as a private key, is a secret of its own from this length on."""

SHORTEST_CUT = 8
"""So many of its first characters are enough to know a secret by that is cut off."""

RUN = re.compile(r"[A-Za-z0-9]+")
NUMBER = re.compile(r"[0-9A-Fa-f]")
NAME = re.compile(r"[#A-Za-z0-9]{0,9};")
SPECIAL = re.compile(r"[\\%&]")
HOST = re.compile(r"[A-Za-z0-9._-]{8,}")
EDGES = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-")


@dataclass(frozen=True, slots=True)
class Needle:
    """Something to mask: `anchor` is in every spelling of it, `head` in every one that is cut off."""

    anchor: str
    head: str
    forms: tuple[str, ...]
    """As each of the readings has it; a single one if all have the same."""
    length: int
    loose: int = 0
    """What could be undone wrongly at its edges, such as the % of `50%` before a secret that begins with `ab`."""
    front: int | None = None
    """Of Base64, so many characters before the part that is known."""
    before: bool = False
    after: bool = False
    """Whether it takes backslashes before and after it along."""

    def readings(self, undo: int) -> Iterator[int]:
        """The readings to look for it in, where so much can be undone."""
        edges = self.loose & undo
        yield from {undo, undo & ~edges, *(undo & ~each for each in (PERCENT, NUMBERED, HTML) if each & edges)}

    def form(self, reading: Reading) -> str:
        """How it is written in this reading."""
        return self.forms[reading.number if len(self.forms) > 1 else 0]

    def spans(self, reading: Reading, text: str) -> Iterator[tuple[int, int]]:
        """Where it is in the text that was read."""
        form, at = self.form(reading), 0
        if not form:
            yield from reading.backslashes(self.length)
        # Few characters that count would be found everywhere: then what was found is to be as long as all of them.
        is_short = len(form) < SHORTEST
        while form and (at := reading.text.find(form, at)) >= 0:
            start, stop = reading.back(at, at + len(form), before=self.before or is_short, after=self.after or is_short)
            if not is_short or stop - start >= self.length:
                yield self.widened(start, stop, text)
            at += 1 if is_short else len(form)

    def cut(self, reading: Reading, text: str) -> Iterator[tuple[int, int]]:
        """Where its beginning is, if the text that was read ends with it."""
        form = self.form(reading)
        tail = reading.text[-len(form) :]
        at = tail.find(form[:SHORTEST_CUT])
        if at < 0 or len(form) <= SHORTEST_CUT:
            return
        length = overlap(form, tail[at:])
        if length >= SHORTEST_CUT:
            end = len(reading.text)
            start, _ = reading.back(end - length, end, before=self.before)
            yield self.widened(start, len(text), text)

    def widened(self, start: int, stop: int, text: str) -> tuple[int, int]:
        """With the characters of Base64 around it that are partly made of it."""
        if self.front is None:
            return start, stop
        least, most = start - self.front, stop + 2
        while start > max(0, least) and text[start - 1] in EDGES:
            start -= 1
        while stop < min(len(text), most) and text[stop] in EDGES:
            stop += 1
        most = stop + 2
        while stop < min(len(text), most) and text[stop] == "=":
            stop += 1
        return start, stop


def needles(value: str) -> Iterator[Needle]:
    """All needles of a secret."""
    yield _plain(value)
    if HOST.fullmatch(value) and value != value.lower():
        yield _plain(value.lower())  # As names of hosts are shown.
    yield from base64_needles(value)
    digits = value.encode("utf-8", "surrogatepass").hex()
    for each in dict.fromkeys((digits, digits.upper())):
        yield Needle(each, _head(each), (each,), len(each), _loose(each))


def base64_needles(value: str) -> Iterator[Needle]:
    """The part of the Base64 text that stays the same whatever stands before and after, at each of three alignments."""
    content = value.encode("utf-8", "surrogatepass")
    for before in range(3):
        first = (before * 8 + 5) // 6
        last = (before + len(content)) * 8 // 6
        middle = b64encode(bytes(before) + content).decode()[first:last]
        if len(middle) >= SHORTEST:
            for each in dict.fromkeys((middle, middle.replace("+", "-").replace("/", "_"))):
                yield Needle(_anchor(each), _head(each), (read(each, 0).text,), len(each), _loose(each), first)


def overlap(form: str, tail: str) -> int:
    """How many characters the tail ends with that the form begins with; in time linear in the tail."""
    form = form[: len(tail)]
    joined = f"{form}\ud800\ud800{tail}"  # No text that was stored has two of these in a row.
    longest = [0] * len(joined)
    for at in range(1, len(joined)):
        length = longest[at - 1]
        while length and joined[at] != joined[length]:
            length = longest[length - 1]
        longest[at] = length + (joined[at] == joined[length])
    return min(longest[-1], len(form))


def _plain(value: str) -> Needle:
    forms = tuple(read(value, number).text for number in range(ALL + 1 if SPECIAL.search(value) else 1))
    before = not (value[0].isascii() and value[0].isalnum())
    after = value[-1] == "\\"
    return Needle(_anchor(value), _head(value), forms, len(value), _loose(value), before=before, after=after)


def _anchor(value: str) -> str:
    return max(RUN.findall(value), key=len, default="")


def _head(value: str) -> str:
    """What every beginning of it has that is long enough."""
    return _anchor(value[:SHORTEST_CUT])


def _loose(value: str) -> int:
    if SPECIAL.search(value):
        return ALL
    is_number = NUMBER.match(value) is not None
    return (
        (PERCENT if is_number else 0)
        | (NUMBERED if is_number or value[0] in "uUx" else 0)
        | (HTML if NAME.match(value) else 0)
    )
