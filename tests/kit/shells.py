"""`octoflow` without a shell: the data folder and the environment that it finds, and what it prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import pytest
from engines import folder_with

from engine import cli
from engine.settings import Settings

PROXIES = ("http_proxy", "HTTP_PROXY", "all_proxy")


def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flows: Mapping[str, str]) -> Path:
    """The folder that DATA_PATH names, with a fresh database and these flows by their paths."""
    folder = folder_with(flows, tmp_path / "data")
    for name in [*(field.name.upper() for field in fields(Settings)), *PROXIES]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATA_PATH", str(folder))
    return folder


def octoflow(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command prints; it must succeed."""
    code = cli.main(arguments)
    printed = capsys.readouterr()
    assert code == 0, printed.err
    return printed.out


def refused_octoflow(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one sentence of a command, which must fail and print nothing else."""
    code = cli.main(arguments)
    printed = capsys.readouterr()
    assert (code, printed.out) == (1, "")
    assert printed.err.startswith("octoflow: ")
    assert printed.err.count("\n") == 1
    return printed.err
