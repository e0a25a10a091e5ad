"""A mark holds the last time and text that were written under its name."""

from __future__ import annotations

from datetime import timedelta

import pytest
from clocks import NOON

from engine.store.marks import MarkStore


@pytest.fixture
def marks(database):
    return MarkStore(database)


def test_what_was_never_marked_is_none(marks):
    assert (marks.marked("tick"), marks.text("tick")) == (None, None)


def test_the_last_mark_of_a_name_wins(marks):
    marks.mark("tick", time=NOON, text="first")
    marks.mark("other", text="ü")
    marks.mark("tick", time=NOON + timedelta(microseconds=1))

    assert (marks.marked("tick"), marks.text("tick")) == (NOON + timedelta(microseconds=1), None)
    assert (marks.marked("other"), marks.text("other")) == (None, "ü")
