"""Secrets from Vault on their way through a supervisor: handed over, masked, and failures as answers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from vault_server import TOKEN, VaultServer

from engine.models.job import Status
from engine.secrets.keeper import SecretKeeper
from engine.secrets.vault import Vault


@pytest.fixture
def server():
    server = VaultServer()
    yield server
    server.close()


@pytest.fixture
def stage(stage, server):
    """The stage with a secret in Vault, whose fields have other names."""
    uri = server.put("secret/data/snow", both="bob:canary-word")
    stage.secrets_file.write_text(f"- {{name: snow, type: hashicorp-vault, uri: '{uri}', jq_expression: '.both'}}\n")
    keeper = SecretKeeper(stage.secrets_file, vault=Vault(TOKEN, 60, stage.clock))
    return replace(stage, tools=replace(stage.tools, secrets=keeper))


def test_a_value_and_what_a_worker_makes_of_it_are_masked(stage):
    claim = stage.claim()
    answers = []

    def script(peer):
        answers.append(peer.ask("secret", name="snow"))
        peer.log("sent bob:canary-word and canary-word")
        answers.append(peer.ask("hide", values=["canary-word"], pairs=[["bob", "canary-word"]]))
        peer.log("sent canary-word")
        peer.end(data={"echo": "Ym9iOmNhbmFyeS13b3Jk"})

    stage.supervise(claim, script)

    value = {"both": "bob:canary-word"}
    assert answers == [{"secret": {"type": "hashicorp-vault", "jq_expression": ".both", "value": value}}, {}]
    assert stage.lines(claim)[-1] == "sent ***"
    assert stage.lines(claim)[0].startswith("sent *** and ")
    assert stage.job(claim).result == {"echo": "***"}


def test_a_vault_that_fails_is_an_answer_and_no_end(stage, server):
    server.statuses["secret/data/snow"] = 503
    answers = []

    def script(peer):
        answers.append(peer.ask("secret", name="snow"))
        peer.end()

    outcome = stage.supervise(stage.claim(), script)

    assert answers == [{"error": "secret 'snow' is not available (503)"}]
    assert outcome.status is Status.SUCCESS
