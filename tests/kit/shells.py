"""A data folder, and an environment that says nothing else: what `octoflow` finds when it is called without a shell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import pytest
from stores import upgraded_sqlite

from engine.settings import Settings

PROXIES = ("http_proxy", "HTTP_PROXY", "all_proxy")


def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flows: Mapping[str, str]) -> Path:
    """The folder that DATA_PATH names, with a fresh database and these flows by their paths."""
    folder = tmp_path / "data"
    (folder / "flows").mkdir(parents=True)
    (folder / "jobs.sqlite").write_bytes(upgraded_sqlite())
    for path, text in flows.items():
        (folder / "flows" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "flows" / path).write_text(text)
    for name in [*(field.name.upper() for field in fields(Settings)), *PROXIES]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATA_PATH", str(folder))
    return folder
