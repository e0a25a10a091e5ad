"""`deploy/cloud_run.sh` with a gcloud that writes down what it is asked."""

from __future__ import annotations

import json
import subprocess

import pytest
import yaml
from deployments import DEPLOY

TOKEN = "the-token-that-nobody-sees"
GCLOUD = f"""#!/bin/sh
printf '%s\\n' "$*" >> "$RECORD/calls"
case "$*" in
    *"services replace"*) cp "$7" "$RECORD/service.yml" ;;
    *"services describe"*) echo https://octoflow.example.com ;;
    *"secrets versions access"*) echo {TOKEN} ;;
    *"jobs describe"*) [ -e "$RECORD/has-a-job" ] ;;
    *"--flags-file"*)
        while [ "$1" != --flags-file ]; do shift; done
        stat -c %a "$2" > "$RECORD/mode"
        cp "$2" "$RECORD/flags.json" ;;
esac
"""


@pytest.fixture
def deploy(tmp_path):
    """Runs the script; gives what gcloud was asked, a line each."""
    (tmp_path / "gcloud").write_text(GCLOUD)
    (tmp_path / "gcloud").chmod(0o755)

    def run(**environment: str) -> subprocess.CompletedProcess[str]:
        settings = {"PATH": f"{tmp_path}:/usr/bin:/bin", "RECORD": str(tmp_path), "TMPDIR": str(tmp_path)}
        return subprocess.run(
            ["sh", DEPLOY / "cloud_run.sh"], env=settings | environment, capture_output=True, text=True, timeout=30
        )

    return run


PLACE = {"PROJECT": "my-project", "REGION": "europe-west1"}


def test_it_names_what_it_needs_to_know(deploy, tmp_path):
    ended = deploy(PROJECT="my-project")

    assert ended.returncode != 0
    assert "REGION" in ended.stderr
    assert not (tmp_path / "calls").exists()


def test_the_service_is_put_in_place_with_every_name_filled_in(deploy, tmp_path):
    ended = deploy(**PLACE)
    text = (tmp_path / "service.yml").read_text()
    service = yaml.safe_load(text)
    image = service["spec"]["template"]["spec"]["containers"][0]["image"]

    assert (ended.returncode, ended.stderr) == (0, "")
    assert "PROJECT" not in text
    assert "REGION" not in text
    assert image == "europe-west1-docker.pkg.dev/my-project/octoflow/octoflow:latest"


@pytest.mark.parametrize(
    ("is_there", "verb", "option"), [(False, "create", "--headers"), (True, "update", "--update-headers")]
)
def test_the_scheduler_calls_the_tick_each_minute_and_no_one_sees_the_token(deploy, tmp_path, is_there, verb, option):
    if is_there:
        (tmp_path / "has-a-job").touch()

    ended = deploy(**PLACE)
    calls = (tmp_path / "calls").read_text()

    assert (ended.returncode, ended.stderr) == (0, "")
    assert f"scheduler jobs {verb} http octoflow-tick --location europe-west1 --schedule * * * * *" in calls
    assert "--uri https://octoflow.example.com/api/tick --http-method POST" in calls
    assert TOKEN not in calls
    assert json.loads((tmp_path / "flags.json").read_text()) == {option: {"Authorization": f"Bearer {TOKEN}"}}
    assert (tmp_path / "mode").read_text() == "600\n"


def test_nothing_is_left_of_the_token(deploy, tmp_path):
    before = {"gcloud"}

    deploy(**PLACE)

    assert {path.name for path in tmp_path.iterdir()} - before == {"calls", "service.yml", "flags.json", "mode"}
