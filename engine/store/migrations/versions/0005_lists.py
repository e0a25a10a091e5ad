"""Indexes for every list of jobs; those that served a few rows hold only these few."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

WERE_WHOLE = {
    "jobs_by_status": (["status", "id"], "status IS NOT NULL"),
    "jobs_by_schedule": (["schedule_id", "id"], "schedule_id IS NOT NULL"),
    "jobs_by_owner": (["owner", "state"], "owner IS NOT NULL"),
    "jobs_by_wanted": (["wanted", "id"], "wanted IS NOT NULL"),
}
ARE_NEW = {
    "jobs_by_path_and_status": (["path", "status", "id"], "status IS NOT NULL"),
    "jobs_by_schedule_and_status": (
        ["schedule_id", "status", "id"],
        "schedule_id IS NOT NULL AND status IS NOT NULL",
    ),
    "jobs_started_late": (["start_time"], "start_time > queued_time + 240000000"),
    "jobs_ended_late": (["end_time"], "end_time > queued_time + 240000000"),
}


def upgrade() -> None:
    for name, (columns, rows) in (WERE_WHOLE if _can_be_partial() else {}).items():
        op.drop_index(name, "jobs")
        _create(name, columns, rows)
    op.drop_index("jobs_by_end_time", "jobs")
    for name, (columns, rows) in ARE_NEW.items():
        _create(name, columns, rows)


def downgrade() -> None:
    for name in ARE_NEW:
        op.drop_index(name, "jobs")
    op.create_index("jobs_by_end_time", "jobs", ["end_time"])
    for name, (columns, _) in (WERE_WHOLE if _can_be_partial() else {}).items():
        op.drop_index(name, "jobs")
        op.create_index(name, "jobs", columns)


def _can_be_partial() -> bool:
    return op.get_bind().dialect.name in ("sqlite", "postgresql")


def _create(name: str, columns: list[str], rows: str) -> None:
    # MySQL and MariaDB know no partial index and take these for whole ones.
    partial: dict[str, Any] = {"sqlite_where": sa.text(rows), "postgresql_where": sa.text(rows)}
    op.create_index(name, "jobs", columns, **partial)
