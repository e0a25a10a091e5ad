"""`octoflow config`: every setting, its value and source, and never a secret."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest

from engine import cli
from engine.settings import Settings

CANARY = "canary-8d1f"
SECRET = [field.name.upper() for field in fields(Settings) if not field.repr]


@pytest.fixture(autouse=True)
def bare(tmp_path, monkeypatch):
    for name in [*(field.name.upper() for field in fields(Settings)), "PORT"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATA_PATH", str(tmp_path / "data"))


def shown(capsys):
    assert cli.main(["config", "--json"]) == 0
    return {row["name"]: row for row in json.loads(capsys.readouterr().out)}


def test_every_setting_is_there_with_what_it_is_for(capsys):
    rows = shown(capsys)

    assert list(rows) == [field.name.upper() for field in fields(Settings)]
    assert all(row["help"] for row in rows.values())


def test_a_value_tells_where_it_comes_from(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("PORT", "8080")
    monkeypatch.setenv("FLOW_MAX_WORKERS", "3")
    monkeypatch.setenv("GRACE_SECONDS", " ")

    rows = shown(capsys)

    assert (rows["API_PORT"]["value"], rows["API_PORT"]["source"]) == (8080, "PORT")
    assert (rows["FLOW_MAX_WORKERS"]["value"], rows["FLOW_MAX_WORKERS"]["source"]) == (3, "FLOW_MAX_WORKERS")
    assert (rows["GRACE_SECONDS"]["value"], rows["GRACE_SECONDS"]["source"]) == (10, "default")
    assert (rows["FLOWS_PATH"]["value"], rows["FLOWS_PATH"]["source"]) == (str(tmp_path / "data" / "flows"), "default")
    assert rows["OCTOFLOW_URL"]["value"] is None


def test_a_secret_is_three_stars_in_both_formats(capsys, monkeypatch):
    for name in SECRET:
        monkeypatch.setenv(name, f"sqlite:///{CANARY}")

    rows = shown(capsys)
    cli.main(["config"])

    assert {"API_TOKEN", "OCTOFLOW_TOKEN", "SQLALCHEMY_DATABASE_URI"} <= {*SECRET}
    assert {rows[name]["value"] for name in SECRET} == {"***"}
    assert CANARY not in str(rows) + capsys.readouterr().out


def test_the_table_is_for_people(capsys):
    assert cli.main(["config"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["SETTING", "VALUE", "SOURCE", "WHAT", "IT", "IS"]
    assert len(lines) == 1 + len(fields(Settings))


def test_it_opens_nothing(tmp_path):
    cli.main(["config"])

    assert list(tmp_path.iterdir()) == []
