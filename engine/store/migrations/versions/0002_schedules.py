"""Schedules and their slots; jobs that wait for a lock; what is known of a document's expressions and use."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from engine.store.migrations.kinds import BYTEWISE, key, long_text

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("wanted", key(512)))
    op.create_index("jobs_by_wanted", "jobs", ["wanted", "id"])
    op.add_column("documents", sa.Column("stored_time", sa.BigInteger))
    op.add_column("documents", sa.Column("problems", long_text()))
    _schedules()
    _slots()
    op.create_table(
        "marks",
        sa.Column("name", key(64), primary_key=True),
        sa.Column("time", sa.BigInteger),
        sa.Column("text", long_text()),
        **BYTEWISE,
    )


def downgrade() -> None:
    for table in ("marks", "slots", "schedules"):
        op.drop_table(table)
    op.drop_column("documents", "problems")
    op.drop_column("documents", "stored_time")
    op.drop_index("jobs_by_wanted", "jobs")
    op.drop_column("jobs", "wanted")


def _schedules() -> None:
    op.create_table(
        "schedules",
        sa.Column("id", key(36), primary_key=True),
        sa.Column("path", key(512), nullable=False),
        sa.Column("identity", key(64), nullable=False),
        sa.Column("cron", key(255)),
        sa.Column("every_seconds", sa.Integer),
        sa.Column("timezone", key(64)),
        sa.Column("overlap", key(16), nullable=False),
        sa.Column("misfire", key(16), nullable=False),
        sa.Column("misfire_grace_seconds", sa.Integer),
        sa.Column("timeout_seconds", sa.Double),
        sa.Column("source", key(16), nullable=False),
        sa.Column("is_paused", sa.Boolean, nullable=False),
        sa.Column("created_time", sa.BigInteger, nullable=False),
        sa.Column("anchor", sa.BigInteger, nullable=False),
        sa.Column("last_due", sa.BigInteger, nullable=False),
        sa.Column("next_due", sa.BigInteger),
        sa.Column("last_job_id", key(36)),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("last_error", long_text()),
        sa.Column("data", long_text()),
        sa.UniqueConstraint("identity", name="schedules_identity"),
        **BYTEWISE,
    )
    op.create_index("schedules_by_next_due", "schedules", ["next_due"])
    op.create_index("schedules_by_path", "schedules", ["path", "id"])


def _slots() -> None:
    op.create_table(
        "slots",
        sa.Column(
            "schedule_id",
            key(36),
            sa.ForeignKey("schedules.id", name="slots_schedule", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("due_time", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("first_due_time", sa.BigInteger),
        sa.Column("times", sa.Integer, nullable=False),
        sa.Column("verdict", key(16), nullable=False),
        sa.Column("tick_time", sa.BigInteger, nullable=False),
        sa.Column("job_id", key(36)),
        sa.Column("reason", long_text()),
        sqlite_with_rowid=False,
        **BYTEWISE,
    )
    op.create_index("slots_by_due_time", "slots", ["due_time"])
