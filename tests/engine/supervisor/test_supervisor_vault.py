"""Secrets from Vault on their way through a supervisor: handed over, masked, and failures as answers."""

from __future__ import annotations

from dataclasses import replace
from threading import Thread

import pytest
from vault_server import TOKEN, VaultServer

from engine.models.job import Reason, Status
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


def test_a_worker_may_ask_for_a_value_that_is_read_anew(stage, server):
    answers = []

    def script(peer):
        answers.append(peer.ask("secret", name="snow")["secret"]["value"])
        server.put("secret/data/snow", both="bob:later-word")
        answers.append(peer.ask("secret", name="snow", fresh=False)["secret"]["value"])
        answers.append(peer.ask("secret", name="snow", fresh=True)["secret"]["value"])
        peer.log("canary-word, later-word: bob:canary-word, bob:later-word")
        peer.end()

    claim = stage.claim()
    stage.supervise(claim, script)

    assert [answer["both"] for answer in answers] == ["bob:canary-word", "bob:canary-word", "bob:later-word"]
    assert stage.lines(claim) == ["canary-word, later-word: ***, ***"]


def test_a_vault_that_fails_is_an_answer_and_no_end(stage, server):
    server.statuses["secret/data/snow"] = 503
    answers = []

    def script(peer):
        answers.append(peer.ask("secret", name="snow"))
        peer.end()

    outcome = stage.supervise(stage.claim(), script)

    assert answers == [{"error": "secret 'snow' is not available (503)"}]
    assert outcome.status is Status.SUCCESS


def test_a_stop_does_not_wait_for_a_secret(stage, server):
    server.behaviours["secret/data/snow"] = "slow"
    answers = []

    def script(peer):
        stopper = Thread(target=lambda: (server.came.acquire(timeout=5), stage.supervision.stop(Reason.SHUTDOWN)))
        stopper.start()
        answers.append(peer.ask("secret", name="snow"))
        stopper.join()
        peer.await_stop()
        peer.say_stopping()
        peer.end("failed", reason="stopped")

    outcome = stage.supervise(stage.claim(), script)

    assert not server.gate.is_set()
    assert answers == [{"error": "secret 'snow' is not waited for any more: the job is being stopped"}]
    assert outcome.reason == Reason.SHUTDOWN


def test_a_deadline_does_not_wait_for_a_secret(stage, server):
    server.behaviours["secret/data/snow"] = "slow"
    answers = []

    def script(peer):
        peer.channel.send(({"kind": "secret", "name": "snow"}, b""))
        server.came.acquire(timeout=5)
        stage.clock.pass_by(5)
        peer.poke()
        answers.append(peer.channel.receive().head)
        peer.await_stop()
        peer.end("failed", reason="stopped")

    outcome = stage.supervise(stage.claim(timeout=5), script)

    assert list(answers[0]) == ["error"]
    assert outcome.reason == Reason.TIMEOUT


def test_a_finally_step_that_asks_after_the_stop_gets_its_secret(stage, server):
    answers = []

    def script(peer):
        peer.settle()
        stage.supervision.stop(Reason.CANCELLED)
        peer.await_stop()
        peer.say_stopping()
        answers.append(peer.ask("secret", name="snow"))
        peer.end("failed", reason="stopped")

    stage.supervise(stage.claim(), script)

    assert answers[0]["secret"]["value"] == {"both": "bob:canary-word"}


def test_a_worker_to_which_an_answer_is_under_way_is_given_to_nobody_else(stage, server):
    server.behaviours["secret/data/snow"] = "slow"

    def script(peer):
        peer.channel.send(({"kind": "secret", "name": "snow"}, b""))
        server.came.acquire(timeout=5)
        peer.end()

    outcome = stage.supervise(stage.claim(), script)

    assert outcome.status is Status.SUCCESS
    assert stage.only_worker.discarded


def test_a_keeper_that_breaks_is_an_answer_and_no_end(stage, caplog):
    class Broken(SecretKeeper):
        def get(self, name, *, fresh=False):
            raise RuntimeError("a fault of ours")

    stage = replace(stage, tools=replace(stage.tools, secrets=Broken(stage.secrets_file)))
    answers = []

    def script(peer):
        answers.append(peer.ask("secret", name="snow"))
        peer.end()

    stage.supervise(stage.claim(), script)

    assert answers == [{"error": "secret 'snow' is not available; the service log says why"}]
    assert "a fault of ours" in caplog.text
