"""What documents are called in a list."""

from __future__ import annotations

import pytest

from engine.catalog import Catalog
from engine.checking.titles import BYTES_AT_ONCE, Titles
from engine.settings import Settings

FLOW = "name: {}\nsteps: []\n"


@pytest.fixture
def flows(tmp_path):
    folder = tmp_path / "flows"
    folder.mkdir()
    return folder


@pytest.fixture
def titles(tmp_path):
    return Titles(Catalog.from_settings(Settings(data_path=tmp_path)))


def names(found):
    return [None if title is None else title.name for title in found]


def test_a_file_that_is_too_large_to_be_read_keeps_no_other_from_its_name(flows, titles):
    (flows / "big.yml").write_text("#" * (BYTES_AT_ONCE + 1))
    (flows / "small.yml").write_text(FLOW.format("Small"))

    big, small = titles.of(["big.yml", "small.yml"])

    assert (big.name, big.is_readable) == (None, False)
    assert small.name == "Small"


def test_what_was_too_much_for_one_list_is_read_for_the_next(flows, titles):
    paths = ["a.yml", "b.yml", "c.yml"]
    for path in paths:
        (flows / path).write_text(FLOW.format(path) + "#" * (BYTES_AT_ONCE // 2))

    assert names(titles.of(paths)) == ["a.yml", "b.yml", None]
    assert names(titles.of(paths)) == ["a.yml", "b.yml", "c.yml"]


def test_files_that_are_no_text_are_read_once(flows, titles):
    paths = ["a.yml", "b.yml", "c.yml"]
    for path in paths[:2]:
        (flows / path).write_bytes(b"\xff" * (BYTES_AT_ONCE // 2))
    (flows / "c.yml").write_text(FLOW.format("c"))

    assert names(titles.of(paths)) == [None, None, None]
    assert names(titles.of(paths)) == [None, None, "c"]
