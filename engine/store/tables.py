"""The tables as they are now; migrations/ holds how they came to be so, and what they are to a single database.

An option such as `mysql_charset` would import that database's dialect at each start.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Insert,
    Integer,
    MetaData,
    Table,
    UniqueConstraint,
    func,
    text,
)

from engine.store.columns import JsonText, JsonValue, Key, LongText, Moment

metadata = MetaData()

IS_LATE = "{0} > queued_time + 240000000"
"""Four minutes or more after the job was queued, letter by letter as the index has it: so databases know it again."""


def where(rows: str) -> dict[str, Any]:
    """The index holds only these rows, where the database can do that; a write of any other row does not pay for it."""
    return {"sqlite_where": text(rows)}  # The migrations tell PostgreSQL.


# The wide columns stand last: SQLite reads a row from its start, and a list never gets as far as them.
jobs = Table(
    "jobs",
    metadata,
    Column("id", Key(36), primary_key=True),
    Column("path", Key(512), nullable=False),
    Column("revision", Key(64), nullable=False),
    Column("state", Key(16), nullable=False),
    Column("status", Key(16)),
    Column("reason", Key(32)),
    Column("priority", Integer, nullable=False),
    Column("source", Key(16), nullable=False),
    Column("schedule_id", Key(64)),
    Column("timeout_seconds", Double),
    Column("lock", Key(560)),
    Column("owner", Key(255)),
    Column("host", Key(255)),
    Column("epoch", Integer, nullable=False),
    Column("lease_until", Moment),
    Column("queued_time", Moment, nullable=False),
    Column("start_time", Moment),
    Column("end_time", Moment),
    Column("has_finally", Boolean, nullable=False),
    Column("name", LongText, nullable=False),
    Column("message", LongText),
    Column("errors", JsonValue),
    Column("data", JsonValue),
    Column("result", JsonText),
    Column("wanted", Key(512)),  # The document whose lock a blocked job waits for.
    Column("secrets", JsonValue),  # Values of `data` that are masked there; none once the job has ended.
    UniqueConstraint("lock", name="jobs_lock"),
    Index("jobs_by_state", "state", "id"),
    Index("jobs_by_status", "status", "id", **where("status IS NOT NULL")),
    Index("jobs_by_path", "path", "id"),
    Index("jobs_by_path_and_status", "path", "status", "id", **where("status IS NOT NULL")),
    Index("jobs_by_schedule", "schedule_id", "id", **where("schedule_id IS NOT NULL")),
    Index(
        "jobs_by_schedule_and_status",
        *("schedule_id", "status", "id"),
        **where("schedule_id IS NOT NULL AND status IS NOT NULL"),
    ),
    Index("jobs_started_late", "start_time", **where(IS_LATE.format("start_time"))),
    Index("jobs_ended_late", "end_time", **where(IS_LATE.format("end_time"))),
    Index("jobs_to_claim", "state", "priority", "id"),
    Index("jobs_by_owner", "owner", "state", **where("owner IS NOT NULL")),
    Index("jobs_by_wanted", "wanted", "id", **where("wanted IS NOT NULL")),
)

documents = Table(
    "documents",
    metadata,
    Column("revision", Key(64), primary_key=True),
    Column("path", Key(512), nullable=False),
    Column("parts", JsonValue, nullable=False),
    Column("text", LongText, nullable=False),
    Column("stored_time", Moment),  # Moved forward by launches: what is not referred to and was not used goes.
    Column("problems", JsonValue),  # What compiling its expressions found; NULL when nobody has tried yet.
)

steps = Table(
    "steps",
    metadata,
    Column("job_id", Key(36), ForeignKey("jobs.id", name="steps_job", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("type", Key(64), nullable=False),
    Column("status", Key(16), nullable=False),
    Column("is_finally", Boolean, nullable=False),
    Column("start_time", Moment, nullable=False),
    Column("end_time", Moment),
    Column("name", LongText, nullable=False),
    Column("parent", LongText),
    Column("result_key", LongText),
    Column("error", LongText),
    Column("output", JsonText),
)

logs = Table(
    "logs",
    metadata,
    Column("job_id", Key(36), ForeignKey("jobs.id", name="logs_job", ondelete="CASCADE"), primary_key=True),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("time", Moment, nullable=False),
    Column("level", Key(16), nullable=False),
    Column("step", LongText),
    Column("message", LongText, nullable=False),
    sqlite_with_rowid=False,
)

schedules = Table(
    "schedules",
    metadata,
    Column("id", Key(36), primary_key=True),
    Column("path", Key(512), nullable=False),
    Column("identity", Key(64), nullable=False),
    Column("cron", Key(255)),
    Column("every_seconds", Integer),
    Column("timezone", Key(64)),
    Column("overlap", Key(16), nullable=False),
    Column("misfire", Key(16), nullable=False),
    Column("misfire_grace_seconds", Integer),
    Column("timeout_seconds", Double),
    Column("source", Key(16), nullable=False),
    Column("is_paused", Boolean, nullable=False),
    Column("created_time", Moment, nullable=False),
    Column("anchor", Moment, nullable=False),
    Column("last_due", Moment, nullable=False),
    Column("next_due", Moment),
    Column("owed", Moment),
    Column("last_job_id", Key(36)),
    Column("failures", Integer, nullable=False),
    Column("last_error", LongText),
    Column("data", JsonValue),
    UniqueConstraint("identity", name="schedules_identity"),
    Index("schedules_by_next_due", "next_due"),
    Index("schedules_by_path", "path", "id"),
)

slots = Table(
    "slots",
    metadata,
    Column(
        "schedule_id", Key(36), ForeignKey("schedules.id", name="slots_schedule", ondelete="CASCADE"), primary_key=True
    ),
    Column("due_time", Moment, primary_key=True, autoincrement=False),
    Column("first_due_time", Moment),
    Column("times", Integer, nullable=False),
    Column("verdict", Key(16), nullable=False),
    Column("tick_time", Moment, nullable=False),
    Column("job_id", Key(36)),
    Column("reason", LongText),
    Index("slots_by_due_time", "due_time"),
    sqlite_with_rowid=False,
)

# Single facts of the service, such as the time of the last good tick.
marks = Table(
    "marks",
    metadata,
    Column("name", Key(64), primary_key=True),
    Column("time", Moment),
    Column("text", LongText),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Key(36), primary_key=True),
    Column("name", Key(64), nullable=False),
    Column("name_in_use", Key(64)),  # The name, and NULL once the key is revoked: then another may have it.
    Column("role", Key(16), nullable=False),
    Column("prefix", Key(16), nullable=False),
    Column("digest", Key(64), nullable=False),
    Column("flows", Key(512)),
    Column("created_time", Moment, nullable=False),
    Column("expires_time", Moment),
    Column("last_used_time", Moment),
    Column("revoked_time", Moment),
    UniqueConstraint("name_in_use", name="api_keys_name_in_use"),
    Index("api_keys_by_prefix", "prefix"),
)

# By its id, which is in the order of time.
audit = Table(
    "audit",
    metadata,
    Column("id", Key(36), primary_key=True),
    Column("time", Moment, nullable=False),
    Column("actor", Key(128), nullable=False),
    Column("role", Key(16), nullable=False),
    Column("action", Key(64), nullable=False),
    Column("target", Key(512)),
    Column("result_id", Key(36)),
    Column("address", Key(255)),
    Index("audit_by_actor", "actor", "id"),
    Index("audit_by_action", "action", "id"),
    sqlite_with_rowid=False,
)

# What was made for a caller under a key of the caller's own: `digest` is of both, `request` of what was asked.
idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("digest", Key(64), primary_key=True),
    Column("request", Key(64), nullable=False),
    Column("result_id", Key(36), nullable=False),
    Column("time", Moment, nullable=False),
    Index("idempotency_keys_by_time", "time"),
    sqlite_with_rowid=False,
)


@cache
def insert_absent(table: Table, dialect: str) -> Insert:
    """An INSERT that does nothing where a row with the same unique key exists; its row count tells."""
    return _insert_absent(table, dialect).execution_options(preserve_rowcount=True)


@cache
def insert_or_renew(table: Table, dialect: str, renewed: tuple[str, ...], kept: tuple[str, ...] = ()) -> Insert:
    """An INSERT that, where a row with the same primary key exists, sets these columns of it instead.

    Those in `kept` are set where the new value is not NULL.
    """
    match dialect:  # Each dialect is imported where it is used: together they are a sixth of what SQLAlchemy takes.
        case "sqlite":
            from sqlalchemy.dialects import sqlite

            on_sqlite = sqlite.insert(table)
            return on_sqlite.on_conflict_do_update(
                index_elements=list(table.primary_key), set_=_renewed(table, on_sqlite.excluded, renewed, kept)
            )
        case "postgresql":
            from sqlalchemy.dialects import postgresql

            on_postgresql = postgresql.insert(table)
            return on_postgresql.on_conflict_do_update(
                index_elements=list(table.primary_key), set_=_renewed(table, on_postgresql.excluded, renewed, kept)
            )
        case _:
            from sqlalchemy.dialects import mysql

            on_mysql = mysql.insert(table)
            return on_mysql.on_duplicate_key_update(_renewed(table, on_mysql.inserted, renewed, kept))


def _renewed(table: Table, new: Any, renewed: tuple[str, ...], kept: tuple[str, ...]) -> dict[str, Any]:
    return {name: new[name] for name in renewed} | {name: func.coalesce(new[name], table.c[name]) for name in kept}


def _insert_absent(table: Table, dialect: str) -> Insert:
    match dialect:
        case "sqlite":
            from sqlalchemy.dialects import sqlite

            return sqlite.insert(table).on_conflict_do_nothing()
        case "postgresql":
            from sqlalchemy.dialects import postgresql

            return postgresql.insert(table).on_conflict_do_nothing()
        case _:
            return table.insert().prefix_with("IGNORE")
