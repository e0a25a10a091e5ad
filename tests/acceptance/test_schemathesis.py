"""schemathesis asks a real service all that its description allows, and all that it forbids."""

from __future__ import annotations

import os
import re
import subprocess

import fuzzing
import pytest
from services import BIN, ROOT, TOKEN, flow

TRIES = int(os.environ.get("OCTOFLOW_TEST_FUZZ", "0"))
"""So many for each operation, with other ones each time; without it a few, and always the same."""
CONFIGURATION = f"""
hooks = "{ROOT}/tests/kit/fuzzing.py"
continue-on-failure = true
color = false

[generation]
max-examples = {TRIES or 20}
deterministic = {str(not TRIES).lower()}

[phases.stateful]
max-steps = 10
inference.algorithms = ["location-headers"]

[checks]
# A URL that is too long is refused by the server, with 414.
negative_data_rejection.expected-statuses = ["4xx"]

[[operations]]
include-path = "/healthz/tick"
# No clock calls the tick, and after three minutes this says so.
checks.not_a_server_error.expected-statuses = ["2xx", "4xx", "503"]
"""


@pytest.mark.timeout(420 + 60 * TRIES)
def test_what_a_service_answers_is_what_it_says_of_itself(data, start, tmp_path):
    for name, text in fuzzing.FLOWS.items():
        flow(data, name, text)
    service = start()
    settings = tmp_path / "schemathesis.toml"
    settings.write_text(CONFIGURATION)

    run = subprocess.run(
        [
            BIN / "schemathesis", "--config-file", settings, "run", f"{service.url}/api/openapi.json",
            "--header", f"Authorization: Bearer {TOKEN}", "--checks", "all",
        ],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip

    asked = re.search(r"(\d+) generated", run.stdout)
    print(run.stdout[-2000:])
    assert run.returncode == 0, "\n".join(line[:500] for line in run.stdout.splitlines()) + run.stderr[-2000:]
    assert re.search(r"Selected: (\d+)/\1\n\s+Tested: \1\n", run.stdout), run.stdout
    followed = re.search(r"(\d+) covered /", run.stdout)
    assert asked
    assert int(asked[1]) > 1_000
    assert followed, "no link from a launch to its job was followed"
    assert int(followed[1]) > 5
    assert "Traceback" not in service.text()
