"""docs/ says what is so: every command in it is run, every file written, every answer compared.

The blocks of a page run in their order, in one shell, in a folder of their own that is to them the project's folder.
ServiceNow, AWX, Jira and Vault are played by servers on loopback. A block that no rule covers fails the test.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent

import pytest
import yaml
from deployments import DEPLOY, documents
from page_world import Shell, World, page_world
from pages import BEGINNING, DOCS, ROOT, Block, blocks_of, last_json, pages, same_json, same_text
from services import BIN

from engine.checking.structure import check_flow
from engine.settings import Settings

PAGES = pages()
BLOCKS = {page: blocks_of(page) for page in PAGES}
BEGIN = [block for block in BLOCKS["README.md"] if block.language == "sh" or block.answers]


@pytest.fixture
def world() -> Iterator[World]:
    with page_world() as world:
        yield world


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What is the project's folder to a page."""
    folder = tmp_path / "octoflow"
    (folder / ".venv").mkdir(parents=True)
    (folder / ".venv" / "bin").symlink_to(BIN)
    (tmp_path / ".curlrc").write_text("silent\nshow-error\n")  # As on a terminal, where curl draws nothing either.
    return folder


@pytest.fixture
def shell(folder: Path, world: World) -> Iterator[Shell]:
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(folder.parent),
        "API_PORT": str(world.port),
        "PYTHONUNBUFFERED": "1",  # Lines in the order in which they come, as on a terminal.
    }
    shell = Shell(folder, environment)
    yield shell
    shell.close()


@pytest.mark.parametrize("page", [page for page in PAGES if BLOCKS[page]])
def test_what_a_page_says_is_so(page: str, folder: Path, shell: Shell, world: World) -> None:
    shell.explain = lambda: "\n".join(log.read_text()[-3000:] for log in folder.glob("service.log"))
    printed = ""
    for block in (BEGIN if BEGINNING in (DOCS / page).read_text() else []) + BLOCKS[page]:
        if block.answers:
            check_answer(block, world.plays(block.text), printed)
        elif (block.language, block.mark) == ("sh", ""):
            printed = shell.type(world.plays(block.text))
        elif block.file:
            write_file(block, folder, world)
        else:
            rule = RULES.get((block.language, block.mark))
            assert rule, f"{block.place}: no rule covers a block of {block.language!r} {block.mark!r}"
            rule(block)


def check_answer(block: Block, shown: str, printed: str) -> None:
    same = same_json(json.loads(shown), last_json(printed)) if block.language == "json" else same_text(shown, printed)
    assert same, f"{block.place} shows\n{shown}\nand what is printed is\n{printed}"


def write_file(block: Block, folder: Path, world: World) -> None:
    """Write the file; a flow must be one that a later block, or a flow that is run, names."""
    assert block.file
    text = world.plays(block.text)
    path = folder / block.file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.partition("\n")[2] if path.suffix == ".json" else text)
    if "/flows/" in block.file:
        name = block.file.partition("/flows/")[2]
        others = [each for each in BLOCKS[block.page] if each is not block and each.language in ("sh", "yaml")]
        assert any(name in each.text for each in others), f"{block.place}: the flow is not run"


# What cannot be run here


def check_steps(block: Block) -> None:
    """Steps without a flow around them."""
    assert isinstance(yaml.safe_load(block.text), list), f"{block.place}: no steps, and no file name in the first line"
    _, problems = check_flow("part.yml", "name: part\nsteps:\n" + indent(block.text, "  "))
    assert problems == [], block.place


def check_make(block: Block) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for line in commands(block):
        assert line[0] == "make", block.place
        assert set(line[1:]) <= targets, block.place


def check_docker(block: Block) -> None:
    """The container and its volume are called as the README calls them; what runs inside is a command of ours."""
    readme = (ROOT / "README.md").read_text()
    for line in commands(block):
        assert line[:2] in (["docker", verb] for verb in ("exec", "cp", "stop", "start", "rm", "build", "run", "logs"))
        for word in line[2:]:
            if word.startswith("octoflow-"):
                assert word.partition(":")[0] in readme, block.place
            if "octoflow:" in word and line[1] == "cp":
                assert word.startswith("octoflow:/"), block.place
        check_settings(block, line)


def check_kubectl(block: Block) -> None:
    """What is named is in deploy/kubernetes.yml."""
    names = {f"{kind}/{each['metadata']['name']}".lower() for kind, each in documents("kubernetes.yml").items()}
    for line in commands(block):
        assert line[0] == "kubectl", block.place
        named = {word for word in line if re.fullmatch(r"(deployment|cronjob|service)/.*", word)}
        assert named <= names, f"{block.place}: {named - names}"
        assert all((ROOT / word).is_file() for word in line if word.startswith("deploy/")), block.place
        check_settings(block, line)


def check_root(block: Block) -> None:
    """systemd's units and the folders that they name are in deploy/systemd."""
    units = {path.name for path in (DEPLOY / "systemd").iterdir()}
    service = (DEPLOY / "systemd" / "octoflow.service").read_text()
    for line in commands(block):
        for word in line:
            if re.search(r"\.(service|timer)$", word):
                assert word in units, f"{block.place}: {word}"
            if word.startswith(("/opt/octoflow/bin/", "/var/lib/octoflow", "/etc/octoflow/")):
                known = ("/opt/octoflow/bin/pip", "/opt/octoflow/bin/python")
                first = "/".join(word.split("/")[:4])
                assert first in service or word in known, f"{block.place}: {word}"


def check_proxy(block: Block) -> None:
    """nginx's part: to our port, with bodies as large and answers as late as we allow."""
    found = dict(re.findall(r"^\s*(\w+) (.*);$", block.text, re.MULTILINE))
    assert block.text.count("{") == block.text.count("}")
    assert found["proxy_pass"] == f"http://127.0.0.1:{Settings().api_port}"
    assert int(found["client_max_body_size"].removesuffix("m")) * 1_000_000 >= Settings().max_content_length
    assert "X-Forwarded-For" in block.text, "else the default token would be accepted from everywhere"


def check_settings(block: Block, words: list[str]) -> None:
    """NAME=value words are settings that the service takes."""
    given = dict(word.split("=", 1) for word in words if re.fullmatch(r"[A-Z_]+=.*", word))
    given = {name: value for name, value in given.items() if "$" not in value}
    Settings.from_environment(given)
    assert set(Settings.variables(given).values()) == given.keys(), block.place


def commands(block: Block) -> list[list[str]]:
    lines = block.text.replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines if line and not line.startswith("#")]


RULES = {
    ("yaml", ""): check_steps,
    ("sh", "make"): check_make,
    ("sh", "docker"): check_docker,
    ("sh", "kubectl"): check_kubectl,
    ("sh", "root"): check_root,
    ("nginx", ""): check_proxy,
}


def test_a_block_of_an_unknown_kind_has_no_rule() -> None:
    assert ("sh", "somewhere") not in RULES
    assert ("text", "") not in RULES
