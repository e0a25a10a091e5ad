"""Marks: single facts of the service by name, such as the time of the last good tick."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import bindparam, select

from engine.store import prepared
from engine.store.database import Database
from engine.store.tables import insert_or_renew, marks

TIME = select(marks.c.time).where(marks.c.name == bindparam("mark"))
TEXT = select(marks.c.text).where(marks.c.name == bindparam("mark"))


class MarkStore:
    """One time and one text for each name; the last to write one wins."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def mark(self, name: str, *, time: datetime | None = None, text: str | None = None) -> None:
        """Set both of this name."""
        row = {"name": name, "time": time, "text": text}
        self._database.change(
            lambda c: prepared.change(c, insert_or_renew(marks, c.dialect.name, ("time", "text")), row)
        )

    def marked(self, name: str) -> datetime | None:
        """The time of this name, None when there is none."""
        return self._database.ask(lambda c: c.scalar(TIME, {"mark": name}))

    def text(self, name: str) -> str | None:
        """The text of this name, None when there is none."""
        return self._database.ask(lambda c: c.scalar(TEXT, {"mark": name}))
