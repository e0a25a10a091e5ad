"""The due time before a pause that no tick saw: it is not lost in the pause."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("schedules", sa.Column("owed", sa.BigInteger))


def downgrade() -> None:
    op.drop_column("schedules", "owed")
