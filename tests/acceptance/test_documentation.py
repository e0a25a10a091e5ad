"""docs/ says what is so: every command in it is run, every file written, every answer compared.

The blocks of a page run in their order, in one shell, in a folder of their own that is to them the project's folder.
ServiceNow, AWX, Jira and Vault are played by servers on loopback. A block that no rule covers fails the test.
"""

from __future__ import annotations

import json
import os
import re
import select
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest
import vault_server
import yaml
from deployments import DEPLOY, documents
from pages import BEGINNING, DOCS, ROOT, Block, blocks_of, last_json, pages, same_json, same_text
from services import BIN, free_port
from stub_peer import Call, StubPeer, stub_peer

from engine.checking.structure import check_flow
from engine.settings import Settings

SECONDS = 60
PAGES = pages()
BLOCKS = {page: blocks_of(page) for page in PAGES}
BEGIN = [block for block in BLOCKS["README.md"] if block.language == "sh" or block.answers]
REFERENCE = "\n".join(path.read_text() for path in (DOCS / "reference").glob("*.md"))


class Shell:
    """A shell in which a reader types block after block."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            ["sh"], cwd=folder, env=environment, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self._script = folder.parent / "block.sh"
        self._put("set -eu\n")

    def type(self, text: str) -> str:
        """What these commands print; fails when one of them does."""
        self._script.write_text(text)
        self._put(f". {self._script} < /dev/null\necho; echo it-is-over\n")
        assert self.process.stdout
        printed, deadline = b"", time.monotonic() + SECONDS
        while not printed.endswith(b"\nit-is-over\n"):
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            more = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            assert more, f"{'it failed' if ready else 'it did not end'}:\n{text}\n{printed.decode(errors='replace')}"
            printed += more
        return printed.decode().removesuffix("\nit-is-over\n")

    def _put(self, text: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def close(self) -> None:
        """End the shell and what it started, services too."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                pipe.close()


class World:
    """What the pages meet beside Octoflow: the other systems, and a port that is free."""

    def __init__(self, peer: StubPeer, vault: vault_server.VaultServer) -> None:
        self.peer, self.vault, self.port = peer, vault, free_port()
        self.looked = 0
        vault.put("secret/data/servicenow", username="snow_user", password="snow-password-1")
        vault.put("secret/data/awx", user="automation", oauth={"token": "awx-token-3"})
        self._answer = peer.answer
        peer.answer = self.answer  # type: ignore[method-assign]

    def plays(self, text: str) -> str:
        """The text with what is here in the place of what it names."""
        text = text.replace("https://vault.example.com", self.vault.url).replace("hvs.your-token", vault_server.TOKEN)
        text = self.peer.plays(text).replace("localhost:5000", f"localhost:{self.port}")
        return re.sub(r"hosts: \[[\w.-]+\]", "hosts: [127.0.0.1]", text)

    def answer(self, call: Call) -> tuple[int, Any]:
        """As the stub peer does, and a little of AWX and Jira besides."""
        match call.path.strip("/").split("/"):
            case ["api", "v2", "jobs", _]:
                self.peer.calls.append(call)
                self.looked += 1
                return 200, {"id": 1042, "status": "running" if self.looked % 3 else "successful"}
            case ["api", "now", "table", _] if call.query.get("sysparm_query") == ["state=1^short_descriptionSTARTSWITHDisk"]:
                return self._answer(replace(call, query={"state": ["1"]}))
            case ["api", "now", "table", table, sys_id] if call.method == "PATCH":
                self.peer.calls.append(call)
                row = next(row for row in self.peer.tables[table] if row["sys_id"] == sys_id)
                row.update(call.body)
                return 200, {"result": row}
            case ["rest", "api", "2", "search"] if call.headers.get("Authorization") == "Bearer jira-token-4":
                start = int(call.query.get("startAt", ["0"])[0])
                status, found = self._answer(replace(call, headers={"X-Jira-Key": "jira-key-4"}))
                return status, {**found, "startAt": start, "issues": found["issues"][start : start + 1]}
            case ["rest", "api", "2", "issue"] if call.headers.get("Authorization") == "Bearer jira-token-4":
                self.peer.calls.append(call)
                return 201, {"id": "10003", "key": "OPS-3"}
        return self._answer(call)


@pytest.fixture
def world() -> Iterator[World]:
    vault = vault_server.VaultServer()
    try:
        with stub_peer() as peer:
            peer.tables["incident"] = [
                {"sys_id": "a1", "number": "INC0010001", "short_description": "Disk full on web1", "state": "1"},
                {"sys_id": "a2", "number": "INC0010002", "short_description": "Disk full on db2", "state": "1"},
            ]
            yield World(peer, vault)
    finally:
        vault.close()


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


