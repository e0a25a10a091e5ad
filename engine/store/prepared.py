"""Statements that run for every job or thousands of times in a tick: compiled once, then handed to SQLite's driver.

SQLAlchemy's own way from a statement to the driver takes ten to thirty times as long as SQLite takes for it, each time.
Other databases are asked over a network, which takes longer than either: there it stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Delete, Insert, Select, Update
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError

Change = Insert | Update | Delete
Row = Mapping[str, Any]


def change(connection: Connection, statement: Change, row: Row) -> int:
    """How many rows the statement has changed."""
    if connection.dialect.name != "sqlite":
        return connection.execute(statement, row).rowcount
    return int(_Prepared.of(statement, row, connection.dialect).execute(connection, row).rowcount)


def change_each(connection: Connection, statement: Change, rows: Sequence[Row]) -> int:
    """How many rows it has changed, run with each of these; all have the same names."""
    if connection.dialect.name != "sqlite":
        return connection.execute(statement, rows).rowcount
    return int(_Prepared.of(statement, rows[0], connection.dialect).execute_each(connection, rows).rowcount)


def first_value(connection: Connection, statement: Select[Any], row: Row) -> Any:
    """The first column of the first row as the driver gives it, None when there is none: for texts and numbers."""
    if connection.dialect.name != "sqlite":
        return connection.scalar(statement, row)
    found = _Prepared.of(statement, row, connection.dialect).execute(connection, row).fetchone()
    return None if found is None else found[0]


def all_rows(connection: Connection, statement: Select[Any], row: Row) -> Sequence[Sequence[Any]]:
    """Every row, with its values in the order of the statement's columns."""
    if connection.dialect.name != "sqlite":
        return connection.execute(statement, row).all()
    return _Prepared.of(statement, row, connection.dialect).read_all(connection, row)


class _Prepared:
    """A statement as SQLite's driver takes it."""

    def __init__(self, statement: Any, names: tuple[str, ...], dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=list(names))
        self._text = str(compiled)
        assert "POSTCOMPILE" not in self._text, f"a list in it is not known before it runs: {self._text}"
        self._fixed: dict[str, Any] = {}
        self._given: list[tuple[str, Callable[[Any], Any] | None]] = []
        for name in compiled.positiontup:
            bind = compiled.binds.get(name)
            processor = None if bind is None else bind.type.dialect_impl(dialect).bind_processor(dialect)
            if name not in names:
                value = compiled.params[name]
                self._fixed[name] = value if processor is None else processor(value)
            self._given.append((name, None if name in self._fixed else processor))
        types = [column.type for column in statement.selected_columns] if isinstance(statement, Select) else []
        readers = [type.dialect_impl(dialect).result_processor(dialect, None) for type in types]
        self._readers = [(place, read) for place, read in enumerate(readers) if read is not None]

    @classmethod
    def of(cls, statement: Any, row: Row, dialect: Dialect) -> _Prepared:
        """The statement with values of these names."""
        return _prepared(statement, tuple(row), dialect)

    def execute(self, connection: Connection, row: Row) -> Any:
        return self._run(connection, lambda driver: driver.execute(self._text, self._values(row)))

    def execute_each(self, connection: Connection, rows: Iterable[Row]) -> Any:
        return self._run(connection, lambda driver: driver.executemany(self._text, map(self._values, rows)))

    def read_all(self, connection: Connection, row: Row) -> list[list[Any]]:
        found = [list(values) for values in self.execute(connection, row).fetchall()]
        for values in found:
            for place, read in self._readers:
                values[place] = read(values[place])
        return found

    def _values(self, row: Row) -> list[Any]:
        known = {**row, **self._fixed} if self._fixed else row
        return [known[name] if process is None else process(known[name]) for name, process in self._given]

    def _run(self, connection: Connection, run: Callable[[Any], Any]) -> Any:
        dialect = connection.dialect
        try:
            return run(connection.connection.driver_connection)
        except dialect.loaded_dbapi.Error as error:
            kind = dialect.loaded_dbapi.Error
            raise DBAPIError.instance(self._text, None, error, kind, hide_parameters=True, dialect=dialect) from error


@lru_cache(maxsize=200)
def _prepared(statement: Any, names: tuple[str, ...], dialect: Dialect) -> _Prepared:
    return _Prepared(statement, names, dialect)
