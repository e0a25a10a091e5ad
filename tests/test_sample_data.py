"""The sample data folder is what its users start from, so every flow in it must be in order."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.catalog import Catalog
from engine.checking import Checker
from engine.settings import Settings

PROJECT = Path(__file__).resolve().parent.parent
FLOWS = sorted(path.name for path in (PROJECT / "data" / "flows").glob("*.yml"))


@pytest.mark.parametrize("flow", FLOWS)
def test_a_sample_flow_has_no_problem_and_no_warning(flow: str) -> None:
    catalog = Catalog.from_settings(Settings(data_path=PROJECT / "data"))

    problems = Checker(catalog).look(flow, catalog.text(flow)).problems

    assert problems == ()


def test_every_sample_flow_is_run_by_the_demo() -> None:
    demo = (PROJECT / "deploy" / "demo.py").read_text()
    texts = {flow: (PROJECT / "data" / "flows" / flow).read_text() for flow in FLOWS}

    launched = {flow for flow in FLOWS if f'Sample("{flow}"' in demo}
    reached = {flow for flow in FLOWS if any(f"path: {flow}\n" in texts[other] for other in launched)}

    assert launched | reached == set(FLOWS)


def test_the_sample_secrets_open_nothing() -> None:
    lines = (PROJECT / "data" / "secrets.yml").read_text().splitlines()

    values = [line.split(": ", 1)[1] for line in lines if line.split(":")[0].strip() in ("token", "password", "value")]

    assert values
    assert all(value.endswith("-that-opens-nothing") for value in values)


def test_the_flow_in_the_readme_has_no_problem() -> None:
    readme = (PROJECT / "README.md").read_text()
    text = readme.split("```yaml\n", 1)[1].split("```", 1)[0]
    catalog = Catalog.from_settings(Settings(data_path=PROJECT / "data"))

    problems = Checker(catalog).look("hello.yml", text).problems

    assert "steps:" in text
    assert problems == ()
