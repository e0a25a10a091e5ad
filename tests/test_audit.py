"""`make audit` against services of vulnerabilities that know something, nothing, or are not there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from peers import Handler, Peer, peer, send
from services import free_port

ROOT = Path(__file__).resolve().parents[1]
KNOWN = "jinja2"
HOLE = {
    "id": "PYSEC-1",
    "aliases": ["CVE-2000-1"],
    "summary": "A hole.",
    "affected": [
        {
            "package": {"name": "flask", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.1"}]}],
        }
    ],
}


def audit(url: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "deploy" / "audit.py"],
        env={"PATH": os.environ["PATH"], "HOME": "/nowhere", "AUDIT_URL": url, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def knows() -> Iterator[Callable[..., Peer]]:
    """A service that knows of a hole in whatever is asked with one of these words, and fails at others."""
    with peer() as made:

        def knows(*words: str, fails_at: str = "nothing of this name") -> Peer:
            def answer(handler: Handler) -> None:
                asked = made.asked[-1].body.decode()
                if fails_at in asked:
                    send(handler, 500, {})
                else:
                    send(handler, 200, {"vulns": [HOLE]} if any(word in asked for word in words) else {})

            made.answer = answer
            return made

        yield knows


def test_every_version_is_looked_up_and_nothing_known_is_well(knows) -> None:
    service = knows('"2.11.2"')

    done = audit(service.url)

    assert (done.returncode, done.stdout[:24]) == (0, "0 known vulnerabilities ")
    pinned = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line]
    assert len(service.asked) == len(pinned) + 1


def test_a_finding_fails_and_a_service_that_cannot_be_reached_is_told(knows) -> None:
    found = audit(knows('"2.11.2"', '"flask"').url)
    absent = audit(f"http://127.0.0.1:{free_port()}")

    assert found.returncode == 1
    assert "PYSEC-1, CVE-2000-1; mended in 99.1" in found.stdout
    assert (absent.returncode, absent.stdout[:12]) == (0, "Not audited:")


def test_where_it_is_required_nobody_to_ask_is_a_failure() -> None:
    assert audit(f"http://127.0.0.1:{free_port()}", AUDIT="required").returncode == 1


def test_a_service_that_knows_of_nothing_at_all_is_not_believed(knows) -> None:
    done = audit(knows().url, AUDIT="required")

    assert (done.returncode, done.stdout[:12]) == (1, "Not audited:")


def test_a_service_that_breaks_off_is_a_failure(knows) -> None:
    done = audit(knows('"2.11.2"', fails_at='"werkzeug"').url)

    assert (done.returncode, done.stdout[:12]) == (1, "Not audited:")
