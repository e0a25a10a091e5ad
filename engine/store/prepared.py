"""Statements that run for every job or thousands of times in a tick: compiled once, then handed to SQLite's driver.

SQLAlchemy's own way from a statement to the driver takes ten to thirty times as long as SQLite takes for it, each time.
Other databases are asked over a network, which takes longer than either: there it stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, TypeVar

from sqlalchemy import Connection, Delete, Insert, Select, Update
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError

from engine.store.columns import storable

T = TypeVar("T")

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


def begin(connection: Connection, how: str) -> None:
    """Begin a transaction on SQLite as `how` says; servers begin one by themselves."""
    if connection.dialect.name == "sqlite":
        _on_driver(connection, how, lambda driver: driver.execute(how))


def first_value(connection: Connection, statement: Select[Any], row: Row) -> Any:
    """The first column of the first row as the driver gives it, None when there is none: for texts and numbers."""
    if connection.dialect.name != "sqlite":
        return connection.scalar(statement, row)
    found = _Prepared.of(statement, row, connection.dialect).execute(connection, row).fetchone()
    return None if found is None else found[0]


def all_rows(connection: Connection, statement: Select[Any], row: Row) -> Sequence[Sequence[Any]]:
    """Every row, with its values in the order of the statement's columns. One of the values may be a list of texts."""
    if connection.dialect.name != "sqlite":
        return connection.execute(statement, row).all()
    return _Prepared.of(statement, row, connection.dialect).read_all(connection, row)


class _Prepared:
    """A statement as SQLite's driver takes it."""

    def __init__(self, statement: Any, names: tuple[str, ...], dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=list(names))
        self._text = str(compiled)
        self._list = next((bind.key for bind in compiled.post_compile_params), None)
        assert self._text.count("POSTCOMPILE") == (self._list is not None), f"it has several lists: {self._text}"
        order: list[str] = compiled.positiontup
        binders = {
            name: bind.type.dialect_impl(dialect).bind_processor(dialect) for name, bind in compiled.binds.items()
        }
        fixed = {name: compiled.params[name] for name in order if name not in names}
        self._fixed = {name: _bound(value, binders.get(name)) for name, value in fixed.items()}
        self._place_of_list = -1 if self._list is None else order.index(self._list)
        found = [(place, binders.get(name)) for place, name in enumerate(order) if name not in fixed]
        self._binders = [(place, bind) for place, bind in found if bind is not None]
        # Of one name it would give a value, and no tuple of one.
        self._in_order = itemgetter(*order) if len(order) > 1 else lambda row: tuple(row[name] for name in order)
        types = [column.type for column in statement.selected_columns] if isinstance(statement, Select) else []
        readers = [type.dialect_impl(dialect).result_processor(dialect, None) for type in types]
        self._readers = [(place, read) for place, read in enumerate(readers) if read is not None]

    @classmethod
    def of(cls, statement: Any, row: Row, dialect: Dialect) -> _Prepared:
        """The statement with values of these names."""
        return _prepared(statement, tuple(row), dialect)

    def execute(self, connection: Connection, row: Row) -> Any:
        text, values = self._with_list(row)
        return _on_driver(connection, text, lambda driver: driver.execute(text, values))

    def execute_each(self, connection: Connection, rows: Iterable[Row]) -> Any:
        values = map(self._values, rows)
        return _on_driver(connection, self._text, lambda driver: driver.executemany(self._text, values))

    def read_all(self, connection: Connection, row: Row) -> list[list[Any]]:
        text, values = self._with_list(row)
        # Within what translates errors: a text that is not UTF-8 is met when its row is fetched.
        found = _on_driver(connection, text, lambda driver: [list(each) for each in driver.execute(text, values)])
        for values in found:
            for place, read in self._readers:
                values[place] = read(values[place])
        return found

    def _values(self, row: Row) -> list[Any]:
        values = list(self._in_order({**row, **self._fixed} if self._fixed else row))
        for place, bind in self._binders:
            values[place] = bind(values[place])
        return values

    def _with_list(self, row: Row) -> tuple[str, list[Any]]:
        """The statement with a place for each item of its list, if it has one, and all values in order."""
        if self._list is None:
            return self._text, self._values(row)
        items = [storable(item) for item in row[self._list]]
        values = self._values({**row, self._list: None})
        values[self._place_of_list : self._place_of_list + 1] = items
        return self._text.replace(f"__[POSTCOMPILE_{self._list}]", ", ".join("?" * len(items))), values


def _on_driver(connection: Connection, text: str, run: Callable[[Any], T]) -> T:
    """What comes of running the text on SQLite's driver, whose errors are raised as SQLAlchemy's."""
    dialect = connection.dialect
    try:
        return run(connection.connection.driver_connection)
    except dialect.loaded_dbapi.Error as error:
        kind = dialect.loaded_dbapi.Error
        raise DBAPIError.instance(text, None, error, kind, hide_parameters=True, dialect=dialect) from error


def _bound(value: Any, bind: Callable[[Any], Any] | None) -> Any:
    return value if bind is None else bind(value)


@lru_cache(maxsize=200)
def _prepared(statement: Any, names: tuple[str, ...], dialect: Dialect) -> _Prepared:
    return _Prepared(statement, names, dialect)
