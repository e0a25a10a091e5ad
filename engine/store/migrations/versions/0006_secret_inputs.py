"""The values of secret inputs: beside the data of a job, for as long as it has not ended."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from engine.store.migrations.kinds import long_text

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("secrets", long_text()))


def downgrade() -> None:
    op.drop_column("jobs", "secrets")
