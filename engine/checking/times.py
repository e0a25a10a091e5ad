"""The times that a document carries itself: what is wrong with its `cron` and `every_seconds`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.checking.notes import Notes
from engine.checking.options import kind_of
from engine.models.cron import read_cron
from engine.models.expectations import number_within
from engine.models.inputs import Kind, is_of
from engine.models.schedule import MAX_EVERY_SECONDS

KEYS = ("cron", "every_seconds")


def check_times(notes: Notes) -> None:
    """Note what `/api/flows/add` and `autostart` would refuse; warnings, because a launch reads none of it."""
    value = notes.marked.value if notes.marked else None
    given = {key: value[key] for key in KEYS if value.get(key) is not None} if isinstance(value, dict) else {}
    for key, fault in _faults(given):
        hint = "no schedule can be made of it; a launch does not read it"
        notes.add("wrong_schedule", f"{key} {fault}", (key,), hint, "warning")


def _faults(given: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if "cron" in given and (fault := _fault_of_cron(given["cron"])) is not None:
        yield "cron", fault
    seconds = given.get("every_seconds", 1)
    if not is_of(seconds, Kind.INTEGER) or not 1 <= seconds <= MAX_EVERY_SECONDS:
        yield "every_seconds", number_within(1, MAX_EVERY_SECONDS, seconds)
    if len(given) > 1:
        yield "every_seconds", "cannot be given together with `cron`"


def _fault_of_cron(cron: Any) -> str | None:
    if not isinstance(cron, str):
        return f"must be text, not {kind_of(cron)}"
    try:
        return None if read_cron(cron).is_ever_due else f"is never due: there is no day like that in {cron!r}"
    except ValueError as error:
        return f"cannot be read: {error}"
