"""Jobs, their documents, steps and logs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from engine.store.migrations.kinds import BYTEWISE, key, long_text

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _jobs()
    _documents()
    _steps()
    _logs()


def downgrade() -> None:
    for table in ("logs", "steps", "documents", "jobs"):
        op.drop_table(table)


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", key(36), primary_key=True),
        sa.Column("path", key(512), nullable=False),
        sa.Column("revision", key(64), nullable=False),
        sa.Column("state", key(16), nullable=False),
        sa.Column("status", key(16)),
        sa.Column("reason", key(32)),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("source", key(16), nullable=False),
        sa.Column("schedule_id", key(64)),
        sa.Column("timeout_seconds", sa.Double),
        sa.Column("lock", key(560)),
        sa.Column("owner", key(255)),
        sa.Column("host", key(255)),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("lease_until", sa.BigInteger),
        sa.Column("queued_time", sa.BigInteger, nullable=False),
        sa.Column("start_time", sa.BigInteger),
        sa.Column("end_time", sa.BigInteger),
        sa.Column("has_finally", sa.Boolean, nullable=False),
        sa.Column("name", long_text(), nullable=False),
        sa.Column("message", long_text()),
        sa.Column("errors", long_text()),
        sa.Column("data", long_text()),
        sa.Column("result", long_text()),
        sa.UniqueConstraint("lock", name="jobs_lock"),
        **BYTEWISE,
    )
    op.create_index("jobs_by_state", "jobs", ["state", "id"])
    op.create_index("jobs_by_status", "jobs", ["status", "id"])
    op.create_index("jobs_by_path", "jobs", ["path", "id"])
    op.create_index("jobs_by_schedule", "jobs", ["schedule_id", "id"])
    op.create_index("jobs_to_claim", "jobs", ["state", "priority", "id"])
    op.create_index("jobs_by_owner", "jobs", ["owner", "state"])
    op.create_index("jobs_by_end_time", "jobs", ["end_time"])


def _documents() -> None:
    op.create_table(
        "documents",
        sa.Column("revision", key(64), primary_key=True),
        sa.Column("path", key(512), nullable=False),
        sa.Column("parts", long_text(), nullable=False),
        sa.Column("text", long_text(), nullable=False),
        **BYTEWISE,
    )


def _steps() -> None:
    op.create_table(
        "steps",
        sa.Column("job_id", key(36), sa.ForeignKey("jobs.id", name="steps_job", ondelete="CASCADE"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("type", key(64), nullable=False),
        sa.Column("status", key(16), nullable=False),
        sa.Column("is_finally", sa.Boolean, nullable=False),
        sa.Column("start_time", sa.BigInteger, nullable=False),
        sa.Column("end_time", sa.BigInteger),
        sa.Column("name", long_text(), nullable=False),
        sa.Column("parent", long_text()),
        sa.Column("result_key", long_text()),
        sa.Column("error", long_text()),
        sa.Column("output", long_text()),
        **BYTEWISE,
    )


def _logs() -> None:
    op.create_table(
        "logs",
        sa.Column("job_id", key(36), sa.ForeignKey("jobs.id", name="logs_job", ondelete="CASCADE"), primary_key=True),
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("level", key(16), nullable=False),
        sa.Column("step", long_text()),
        sa.Column("message", long_text(), nullable=False),
        sqlite_with_rowid=False,
        **BYTEWISE,
    )
