"""What tests in several folders share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from databases import scratch_database


@pytest.fixture(scope="session")
def postgresql_uri() -> Iterator[str]:
    yield from scratch_database("postgresql")


@pytest.fixture(scope="session")
def mariadb_uri() -> Iterator[str]:
    yield from scratch_database("mariadb")
