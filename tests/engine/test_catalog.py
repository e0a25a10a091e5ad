"""The catalog: paths to keys and texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.catalog import Catalog
from engine.errors import FileMissing, PathRefused, TooLarge
from engine.reading import ReadingError
from engine.settings import Settings


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for folder in ("flows/team", "templates/templates"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "flows" / "a.yml").write_text("name: a")
    (tmp_path / "flows" / "team" / "b.yaml").write_text("name: b")
    (tmp_path / "flows" / "notes.txt").write_text("no document")
    (tmp_path / "templates" / "t.j2").write_text("plain")
    return tmp_path


@pytest.fixture
def catalog(data: Path) -> Catalog:
    return Catalog.from_settings(Settings(data_path=data, max_document_bytes=100))


def test_the_list_holds_the_keys_of_all_documents(catalog: Catalog) -> None:
    assert catalog.list() == ["a.yml", "team/b.yaml"]


def test_a_document_is_found_by_any_spelling(catalog: Catalog) -> None:
    assert catalog.find("team/../a.yml") == catalog.find("./a.yml") == "a.yml"
    assert catalog.text("./a.yml") == "name: a"


def test_an_edit_is_seen_at_once(catalog: Catalog, data: Path) -> None:
    before = catalog.stat("a.yml")

    (data / "flows" / "a.yml").write_text("name: z")

    assert catalog.text("a.yml") == "name: z"
    assert catalog.stat("a.yml") != before


def test_a_template_may_be_named_with_its_folder(catalog: Catalog) -> None:
    assert catalog.template("t.j2") == catalog.template("templates/t.j2") == ("t.j2", "plain")


def test_a_template_that_lies_there_as_named_wins(catalog: Catalog, data: Path) -> None:
    (data / "templates" / "templates" / "t.j2").write_text("nested")

    assert catalog.template("templates/t.j2") == ("templates/t.j2", "nested")


def test_what_cannot_be_read_says_why(catalog: Catalog, data: Path) -> None:
    (data / "flows" / "big.yml").write_text("x" * 101)
    (data / "flows" / "latin.yml").write_bytes(b"name: caf\xe9")

    with pytest.raises(TooLarge, match=r"'big\.yml' has 101 bytes"):
        catalog.text("big.yml")
    with pytest.raises(ReadingError, match="line 1: byte 0xe9 is not UTF-8"):
        catalog.text("latin.yml")
    with pytest.raises(FileMissing, match=r"'c\.yml' is not in FLOWS_PATH"):
        catalog.text("c.yml")
    with pytest.raises(FileMissing, match="is not in TEMPLATES_PATH"):
        catalog.template("templates/none.j2")
    with pytest.raises(PathRefused, match="outside FLOWS_PATH"):
        catalog.text("../templates/t.j2")
