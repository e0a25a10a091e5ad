"""The rules of the house that no linter knows."""

from __future__ import annotations

import ast
import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from sources import PROJECT, SOURCES, imported_modules, name_of, used_names

MAY_READ_CLOCK_AND_ENVIRONMENT = {"engine/clock.py", "engine/settings.py"}
RESERVED = re.compile(
    r"^(datetime\.datetime\.(now|utcnow|today)|datetime\.date\.today|time\.(sleep|time|time_ns)|os\.(environb?|getenv|putenv))\b"
)


def clock_and_environment_readers(text: str) -> list[tuple[int, str]]:
    return [(line, name) for line, name in used_names(text) if RESERVED.match(name)]


@pytest.mark.parametrize(
    "text",
    [
        "from datetime import datetime\ndatetime.now()",
        "import datetime as d\nd.datetime.utcnow()",
        "import time\ntime.sleep(1)",
        "from time import sleep as nap\nnap(1)",
        "import os\nos.environ['A']",
        "from os import getenv\ngetenv('A')",
    ],
)
def test_the_rule_about_clock_and_environment_sees_every_way_of_writing_it(text: str) -> None:
    assert clock_and_environment_readers(text)


def test_the_rule_about_clock_and_environment_lets_other_names_pass() -> None:
    text = "import os, time\nfrom datetime import datetime\nclock.now(); os.getpid(); time.monotonic(); datetime.max"

    assert clock_and_environment_readers(text) == []


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_only_clock_and_settings_read_the_clock_and_the_environment(path: Path) -> None:
    if name_of(path) not in MAY_READ_CLOCK_AND_ENVIRONMENT:
        assert clock_and_environment_readers(path.read_text()) == []


@pytest.mark.parametrize("path", [path for path in SOURCES if name_of(path).startswith("engine/")], ids=name_of)
def test_the_engine_imports_no_web_framework(path: Path) -> None:
    assert not imported_modules(path.read_text()) & {
        "flask",
        "werkzeug",
        "functions_framework",
        "gunicorn",
        "functions",
    }


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_a_file_is_one_idea_and_says_which(path: Path) -> None:
    text = path.read_text()
    lines = text.count("\n")

    assert "migrations" in path.parts or lines <= 400
    assert not text.strip() or ast.get_docstring(ast.parse(text)), "the first line of a file says what it is for"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_nothing_is_left_unfinished(path: Path) -> None:
    assert re.findall(r"\b(TODO|FIXME|XXX|NotImplementedError)\b", path.read_text()) == []


def test_every_installed_package_has_its_version_in_the_constraints() -> None:
    lines = (PROJECT / "constraints.txt").read_text().splitlines()
    pins = (line.split("==") for line in lines if line and not line.startswith("#"))
    pinned = {re.sub(r"[-_.]+", "-", name).lower(): version.lower() for name, version in pins}
    not_pinned = {"octoflow", "pip"}

    installed = {
        re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower(): distribution.version
        for distribution in metadata.distributions()
    }

    differing = {name: version for name, version in installed.items() if pinned.get(name) != version.lower()}
    assert {name: version for name, version in differing.items() if name not in not_pinned} == {}


def test_the_readme_shows_every_step_type() -> None:
    from engine.steps import step_types

    readme = (PROJECT / "README.md").read_text()

    assert [name for name in step_types() if f"| `{name}` |" not in readme] == []


def test_the_commands_of_the_readme_are_in_the_makefile() -> None:
    made = set(re.findall(r"^([a-z]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    shown = set(re.findall(r"^make ([a-z]+)", (PROJECT / "README.md").read_text(), re.MULTILINE))

    assert shown
    assert shown <= made


def test_the_script_that_pyproject_names_is_there() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    module, function = project["scripts"]["octoflow"].split(":")

    place = PROJECT / module.replace(".", "/")
    tree = ast.parse((place / "__init__.py" if place.is_dir() else place.with_suffix(".py")).read_text())

    assert function in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
