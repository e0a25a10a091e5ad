"""What no source file of ours may use: each has been somebody's way in."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sources import SOURCES, imported_modules, name_of, used_names

CARRIES_CODE = {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "jsonpickle"}
UNPACKS = {"zipfile", "tarfile", "zipimport"}
UNPACKS_TOO = re.compile(r"^shutil\.unpack_archive$")
READS_ENTITIES = {"xml", "lxml", "xmltodict"}
RUNS_OTHERS = re.compile(
    r"^(runpy\.\w+|os\.(system|popen|exec\w+|spawn\w+)|subprocess\.getoutput|subprocess\.getstatusoutput)$"
)
LOADS_OBJECTS = re.compile(
    r"^yaml\.(load|load_all|full_load\w*|unsafe_load\w*|Loader|FullLoader|UnsafeLoader|C\w*(?<!Safe)Loader)$"
)
COMPUTES = {"eval", "exec", "compile", "__import__"}
MAY = {
    "engine/templating/jinja.py": ["compile"],  # A parameter that is called so.
    "engine/cli/serve.py": ["runpy.run_module"],  # `octoflow serve` becomes the server.
}
MAY_START = {"engine/executors/children.py"}


def faults(text: str) -> Iterator[str]:
    """Each name in the text that must not be there."""
    yield from imported_modules(text) & (CARRIES_CODE | UNPACKS | READS_ENTITIES | {"telnetlib", "ftplib"})
    yield from (
        name
        for _, name in used_names(text)
        if RUNS_OTHERS.match(name) or UNPACKS_TOO.match(name) or LOADS_OBJECTS.match(name)
    )
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id in COMPUTES:
                yield node.func.id
            yield from (
                f"{each.arg}=True" for each in node.keywords if each.arg in ("shell", "debug") and _is(each, True)
            )


def _is(keyword: ast.keyword, value: bool) -> bool:
    return isinstance(keyword.value, ast.Constant) and keyword.value.value is value


@pytest.mark.parametrize(
    "text",
    [
        "import pickle", "from marshal import loads", "def f():\n    import shelve", "import zipfile",
        "import shutil\nshutil.unpack_archive(x)", "import xml.etree", "import os\nos.system('x')",
        "from subprocess import getoutput\ngetoutput('x')", "import yaml\nyaml.load(x, yaml.SafeLoader)",
        "from yaml import CLoader as L\nL(x)", "import yaml\nyaml.unsafe_load(x)", "eval('1')", "exec(x)",
        "run(x, shell=True)", "app.run(debug=True)",
    ],
)  # fmt: skip
def test_the_rule_sees_each_way_in(text: str) -> None:
    assert list(faults(text))


def test_the_rule_lets_their_harmless_namesakes_pass() -> None:
    text = "import yaml, re, subprocess\nyaml.CSafeLoader; yaml.SafeLoader; re.compile('x'); subprocess.Popen(['x'])"

    assert list(faults(text)) == []


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_no_source_file_uses_what_has_been_somebodys_way_in(path: Path) -> None:
    assert list(faults(path.read_text())) == MAY.get(name_of(path), [])


def test_only_the_forkserver_is_started_as_another_program() -> None:
    """A flow's text is in no command line."""
    users = {name_of(path) for path in SOURCES if "subprocess" in imported_modules(path.read_text())}

    assert users <= MAY_START
