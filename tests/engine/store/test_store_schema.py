"""The migrations make exactly the tables that the code knows, once."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from threading import Thread

import newest_schema
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from newest_schema import parts_of
from sqlalchemy import inspect, text

from engine.errors import DatabaseBusy, DatabaseRefused
from engine.models.job import JobFilter, State
from engine.store import upgrading
from engine.store.columns import Key
from engine.store.database import Database
from engine.store.jobs import JobStore
from engine.store.tables import metadata
from engine.store.upgrading import HEAD, MIGRATIONS, schema_revision


def test_the_migrations_make_the_tables_that_the_code_knows(database):
    with database.read() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)

    assert differences == []


@pytest.mark.parametrize("uri", ["postgresql"], indirect=True)
def test_keys_sort_by_bytes_on_postgresql(database):
    with database.read() as connection:
        made = {
            f"{table.name}.{column['name']}": column["type"].collation
            for table in metadata.tables.values()
            for column in inspect(connection).get_columns(table.name)
            if isinstance(table.c[column["name"]].type, Key)
        }

    assert "jobs.lock" in made
    assert set(made.values()) == {"C"}


@pytest.mark.parametrize("uri", ["mariadb"], indirect=True)
def test_tables_compare_by_bytes_on_mariadb(database):
    with database.read() as connection:
        options = [inspect(connection).get_table_options(table) for table in metadata.tables]

    assert {option["mariadb_collate"] for option in options} == {"utf8mb4_bin"}
    assert {option["mariadb_engine"] for option in options} == {"InnoDB"}


def test_the_code_knows_the_newest_migration():
    assert ScriptDirectory(str(MIGRATIONS)).get_heads() == [HEAD]


def test_a_second_upgrade_changes_nothing_and_needs_no_alembic(sqlite):
    script = (
        "import sys; from engine.store.database import Database;"
        f"Database('sqlite:///{sqlite.file}').upgrade();"
        "assert 'alembic' not in sys.modules"
    )

    subprocess.run([sys.executable, "-c", script], check=True)


def test_an_empty_file_gets_what_all_migrations_make_and_needs_no_alembic(tmp_path):
    script = (
        "import sys; from engine.store.database import Database;"
        f"Database('sqlite:///{tmp_path}/jobs.sqlite').upgrade();"
        "assert 'alembic' not in sys.modules"
    )

    subprocess.run([sys.executable, "-c", script], check=True)

    made, wanted = parts_of(tmp_path / "jobs.sqlite"), newest_schema.of_migrations()
    assert one_line_each(made) == one_line_each(wanted), f"run {newest_schema.__file__}"


def one_line_each(parts):
    return [(*names, sql and " ".join(sql.split())) for *names, sql in parts]


def test_a_file_whose_migrations_were_all_taken_back_is_migrated_again(sqlite):
    with sqlite.write() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(MIGRATIONS))
        command.downgrade(config, "base")

    sqlite.upgrade()

    with sqlite.read() as connection:
        assert schema_revision(connection) == HEAD


def test_an_upgrade_of_an_older_database_says_so_and_keeps_its_jobs(sqlite, bench_of, caplog):
    id = bench_of(sqlite).queue()
    with sqlite.write() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(MIGRATIONS))
        command.downgrade(config, "0004")
    caplog.set_level("INFO", "octoflow")

    sqlite.upgrade()

    assert f"is brought from schema 0004 to {HEAD}" in caplog.text
    assert [job.id for job in JobStore(sqlite).list(JobFilter(state=State.PENDING))] == [id]
    with sqlite.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_many_that_start_at_once_upgrade_once(tmp_path):
    file = tmp_path / "jobs.sqlite"
    failures = []

    def upgrade():
        database = Database(f"sqlite:///{file}")
        try:
            database.upgrade()
            database.ping(write=True)
        except Exception as error:  # whatever it is, the test fails with it
            failures.append(error)
        database.dispose()

    threads = [Thread(target=upgrade) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []


def test_nobody_opens_a_new_database_while_another_makes_it(tmp_path, monkeypatch):
    monkeypatch.setattr(upgrading, "PATIENCE_SECONDS", 0)
    database = Database(f"sqlite:///{tmp_path}/jobs.sqlite", run_path=tmp_path)
    with (tmp_path / "migrate.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)

        with pytest.raises(DatabaseBusy, match="being upgraded by another process"):
            database.upgrade()

        assert database.file.stat().st_size == 0

    database.upgrade()
    assert database.ask(schema_revision) == HEAD
    database.dispose()


def test_a_database_of_a_newer_version_is_refused(sqlite):
    with sqlite.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(DatabaseRefused, match=r"only\.sqlite is at schema '9999'.*newer version"):
        sqlite.upgrade()

    assert sqlite.ask(schema_revision) == "9999"


def test_a_database_of_another_program_is_refused(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/other.sqlite")
    with database.write() as connection:
        connection.execute(text("CREATE TABLE jobs (id INTEGER)"))

    with pytest.raises(DatabaseRefused, match="a table `jobs` that Octoflow did not make"):
        database.upgrade()

    database.dispose()


def test_an_upgrade_that_fails_leaves_the_database_as_it_was(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/half.sqlite")
    with database.write() as connection:
        connection.execute(text("CREATE TABLE logs (id INTEGER)"))

    with pytest.raises(Exception, match="half"):
        database.upgrade()

    with database.read() as connection:
        tables = set(connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'table'")))
    assert tables == {"logs"}
    database.dispose()
