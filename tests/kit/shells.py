"""A data folder, and an environment that says nothing else: what `octoflow` finds when it is called without a shell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import pytest
from engines import folder_with

from engine.settings import Settings

PROXIES = ("http_proxy", "HTTP_PROXY", "all_proxy")


def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flows: Mapping[str, str]) -> Path:
    """The folder that DATA_PATH names, with a fresh database and these flows by their paths."""
    folder = folder_with(flows, tmp_path / "data")
    for name in [*(field.name.upper() for field in fields(Settings)), *PROXIES]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATA_PATH", str(folder))
    return folder
