"""docs/reference/ says what the code says."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = runpy.run_path(str(DOCS / "generate.py"))["pages"]()


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_reference_page_is_what_the_code_makes_of_it(name):
    assert (DOCS / "reference" / name).read_text(encoding="utf-8") == PAGES[name], "run `make docs`"


def test_every_step_type_has_its_part_and_every_option_a_description():
    from engine.steps import step_types

    for name, options in step_types().items():
        assert f"\n## {name}\n" in PAGES["steps.md"]
        assert options.__doc__
        assert [key for key, field in options.model_fields.items() if not field.description] == []
