"""What files want to be scheduled: their texts read, and compared with what there is; nothing is done here."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine.clock import EPOCH
from engine.errors import RequestInvalid
from engine.models.job import Json
from engine.models.schedule import Schedule, Timing
from engine.reading import Marked, ReadingError, read_document

if TYPE_CHECKING:
    from engine.models.requests import AddFlow

NAMES = ("autostart", "autostart_flows")
"""The list's name, and an older one."""
SHAPE = ("overlap", "misfire", "misfire_grace_seconds", "timeout_seconds", "data")
"""What may change while a schedule stays the same one."""

Place = tuple[str | int, ...]
Key = tuple[str, str]
"""A document's path and the identity of a timing: there is one schedule of each."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A document that is to be scheduled, and the line that says so."""

    line: int
    wish: AddFlow


@dataclass
class Wanted:
    """All that a file asks for, and a sentence for each thing in it that cannot be used."""

    name: str
    entries: list[Entry] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    unclear_paths: set[str] = field(default_factory=set)
    """Of entries that cannot be used: the schedules that they made before stay."""
    is_complete: bool = True
    """False when something could not be read at all, so that nobody knows what is not wanted any more."""

    def refuse(self, line: int, path: str, sentence: str) -> None:
        """An entry cannot be used."""
        self.problems.append(f"{self.name}, line {line}: {sentence}")
        self.unclear_paths.add(path)

    def give_up(self, line: int | None, sentence: str) -> None:
        """Something cannot be read."""
        place = f", line {line}" if line else ""
        self.problems.append(f"{self.name}{place}: {sentence}")
        self.is_complete = False


def read_wanted(name: str, text: str) -> Wanted:
    """What this text asks for; `name` is the file's, for the problems."""
    wanted = Wanted(name)
    try:
        marked = read_document(text)
    except ReadingError as error:
        for problem in error.problems:
            hint = f" ({problem.hint})" if problem.hint else ""
            wanted.give_up(problem.line, f"{problem.message}{hint}")
        return wanted
    for place, item in _items(marked, wanted):
        _add(wanted, marked.place(place)[0], item)
    return wanted


def own_timing(text: str) -> dict[str, Json]:
    """`cron` and `every_seconds` as the top of a flow's text gives them; empty when it gives none."""
    value = read_document(text).value
    given = value if isinstance(value, dict) else {}
    return {key: given[key] for key in ("cron", "every_seconds") if given.get(key) is not None}


def wish_of(fields: dict[str, Json]) -> AddFlow:
    """The fields as a wish; ValueError with a sentence about each that cannot be used."""
    from engine.models.requests import AddFlow

    try:
        return AddFlow.read(fields)
    except RequestInvalid as error:
        raise ValueError("; ".join(f"`{each['field']}` {each['message']}" for each in error.details)) from error


def key_of(fields: dict[str, Any]) -> Key:
    """What tells the schedule of these fields from others."""
    timing = Timing(EPOCH, fields["cron"], fields["every_seconds"], fields["timezone"])
    return fields["path"], timing.identity


def has_shape(schedule: Schedule, fields: dict[str, Any]) -> bool:
    """Whether the schedule is as the fields want it, its times apart."""
    return _text([getattr(schedule, name) for name in SHAPE]) == _text([fields[name] for name in SHAPE])


def unwanted(present: Sequence[Schedule], wanted: Wanted, keys: Collection[Key]) -> list[Schedule]:
    """The schedules that no entry stands for: neither one with its key, nor one of its path that cannot be used."""
    if not wanted.is_complete:
        return []
    gone = [each for each in present if (each.path, each.timing.identity) not in keys]
    return [each for each in gone if each.path not in wanted.unclear_paths]


def _items(marked: Marked, wanted: Wanted) -> Iterator[tuple[Place, Json]]:
    """The items of the list, each with its place."""
    value = {} if marked.value is None else marked.value
    if not isinstance(value, dict):
        wanted.give_up(1, f"an object is expected, such as `{NAMES[0]}: [hello.yml]`")
        return
    given = [key for key in value if key in NAMES]
    for key in [key for key in value if key not in NAMES]:
        line = marked.place((key,))[0]
        wanted.problems.append(f"{wanted.name}, line {line}: `{key[:100]}` is not known here (known: {NAMES[0]})")
        wanted.is_complete = bool(given)  # Without the list, this may be what somebody wanted to call so.
    if len(given) > 1:
        wanted.give_up(marked.place((given[1],))[0], f"give one of `{given[0]}` and `{given[1]}`, not both")
        return
    for key in given:
        items = [] if value[key] is None else value[key]
        if not isinstance(items, list):
            wanted.give_up(marked.place((key,))[0], f"`{key}` must be a list of paths or objects")
            return
        yield from (((key, number), item) for number, item in enumerate(items))


def _add(wanted: Wanted, line: int, item: Json) -> None:
    fields = {"path": item} if isinstance(item, str) else item
    path = fields.get("path") if isinstance(fields, dict) else None
    if not isinstance(path, str) or not path:
        wanted.give_up(line, "an entry is a path, or an object with `path` and `cron` or `every_seconds`")
        return
    try:
        wanted.entries.append(Entry(line, wish_of(fields)))
    except ValueError as error:
        wanted.refuse(line, path, f"{path}: {error}")


def _text(values: Sequence[Any]) -> str:
    """Equal for equal JSON, where Python holds 1 and true for equal too."""
    return json.dumps(values, sort_keys=True)
