"""Keys to the API, and the audit of what was changed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from engine.store.migrations.kinds import BYTEWISE, key

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", key(36), primary_key=True),
        sa.Column("name", key(64), nullable=False),
        sa.Column("name_in_use", key(64)),
        sa.Column("role", key(16), nullable=False),
        sa.Column("prefix", key(16), nullable=False),
        sa.Column("digest", key(64), nullable=False),
        sa.Column("flows", key(512)),
        sa.Column("created_time", sa.BigInteger, nullable=False),
        sa.Column("expires_time", sa.BigInteger),
        sa.Column("last_used_time", sa.BigInteger),
        sa.Column("revoked_time", sa.BigInteger),
        sa.UniqueConstraint("name_in_use", name="api_keys_name_in_use"),
        **BYTEWISE,
    )
    op.create_index("api_keys_by_prefix", "api_keys", ["prefix"])
    op.create_table(
        "audit",
        sa.Column("id", key(36), primary_key=True),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("actor", key(128), nullable=False),
        sa.Column("role", key(16), nullable=False),
        sa.Column("action", key(64), nullable=False),
        sa.Column("target", key(512)),
        sa.Column("result_id", key(36)),
        sa.Column("address", key(255)),
        sqlite_with_rowid=False,
        **BYTEWISE,
    )
    op.create_index("audit_by_actor", "audit", ["actor", "id"])
    op.create_index("audit_by_action", "audit", ["action", "id"])


def downgrade() -> None:
    op.drop_table("audit")
    op.drop_table("api_keys")
