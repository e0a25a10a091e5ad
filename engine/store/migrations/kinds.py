"""The kinds of column that migrations use: as they were from the first on, and not to be changed."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

BYTEWISE: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_bin",
}


def key(length: int) -> sa.String:
    """Compared byte by byte: PostgreSQL is told so, MySQL by the table, SQLite does it anyway."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def long_text() -> sa.Text:
    """Of any length."""
    return sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
