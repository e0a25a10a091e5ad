"""Faults of Vault and of secrets that change, by their numbers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from peers import Handler, send
from services import Service, flow
from vault_server import STATUS_BODY, VaultServer


@pytest.fixture
def vaulted(service: Service, vault: VaultServer) -> Iterator[Callable[..., dict[str, Any]]]:
    """Adds a secret that Vault has at a path to the service's file; the step that sends it to an address."""
    before = (service.data / "secrets.yml").read_text()

    def add(name: str, kind: str = "token", **more: Any) -> Callable[[str], dict[str, Any]]:
        file = service.data / "secrets.yml"
        entry = {"name": name, "type": "hashicorp-vault", "uri": vault.uri(f"secret/data/{name}"), **more}
        file.write_text(json.dumps([*json.loads(file.read_text()), entry]))
        authentication = {"type": kind, "secret": name}
        return lambda uri: {"name": "call", "type": "rest", "rest": {"uri": uri, "authentication": authentication}}

    yield add
    (service.data / "secrets.yml").write_text(before)


@pytest.mark.parametrize("status", [400, 403, 404, 429, 472, 473, 500, 502, 503])
def test_row_61_a_vault_that_refuses_fails_the_step_with_no_more_than_its_status(other, run, vault, vaulted, status):
    step = vaulted(f"refused-{status}")
    vault.statuses[f"secret/data/refused-{status}"] = status

    job = run(step(other.url))

    assert job["errors"][0]["error"] == f"step 'call': secret 'refused-{status}' is not available ({status})"
    assert STATUS_BODY not in json.dumps(job)
    assert other.asked == []


@pytest.mark.parametrize(
    ("name", "raw", "why"),
    [
        ("html", b"<html>login</html>", "not JSON"),
        ("nan", b'{"data": {"token": NaN}}', "not JSON"),
        ("empty", b"{}", "no data"),
        ("deep", b'{"data": {"t": ' + b"[" * 40 + b"]" * 40 + b"}}", "more than 1000 values, or deeper than 32"),
        ("large", b'{"data": {"token": "' + b"x" * 300_000 + b'"}}', "over 262144 bytes"),
    ],
)
def test_row_61_so_does_one_that_gives_something_else(other, run, vault, vaulted, name, raw, why):
    step = vaulted(name)
    vault.raw[f"secret/data/{name}"] = raw

    job = run(step(other.url))

    assert job["errors"][0]["error"] == f"step 'call': secret '{name}' is not available ({why})"


def test_row_61_a_vault_that_is_silent_does_not_keep_a_job_beyond_its_time(other, run, vault, vaulted):
    step = vaulted("silent")
    vault.put("secret/data/silent", token="canary-silent")
    vault.behaviours["secret/data/silent"] = "slow"
    try:
        job = run(step(other.url), timeout_seconds=1)
    finally:
        vault.gate.set()

    assert (job["status"], job["reason"]) == ("failed", "timeout")
    assert job["duration_seconds"] < 5
    assert other.asked == []


def test_row_61_a_loop_of_many_threads_is_one_read(other, run, service, vault, vaulted):
    step = vaulted("shared")
    vault.put("secret/data/shared", token="canary-shared")
    flow(service.data, "one.yml", json.dumps({"name": "one", "steps": [step(other.url)]}))
    items = {"name": "items", "type": "set_fact", "set_fact": {"value": list(range(40))}}

    job = run(items, {"name": "loop", "type": "flow_loop", "flow_loop": {"path": "one.yml", "data_key": "items"}})

    assert job["status"] == "success", job["errors"]
    assert len(other.asked) == 40
    assert vault.asked["secret/data/shared"] == 1


def test_row_61_a_value_that_is_kept_serves_while_vault_is_down(other, run, vault, vaulted):
    step = vaulted("kept")
    vault.put("secret/data/kept", token="canary-kept")
    run(step(other.url))
    vault.statuses["secret/data/kept"] = 503

    job = run(step(other.url))

    assert job["status"] == "success", job["errors"]
    assert vault.asked["secret/data/kept"] == 1


def admits(token: str) -> Callable[[Handler], None]:
    def answer(handler: Handler) -> None:
        known = token in str(handler.headers.get("Authorization"))
        send(handler, 200 if known else 401, {"said": str(handler.headers.get("Authorization"))})

    return answer


def test_row_62_a_secret_that_was_rotated_is_read_anew_at_the_first_401(other, run, vault, vaulted, service):
    step = vaulted("rotated", jq_expression="{token: .word}")
    vault.put("secret/data/rotated", word="canary-of-before")
    other.answer = admits("canary-of-before")
    assert run(step(other.url))["status"] == "success"
    vault.put("secret/data/rotated", word="canary-of-after")
    other.answer = admits("canary-of-after")

    job = run(step(other.url), {"name": "show", "type": "debug", "debug": {"type": "json"}})

    assert job["status"] == "success", job["errors"]
    assert vault.asked["secret/data/rotated"] == 2
    assert len(other.asked) == 3
    text = json.dumps(job) + service.get(f"/api/jobs/{job['id']}/logs").text + service.text()
    assert "canary-of" not in text
    assert "***" in text


def test_row_62_a_loop_that_is_refused_reads_it_anew_once(other, run, service, vault, vaulted):
    step = vaulted("looped")
    vault.put("secret/data/looped", token="canary-of-before")
    run(step(other.url))
    other.asked.clear()
    vault.put("secret/data/looped", token="canary-of-after")
    other.answer = admits("canary-of-after")
    flow(service.data, "refused.yml", json.dumps({"name": "refused", "steps": [step(other.url)]}))
    items = {"name": "items", "type": "set_fact", "set_fact": {"value": list(range(24))}}

    job = run(items, {"name": "loop", "type": "flow_loop", "flow_loop": {"path": "refused.yml", "data_key": "items"}})

    assert job["status"] == "success", job["errors"]
    assert vault.asked["secret/data/looped"] == 2
    assert 24 < len(other.asked) <= 24 + 8


def test_row_62_a_secret_that_stays_the_same_is_not_sent_again(other, run, vault, vaulted):
    step = vaulted("wrong")
    vault.put("secret/data/wrong", token="canary-wrong")
    other.answer = admits("canary-right")

    job = run(step(other.url))

    assert "answered 401" in job["errors"][0]["error"]
    assert len(other.asked) == 1
    assert vault.asked["secret/data/wrong"] == 2


def test_row_62_a_file_that_changed_counts_as_well(other, run, service):
    file = service.data / "secrets.yml"
    before = file.read_text()
    other.answer = lambda handler: (
        file.write_text(before.replace("canary-bearer-2", "canary-bearer-4")),
        admits("canary-bearer-4")(handler),
    )
    step = {"uri": other.url, "authentication": {"type": "token", "secret": "bearer"}}
    try:
        job = run({"name": "call", "type": "rest", "rest": step})
    finally:
        file.write_text(before)

    assert job["status"] == "success", job["errors"]
    assert len(other.asked) == 2


def test_row_62_a_vault_that_is_down_then_leaves_the_401(other, run, vault, vaulted, service):
    step = vaulted("gone")
    vault.put("secret/data/gone", token="canary-gone")
    run(step(other.url))
    vault.statuses["secret/data/gone"] = 503
    other.answer = admits("canary-other")

    job = run(step(other.url))

    assert "answered 401" in job["errors"][0]["error"]
    logs = service.get(f"/api/jobs/{job['id']}/logs").json()["logs"]
    assert any("secret 'gone' is not available (503)" in line["message"] for line in logs)
