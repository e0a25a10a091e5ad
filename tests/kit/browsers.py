"""A real browser for the tests: found, started without a window, ended with the test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
VARIABLE = "OCTOFLOW_TEST_CHROMIUM"


def find_chromium() -> str:
    """Where it is; skips, or fails in CI, when there is none."""
    found = os.environ.get(VARIABLE) or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None or not Path(found).exists():
        reason = f"no browser: apt-get install chromium, or name one in {VARIABLE}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@contextmanager
def browser_page(folder: Path) -> Iterator[Page]:
    """An empty page of a browser that knows nobody and keeps what it writes in this folder."""
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=arguments, env=environment)
        try:
            page = browser.new_page()
            page.set_default_timeout(20_000)
            yield page
        finally:
            browser.close()