def begins_with_a_service(page: str) -> bool:
    return BEGINNING in (DOCS / page).read_text()


@pytest.mark.parametrize("page", [page for page in PAGES if BLOCKS[page]])
def test_what_a_page_says_is_so(page: str, folder: Path, shell: Shell, world: World) -> None:
    printed = ""
    for block in (BEGIN if begins_with_a_service(page) else []) + BLOCKS[page]:
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


@pytest.mark.parametrize(
    ("shown", "printed"),
    [("a ... c", "a b"), ("one", "one\ntwo"), ("SECONDS ...\n1", "SECONDS 2\n2")],
)
def test_other_output_than_shown_is_noticed(shown: str, printed: str) -> None:
    assert not same_text(shown, printed)


@pytest.mark.parametrize(
    ("shown", "printed"),
    [({"a": 1}, {"a": 1, "b": 2}), ({"a": 1}, {"a": True}), ({"...": "..."}, []), ([1], [1, 2]), ([1, "..."], [])],
)
def test_another_answer_than_shown_is_noticed(shown: Any, printed: Any) -> None:
    assert not same_json(shown, printed)


# All pages together


def test_every_page_says_in_its_first_line_what_it_is_for_and_is_in_the_index() -> None:
    index = (DOCS / "README.md").read_text()

    for page in PAGES:
        title, empty, purpose = (DOCS / page).read_text().splitlines()[:3]
        assert title.startswith("# "), page
        assert empty == "", page
        assert purpose.endswith("."), page
        assert page == "README.md" or f"]({page})" in index, page


@pytest.mark.parametrize("page", ["../README.md", *PAGES])
def test_a_link_leads_to_something(page: str) -> None:
    file = DOCS / page
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", file.read_text(), flags=re.DOTALL)):
        if "://" not in target:
            path, _, anchor = target.partition("#")
            there = (file.parent / path).resolve() if path else file
            assert there.exists(), f"{page}: {target}"
            assert not anchor or anchor in anchors(there), f"{page}: {target}"


def anchors(file: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_workflow_and_the_editors_task_run_the_commands_that_their_page_tries() -> None:
    blocks = {block.file or block.mark: block for block in BLOCKS["how-to/editors-and-ci.md"]}
    tried = " ".join(block.text for block in BLOCKS["how-to/editors-and-ci.md"] if block.language == "sh")
    workflow = yaml.safe_load(blocks[".github/workflows/flows.yml"].text)
    steps = workflow["jobs"]["flows"]["steps"]
    run = shlex.split(steps[-1]["run"])
    image = next(place for place, word in enumerate(run) if word.startswith("registry.example.com/octoflow"))
    task = json.loads(blocks[".vscode/tasks.json"].text.partition("\n")[2])["tasks"][0]

    assert [step.get("uses", "").partition("@")[0] for step in steps[:-1]] == ["actions/checkout"]
    assert run[:2] == ["docker", "run"]
    assert " ".join(run[image + 1 :]) in tried
    assert task["command"].replace("${file}", "data/flows/nightly.yml") in tried
    shown = next(block.text for block in BLOCKS["how-to/editors-and-ci.md"] if block.answers).splitlines()[0]
    pattern = task["problemMatcher"]["pattern"]
    found = re.match(pattern["regexp"], shown)
    assert found
    assert found[pattern["file"]] == "data/flows/nightly.yml"
    assert found[pattern["line"]].isdigit()
    assert found[pattern["severity"]] == "error"


def test_a_settings_name_in_a_page_is_one() -> None:
    known = {name.upper() for name in vars(Settings())} | {"PORT", "LOCK_PATH"}
    for page in PAGES:
        named = set(re.findall(r"`([A-Z][A-Z]+_[A-Z_]+)`", (DOCS / page).read_text()))
        assert named <= known, f"{page}: {named - known}"


@pytest.mark.parametrize("setting", sorted(vars(Settings())))
def test_every_setting_is_in_the_reference(setting: str) -> None:
    assert f"| `{setting.upper()}` |" in REFERENCE


def test_every_step_type_is_in_the_reference() -> None:
    from engine.steps import step_types

    assert [name for name in step_types() if f"\n## {name}\n" not in REFERENCE] == []


def test_every_error_code_is_in_the_reference() -> None:
    import engine.errors

    leaves = [each for kind in engine.errors.OctoflowError.__subclasses__() for each in kind.__subclasses__()]

    assert len(leaves) > 20
    assert [each.code for each in leaves if f"| `{each.code}` |" not in REFERENCE] == []


def test_every_reason_of_a_job_is_explained() -> None:
    from engine.models.job import Reason

    text = (DOCS / "explanation" / "when-things-die.md").read_text()

    assert [reason for reason in Reason if f"| `{reason}` |" not in text] == []
