"""What callers asked under a key of their own, so that asking twice is the same as asking once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from engine.store.migrations.kinds import BYTEWISE, key

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("digest", key(64), primary_key=True),
        sa.Column("request", key(64), nullable=False),
        sa.Column("result_id", key(36), nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
        **BYTEWISE,
    )
    op.create_index("idempotency_keys_by_time", "idempotency_keys", ["time"])


def downgrade() -> None:
    op.drop_table("idempotency_keys")
