"""Database servers for the tests: found, and given a scratch database on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NoReturn
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import SQLAlchemyError

SERVERS = {
    "postgresql": ("OCTOFLOW_TEST_POSTGRES_URL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"),
    "mariadb": ("OCTOFLOW_TEST_MARIADB_URL", "mariadb+pymysql://root@127.0.0.1:3306/mysql"),
}


def scratch_database(kind: str) -> Iterator[str]:
    """A database of its own on the server; skips, or fails in CI, when there is no server."""
    variable, local = SERVERS[kind]
    url = make_url(os.environ.get(variable) or local)
    name = f"octoflow_test_{uuid4().hex[:12]}"
    admin = create_engine(url, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 3})
    try:
        with admin.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
    except SQLAlchemyError as error:
        lacking(f"no {kind} server at {url.host}:{url.port}; name one in {variable} ({type(error).__name__})")
    yield url.set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        force = " WITH (FORCE)" if kind == "postgresql" else ""
        connection.execute(text(f"DROP DATABASE {name}{force}"))
    admin.dispose()


def lacking(reason: str) -> NoReturn:
    """Skip the test for want of a server; in CI there has to be one."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
