"""The image: its health check, what is installed in it, and all of it where something can build images."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from deployments import DEPLOY, ROOT, healthcheck
from services import TOKEN, Service, answers, flow, free_port, until

NOBODY = 65532
"""The image's user."""


def health(**environment: str) -> int:
    """The exit code of the image's health check."""
    command = [sys.executable, *healthcheck()[1:]]
    return subprocess.run(command, env=environment, capture_output=True, timeout=20).returncode


def test_the_health_check_asks_the_port_that_the_service_listens_on(start):
    service = start()
    port = service.url.rpartition(":")[2]

    assert healthcheck()[0] == "python"
    assert health(API_PORT=port) == 0
    assert health(PORT=port) == 0
    assert health(API_PORT=port, PORT="1") == 0
    assert health(API_PORT=port, HTTP_PROXY="http://127.0.0.1:1", http_proxy="http://127.0.0.1:1") == 0
    assert health(API_PORT=str(free_port())) != 0


@pytest.fixture(scope="module")
def installed():
    """An environment with Octoflow installed as the image installs it, its dependencies borrowed from the tests'."""
    with tempfile.TemporaryDirectory(prefix="octoflow-image-") as scratch:
        folder = Path(scratch)
        folder.chmod(0o755)
        source, wheels, environment = folder / "source", folder / "wheels", folder / "octoflow"
        ignored = shutil.ignore_patterns("__pycache__")
        for name in ("engine", "functions"):
            shutil.copytree(ROOT / name, source / name, ignore=ignored)
        for name in ("constraints.txt", "pyproject.toml", "README.md"):
            shutil.copy(ROOT / name, source)
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        offline = ["--no-index", "--no-deps"]
        run([*pip, "wheel", *offline, "--no-build-isolation", "--wheel-dir", wheels, source])
        run([sys.executable, "-m", "venv", "--without-pip", environment])
        python = environment / "bin" / "python"
        run([*pip, "--python", python, "install", *offline, "--compile", *wheels.iterdir()])
        packages = next(environment.glob("lib/python*/site-packages"))
        borrowed = next(path for path in sys.path if path.endswith("site-packages"))
        (packages / "borrowed.pth").write_text(f"{borrowed}\n")
        run(["chmod", "-R", "a+rX,a-w", environment])
        yield environment
        run(["chmod", "-R", "u+w", environment])


def run(command: list[object]) -> None:
    ended = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=100)
    assert ended.returncode == 0, ended.stderr


def everything(folder: Path) -> dict[Path, int]:
    return {path: path.lstat().st_mtime_ns for path in folder.rglob("*")}


@pytest.fixture(scope="module")
def unprivileged(installed):
    """Runs a command as the image's user, where that one can reach Python; else as ours, without root's rights."""
    if os.getuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("as root this needs setpriv")
    nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs"]
    again = "import os, sys; os.execv(sys.executable, [sys.executable, '-c', ''])"
    if (
        subprocess.run([*nobody, installed / "bin" / "python", "-c", again], capture_output=True, cwd="/").returncode
        == 0
    ):
        return nobody
    return ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]


def test_what_is_installed_serves_without_rights_and_writes_to_its_data_folder_only(installed, unprivileged):
    with tempfile.TemporaryDirectory(prefix="octoflow-data-") as scratch:
        data, port = Path(scratch) / "data", free_port()
        (data / "flows").mkdir(parents=True)
        flow(data, "quick.yml", "name: quick\nsteps:\n  - {name: v, type: jq, jq: {expression: '1 + 1'}}\n")
        owner = NOBODY if f"--reuid={NOBODY}" in unprivileged else os.getuid()
        for path in (Path(scratch), data, data / "flows"):
            os.chown(path, owner, -1)
        before = everything(installed)
        environment = {
            "PATH": f"{installed / 'bin'}:/usr/bin:/bin", "DATA_PATH": str(data), "API_TOKEN": TOKEN,
            "API_PORT": str(port), "PYTHONDONTWRITEBYTECODE": "1",
        }  # fmt: skip
        command = [*unprivileged, str(installed / "bin" / "octoflow"), "serve"]

        service = Service(data, command, port, environment, cwd=Path("/"))
        try:
            until(lambda: answers(service, "/healthz"), 30, service.text)
            job = service.run("quick.yml")
            owners = {path.stat().st_uid for path in (data / "jobs.sqlite", data / "logs")}
            code = service.stop()
        finally:
            service.session.close()
            service.kill()

        assert (job["status"], job["result"]["v"]) == ("success", 2)
        assert code == 0
        assert owners == {owner}
        assert everything(installed) == before


def test_what_is_installed_holds_every_module_compiled_and_every_migration(installed):
    packages = next(installed.glob("lib/python*/site-packages"))
    sources = [path for name in ("engine", "functions") for path in (ROOT / name).rglob("*.py")]
    missing = [path for path in sources if not (packages / path.relative_to(ROOT)).exists()]
    compiled = list(packages.rglob("engine/**/*.pyc")) + list(packages.rglob("functions/**/*.pyc"))

    assert missing == []
    assert len(compiled) >= len(sources)


@pytest.mark.timeout(900)
def test_the_image_runs_every_sample_flow():
    ended = subprocess.run([DEPLOY / "image_test.sh"], capture_output=True, text=True, timeout=880)
    if ended.returncode == 77:
        # Also under CI: this needs what makes containers, and a registry or a base image of one's own.
        pytest.skip(ended.stderr.strip())

    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-4000:]
    assert "All sample flows did what they promise" in ended.stdout
