"""The pages of docs/ together: their links, their names, and that the reference leaves nothing out."""

from __future__ import annotations

import json
import re
import runpy
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from pages import DOCS, blocks_of, pages, same_json, same_text

from engine.settings import Settings

PAGES = pages()
REFERENCE = "\n".join(path.read_text() for path in (DOCS / "reference").glob("*.md"))
README = (DOCS.parent / "README.md").read_text()
COMMANDS = {name for name, *_ in runpy.run_path(str(DOCS / "commands_page.py"))["commands"]()}
CI_PAGE = "how-to/editors-and-ci.md"


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
    blocks = {block.file or block.mark: block for block in blocks_of(CI_PAGE)}
    tried = " ".join(block.text for block in blocks_of(CI_PAGE) if block.language == "sh")
    workflow = yaml.safe_load(blocks[".github/workflows/flows.yml"].text)
    steps = workflow["jobs"]["flows"]["steps"]
    run = shlex.split(steps[-1]["run"])
    image = next(place for place, word in enumerate(run) if word.startswith("registry.example.com/octoflow"))
    task = json.loads(blocks[".vscode/tasks.json"].text.partition("\n")[2])["tasks"][0]

    assert [step.get("uses", "").partition("@")[0] for step in steps[:-1]] == ["actions/checkout"]
    assert run[:2] == ["docker", "run"]
    assert " ".join(run[image + 1 :]) in tried
    assert task["command"].replace("${file}", "data/flows/nightly.yml") in tried
    shown = next(block.text for block in blocks_of(CI_PAGE) if block.answers).splitlines()[0]
    pattern = task["problemMatcher"]["pattern"]
    found = re.match(pattern["regexp"], shown)
    assert found
    assert found[pattern["file"]] == "data/flows/nightly.yml"
    assert found[pattern["line"]].isdigit()
    assert found[pattern["severity"]] == "error"


@pytest.mark.parametrize("page", PAGES)
def test_a_settings_name_in_a_page_is_one(page: str) -> None:
    known = {name.upper() for name in vars(Settings())} | {"PORT", "LOCK_PATH"}
    text = re.sub(r"```.*?```", "", (DOCS / page).read_text(), flags=re.DOTALL)

    assert set(re.findall(r"\b[A-Z]+_[A-Z_]+\b", text)) - known == set()


@pytest.mark.parametrize("setting", sorted(vars(Settings())))
def test_every_setting_is_in_the_reference(setting: str) -> None:
    assert f"| `{setting.upper()}` |" in REFERENCE


def test_every_step_type_is_in_the_reference() -> None:
    from engine.steps import step_types

    assert [name for name in step_types() if f"\n## {name}\n" not in REFERENCE] == []


def test_every_key_of_a_flow_is_in_the_reference_with_what_it_is() -> None:
    from engine.checking.schema import flow_schema
    from engine.checking.structure import KEYS

    page = (DOCS / "reference" / "flows.md").read_text()
    rows = re.findall(r"^\| `([^`]+)` \| (\S.*) \| .* \| \S.*\. \|$", page, re.MULTILINE)
    inputs = flow_schema()["properties"]["inputs"]["items"]["properties"]

    assert {key for key, _ in rows} == {*KEYS, *(f"inputs[].{key}" for key in inputs)}
    assert dict(rows)["cron"] == "text"
    assert "autostart" in next(line for line in page.splitlines() if "| `cron` |" in line)


def test_every_error_code_is_in_the_reference() -> None:
    import engine.errors

    codes = [each.code for each in vars(engine.errors).values() if getattr(each, "code", None)]
    kinds = [kind.code for kind in engine.errors.OctoflowError.__subclasses__()] + ["error"]

    assert len(codes) > 20
    assert [code for code in codes if code not in kinds and f"| `{code}` |" not in REFERENCE] == []


def test_every_operation_is_in_the_reference() -> None:
    import functions.main  # noqa: F401  Defines them.
    from functions._http import OPERATIONS

    page = (DOCS / "reference" / "api.md").read_text()
    without = [each.name for each in OPERATIONS if f"\n### {each.method} {shown_path(each.path)}\n" not in page]

    assert len(OPERATIONS) > 30
    assert without == []


def shown_path(path: str) -> str:
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", path)


def test_every_command_is_in_the_readme_and_every_one_that_is_there_can_be_typed() -> None:
    """`octoflow jobs list`, `show ID`: what follows in the same cell are verbs of the same group."""
    cells = re.findall(r"^\| (`octoflow .*?) \| ", README, re.MULTILINE)
    shown = set()
    for cell in cells:
        first, *others = re.findall(r"`(?:octoflow )?([a-z ]+)", cell)
        group, *verb = first.split()
        shown |= {" ".join(["octoflow", group, *verb]), *(f"octoflow {group} {other.strip()}" for other in others)}

    assert len(COMMANDS) > 25
    assert shown == COMMANDS


@pytest.mark.parametrize("page", ["../README.md", *PAGES])
def test_a_command_that_a_page_names_is_one(page: str) -> None:
    text = (DOCS / page).read_text()
    groups = {name.split()[1] for name in COMMANDS if name.count(" ") == 2}
    named = re.findall(r"(?:^|`|bin/)octoflow ([a-z]+)(?: ([a-z]+))?", text, re.MULTILINE)

    for word, verb in named:
        name = f"octoflow {word} {verb}" if word in groups and verb else f"octoflow {word}"
        assert name in COMMANDS or (word in groups and not verb)


def test_a_setting_in_the_readme_has_the_default_that_the_code_has() -> None:
    rows = {line for line in README.splitlines() if re.match(r"\| `[A-Z_]+`", line)}
    reference = (DOCS / "reference" / "settings.md").read_text()
    known = dict(re.findall(r"^\| `([A-Z_]+)` \| (.*?) \|", reference, re.MULTILINE))

    assert len(rows) > 10
    for row in rows:
        names, defaults = (cell.split(", ") for cell in row.strip("| ").split(" | ")[:2])
        shown = dict(zip((name.strip("`") for name in names), defaults, strict=True))
        given = {name: each.strip() for name, each in shown.items() if "<DATA_PATH>" not in each}
        assert given == {name: known[name].strip() for name in given}


def test_an_operation_in_the_readme_is_one_and_none_is_left_out() -> None:
    import functions.main  # noqa: F401  Defines them.
    from functions._http import OPERATIONS

    there = {f"{each.method} {re.sub('<[a-z]+:', '<', each.path)}" for each in OPERATIONS}
    section = README.split("\n## API\n")[1].split("\n## ")[0]
    named = set(re.findall(r"`((?:GET|POST|PUT|PATCH|DELETE) /[^` ?]*)", section))

    assert named - there == set()
    assert there - named == {"GET /api/docs/<file>"}


def test_every_reason_of_a_job_is_explained() -> None:
    from engine.models.job import Reason

    text = (DOCS / "explanation" / "when-things-die.md").read_text()

    assert [reason for reason in Reason if f"| `{reason}` |" not in text] == []
