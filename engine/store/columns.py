"""Column types that store the same thing the same way on SQLite, PostgreSQL, MySQL and MariaDB."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, String, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from engine.clock import from_micros, to_micros
from engine.models.job import Json

UNSTORABLE = re.compile("[\0\ud800-\udfff]")
"""PostgreSQL refuses NUL in text, and UTF-8 has no lone surrogates."""


def storable(text: str) -> str:
    """The text as a plain `str`, with U+FFFD for every character that some database cannot hold."""
    text = str(text)
    return text if text.isascii() and "\0" not in text else UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def compact(value: Json) -> str:
    """JSON in ASCII, so that any string a peer sends can be stored and read back unchanged."""
    return json.dumps(value, separators=(",", ":"))


class Moment(TypeDecorator[datetime]):
    """An aware moment, stored as whole microseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], int | None]:
        return _stored_moment

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[int | None], datetime | None]:
        return _read_moment


class Key(TypeDecorator[str]):
    """A short text that is compared byte by byte."""

    impl = String
    cache_ok = True

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.length = length

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        # MySQL and MariaDB have the binary collation on the whole table, SQLite compares bytes anyway.
        collation = "C" if dialect.name == "postgresql" else None
        return dialect.type_descriptor(String(self.length, collation=collation))

    def bind_processor(self, dialect: Dialect) -> Callable[[str | None], str | None]:
        return _stored_text


class LongText(TypeDecorator[str]):
    """A text of any length for people to read."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name not in ("mysql", "mariadb"):
            return self.impl_instance
        from sqlalchemy.dialects.mysql import LONGTEXT

        return LONGTEXT()

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], str | None]:
        return _stored_text


class JsonValue(LongText):
    """A JSON value, stored as text; None is NULL."""

    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[Json], str | None]:
        return _stored_json

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[str | None], Json]:
        return _read_json


class JsonText(JsonValue):
    """A JSON value that arrives as JSON text already and is read as a value; the text `null` is not NULL."""

    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[str | None], str | None]:
        return _stored_json_text


# Processors of one step: what SQLAlchemy makes of `process_bind_param` takes three, and a tick binds a million values.


def _stored_moment(value: datetime | None) -> int | None:
    return None if value is None else to_micros(value)


def _read_moment(value: int | None) -> datetime | None:
    return None if value is None else from_micros(value)


def _stored_text(value: str | None) -> str | None:
    return None if value is None else storable(value)


def _stored_json(value: Json) -> str | None:
    return None if value is None else compact(value)


def _read_json(value: str | None) -> Json:
    return None if value is None else json.loads(value)


def _stored_json_text(value: str | None) -> str | None:
    if value is None or value.isascii():
        return value
    # A lone surrogate in the text becomes the JSON escape that means the same.
    return value.encode("utf-8", "backslashreplace").decode("utf-8")
