"""Statements that skip SQLAlchemy on their way to SQLite: what they store and raise is the same."""

from __future__ import annotations

import pytest
from clocks import NOON
from sqlalchemy import bindparam, select, update
from sqlalchemy.exc import IntegrityError

from engine.errors import DatabaseDown
from engine.models.job import State, StepStatus
from engine.store import prepared
from engine.store.tables import insert_absent, steps
from engine.store.tables import jobs as table

JOB = {
    "id": "j1",
    "path": "ü\ud800.yml",
    "revision": "r",
    "state": State.RUNNING,
    "priority": -3,
    "source": "api",
    "timeout_seconds": 1.5,
    "lock": None,
    "epoch": 1,
    "queued_time": NOON,
    "has_finally": True,
    "name": "a \0 name",
    "data": {"a": [1, None, "ü"]},
    "result": "null",
}
STEP = {"number": 1, "type": "jq", "status": StepStatus.RUNNING, "is_finally": False, "start_time": NOON, "name": "s"}


def stored(database, id):
    row = database.ask(lambda connection: connection.execute(select(table).where(table.c.id == id)).one())
    return {name: value for name, value in row._mapping.items() if name != "id"}


def test_a_row_is_stored_as_sqlalchemy_stores_it(database):
    database.change(lambda connection: connection.execute(table.insert(), JOB))
    database.change(lambda connection: prepared.change(connection, table.insert(), {**JOB, "id": "j2"}))

    assert stored(database, "j2") == stored(database, "j1")


def test_an_update_counts_its_rows_and_keeps_its_own_values(database):
    end = (
        update(table)
        .where(table.c.id == bindparam("job"), table.c.state == State.RUNNING)
        .values(state=State.FINISHED, lock=None, end_time=bindparam("now"))
    )
    database.change(lambda connection: prepared.change(connection, table.insert(), {**JOB, "lock": "held"}))

    counts = [
        database.change(lambda connection: prepared.change(connection, end, {"job": "j1", "now": NOON}))
        for _ in range(2)
    ]

    assert counts == [1, 0]
    row = stored(database, "j1")
    assert (row["state"], row["lock"], row["end_time"]) == ("finished", None, NOON)


def test_many_rows_are_counted_without_those_that_were_there(database):
    rows = [{"job_id": "j1", **STEP, "number": number} for number in (1, 2, 2, 3)]

    def write(connection):
        prepared.change(connection, table.insert(), JOB)
        return prepared.change_each(connection, insert_absent(steps, connection.dialect.name), rows)

    assert database.change(write) == 3


def test_the_first_value_is_none_when_there_is_no_row(database):
    query = select(table.c.id).where(table.c.path == bindparam("path"), table.c.state == State.RUNNING)
    values = {"path": JOB["path"]}

    before = database.ask(lambda connection: prepared.first_value(connection, query, values))
    database.change(lambda connection: prepared.change(connection, table.insert(), JOB))

    assert before is None
    assert database.ask(lambda connection: prepared.first_value(connection, query, values)) == "j1"


def test_what_the_driver_refuses_is_sqlalchemys_error_and_ours_at_the_edge(database):
    database.change(lambda connection: prepared.change(connection, table.insert(), JOB))

    with pytest.raises(DatabaseDown) as caught:
        database.change(lambda connection: prepared.change(connection, table.insert(), JOB))

    assert isinstance(caught.value.__cause__, IntegrityError)
    assert "j1" not in str(caught.value)


def test_a_list_of_any_length_stands_among_other_values(database):
    rows = [{**JOB, "id": f"j{number}", "priority": number} for number in range(5)]
    database.change(lambda connection: prepared.change_each(connection, table.insert(), rows))
    query = (
        select(table.c.id)
        .where(table.c.priority >= bindparam("least"), table.c.id.in_(bindparam("ids", expanding=True)))
        .where(table.c.state == State.RUNNING, table.c.priority <= bindparam("most"))
        .order_by(table.c.id)
    )

    def found(ids):
        values = {"least": 1, "ids": ids, "most": 3}
        return [id for (id,) in database.ask(lambda connection: prepared.all_rows(connection, query, values))]

    assert found(["j0", "j1", "j3", "j4", "none"]) == ["j1", "j3"]
    assert found(["j2"]) == ["j2"]
    assert found([]) == []


def test_rows_are_read_as_sqlalchemy_reads_them(database):
    row = {**STEP, "job_id": "j1", "output": '{"a": [1, null]}', "end_time": None}
    database.change(lambda connection: connection.execute(table.insert(), JOB))
    database.change(lambda connection: connection.execute(steps.insert(), row))

    for asked in (
        select(table).where(table.c.id == bindparam("id")),
        select(steps).where(steps.c.job_id == bindparam("id")),
    ):
        ours = database.ask(lambda connection, asked=asked: prepared.all_rows(connection, asked, {"id": "j1"}))
        theirs = database.ask(lambda connection, asked=asked: connection.execute(asked, {"id": "j1"}).all())

        assert [list(each) for each in ours] == [list(each) for each in theirs]
        assert len(ours) == 1
