"""The README says what is so: a newcomer types its commands in their order over the sample data, and each succeeds.

The clocks of "Run it every minute" are tried in test_deploy_clocks.py.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from page_world import Shell
from pages import ROOT, Block, blocks_of, last_json
from services import BIN, free_port

README = "../README.md"
CLOCKS = (ROOT / "README.md").read_text().split("## Run it every minute")[0].count("\n")
BLOCKS = [block for block in blocks_of(README) if block.line < CLOCKS]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A fresh clone after `make demo`."""
    folder = tmp_path / "octoflow"
    folder.mkdir()
    (folder / ".venv").symlink_to(BIN.parent)
    for name in ("flows", "input", "templates"):
        shutil.copytree(ROOT / "data" / name, folder / "data" / name)
    shutil.copy(ROOT / "data" / "secrets.yml", folder / "data" / "secrets.yml")
    (folder / "deploy").mkdir()
    shutil.copy(ROOT / "deploy" / "serve.py", folder / "deploy" / "serve.py")
    (tmp_path / ".curlrc").write_text("silent\nshow-error\n")
    return folder


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def shell(folder: Path, port: int) -> Iterator[Shell]:
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(folder.parent), "API_PORT": str(port)}
    shell = Shell(folder, environment)
    shell.explain = lambda: "\n".join(log.read_text()[-3000:] for log in folder.glob("service.log"))
    yield shell
    shell.close()


def test_what_the_readme_says_is_so(folder: Path, shell: Shell, port: int) -> None:
    tried = []
    for block in BLOCKS:
        text = block.text.replace("localhost:5000", f"localhost:{port}")
        if block.language == "yaml":
            tried.append(try_document(block, folder, shell))
        elif text.startswith("make "):
            tried.append(try_targets(block, shell, port))
        else:
            tried.append(try_commands(block, shell.type(text)))

    assert sorted(set(tried)) == ["a flow", "a list", "answers", "make", "make serve", "run"]


def try_targets(block: Block, shell: Shell, port: int) -> str:
    lines = [line.partition("#")[0].split() for line in block.text.splitlines()]
    assert all(line[0] == "make" and set(line[1:]) <= TARGETS for line in lines), block.place
    if lines != [["make", "serve"]]:
        return "make"
    shell.type(
        ".venv/bin/python -P deploy/serve.py > service.log 2>&1 &\n"
        f"curl --retry 30 --retry-connrefused --retry-delay 1 http://localhost:{port}/healthz\n"
    )
    return "make serve"


def try_commands(block: Block, printed: str) -> str:
    if "octoflow run" in block.text:
        assert "success" in printed, block.place
        return "run"
    answers = [json.loads(line) for line in printed.splitlines() if line]
    assert len(answers) == len(re.findall("^curl", block.text, re.MULTILINE)), block.place
    assert not any("error" in answer for answer in answers), printed
    return "answers"


def try_document(block: Block, folder: Path, shell: Shell) -> str:
    if "steps" in yaml.safe_load(block.text):
        (folder / "data" / "flows" / "shown.yml").write_text(block.text)
        shell.type(".venv/bin/octoflow validate shown.yml")
        return "a flow"
    (folder / "data" / "config.yml").write_text(block.text)
    hello = folder / "data" / "flows" / "hello.yml"
    hello.write_text(f"every_seconds: 3600\n{hello.read_text()}")  # As the list says of it.
    tick = last_json(shell.type(".venv/bin/octoflow tick"))
    assert tick["errors"] == [], block.place
    paths = [each["path"] for each in last_json(shell.type(".venv/bin/octoflow schedules list --json"))]
    assert sorted(paths) == ["hello.yml", "jira_export.yml"]
    return "a list"
