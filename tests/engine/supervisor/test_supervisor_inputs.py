"""The values of secret inputs on their way through a supervisor: the flow has them, nothing that is kept does."""

from __future__ import annotations

import json

from engine.models.job import Status
from engine.supervisor.hiding import JobMask

SHOWN, SECRETS = {"user": "ada", "word": "***"}, {"word": "hunter two"}


def test_the_worker_gets_the_value_and_all_that_it_says_is_masked(stage):
    claim = stage.claim(data=SHOWN, secrets=SECRETS)

    def script(peer):
        assert peer.data == {"user": "ada", "word": "hunter two"}
        peer.start_step()
        peer.log("logged in with hunter%20two")
        peer.end_step(result_key="step", output=json.dumps("hunter two"), error="hunter two is wrong")
        peer.end(
            "failed", reason="step_error", errors=[{"step": "s", "type": "jq", "error": "hunter two"}], data=peer.data
        )

    outcome = stage.supervise(claim, script)

    assert stage.lines(claim) == ["logged in with ***"]
    assert [(step.output, step.error) for step in stage.steps(claim)] == [("***", "*** is wrong")]
    job = stage.job(claim)
    assert (job.data, job.result, job.message) == (SHOWN, SHOWN, "***")
    assert "hunter" not in str(outcome)


def test_what_a_sub_flow_hides_is_masked_in_this_job_only(stage):
    first, others = stage.claim(), []

    def script(peer):
        peer.log("sent pin-of-ada")
        assert peer.ask("hide_inputs", values=["pin-of-ada"]) == {}
        peer.log("sent pin-of-ada")
        peer.end()

    stage.supervise(first, script)
    others.append(stage.claim())
    stage.supervise(others[0], lambda peer: (peer.log("sent pin-of-ada"), peer.end()))

    assert stage.lines(first) == ["sent pin-of-ada", "sent ***"]
    assert stage.lines(others[0]) == ["sent pin-of-ada"]


def test_the_finally_step_of_a_lost_job_still_has_the_value_and_hides_it(stage):
    claim = stage.claim(data=SHOWN, secrets=SECRETS, has_finally=True)
    stage.begin(claim)
    stage.lose(claim)

    def script(peer):
        assert peer.message["finally_only"]
        assert peer.data["__input__"] == {"user": "ada", "word": "hunter two"}
        peer.log("tidied with hunter two")
        peer.end("failed", data=peer.data)

    outcome = stage.supervise(stage.adopt(), script)

    assert outcome.status is Status.FAILED
    assert stage.lines(claim) == ["tidied with ***"]
    assert stage.job(claim).result["__input__"] == SHOWN


def test_a_secret_within_another_gives_neither_away(stage):
    stage.secrets_file.write_text("- {name: a, type: token, token: xx-hunter2-yy}\n")
    keeper = stage.tools.secrets

    mask = JobMask(keeper, ["hunter2", "before-xx-hunter2-yy-after"])

    assert mask.now().text("xx-hunter2-yy hunter2 before-xx-hunter2-yy-after") == "*** *** ***"
    assert keeper.mask().text("hunter2") == "hunter2"


def test_a_secret_that_is_new_to_the_service_is_hidden_beside_those_of_the_job(stage):
    mask = JobMask(stage.tools.secrets, ["hunter2"])
    assert mask.now().text("hunter2 newly-known") == "*** newly-known"

    stage.secrets_file.write_text("- {name: a, type: token, token: newly-known}\n")

    assert mask.now().text("hunter2 newly-known") == "*** ***"
