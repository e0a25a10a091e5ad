"""What a worker's result comes to: the outcome, the row, the worker's way back, the secrets that stay out."""

from __future__ import annotations

import json

import pytest

from engine.errors import Unavailable
from engine.models.job import Claim, LogLine, Reason, State, Status, StepStatus

SECRETS = "- {name: peer, type: credential, username: ada, password: correct-horse-battery}\n"
PASSWORD = "correct-horse-battery"


def greet(peer):
    peer.start_step(1, "greet")
    peer.end_step(1, result_key="greet", output='"hi"')
    peer.end(data={"greet": "hi"})


def test_a_job_that_succeeds_is_closed_with_its_result_and_its_steps(stage):
    claim = stage.claim()

    outcome = stage.supervise(claim, greet)

    job, (step,) = stage.job(claim), stage.steps(claim)
    assert (outcome.status, outcome.reason, outcome.message) == (Status.SUCCESS, None, None)
    assert (job.state, job.status, job.result, job.end_time) == (
        State.FINISHED,
        Status.SUCCESS,
        {"greet": "hi"},
        stage.clock.now(),
    )
    assert (step.name, step.status, step.output) == ("greet", StepStatus.SUCCESS, "hi")


def test_the_end_hands_over_the_lock_that_the_claim_holds(stage, monkeypatch):
    finish, freed = stage.jobs.finish, []
    monkeypatch.setattr(stage.jobs, "finish", lambda *key, **how: freed.append(how["lock"]) or finish(*key, **how))

    stage.supervise(stage.claim(), greet)

    assert freed == ["f.yml#0"]


def test_a_worker_is_told_everything_it_needs(stage):
    claim = stage.claim(data={"a": [1]}, timeout=77)
    seen = []

    def script(peer):
        seen.append((peer.message, peer.data))
        peer.end()

    stage.supervise(claim, script)

    ((message, data),) = seen
    assert data == {"a": [1]}
    assert message == {
        "kind": "job",
        "job_id": claim.id,
        "path": "f.yml",
        "revision": "r1",
        "documents": {"r1": {"text": "name: f\n", "parts": {}}},
        "timestamp": "20260315120000",
        "timeout_seconds": 77.0,
        "first_number": 1,
        "finally_only": False,
        "errors": [],
        "limits": stage.tools.limits,
        "memory_bytes": 1 << 28,
    }


def test_a_failed_step_gives_the_job_its_message(stage):
    claim = stage.claim()
    errors = [{"step": "fetch", "type": "rest", "error": "no answer"}]

    outcome = stage.supervise(claim, lambda peer: peer.end("failed", reason="step_error", errors=errors))

    job = stage.job(claim)
    assert (outcome.status, outcome.reason, outcome.message) == (Status.FAILED, "step_error", "no answer")
    assert (job.status, job.reason, job.message, job.errors) == (Status.FAILED, "step_error", "no answer", errors)


def test_an_exit_keeps_its_own_message(stage):
    claim = stage.claim()

    stage.supervise(claim, lambda peer: peer.end("exit", message="nothing to do", data={"stop": "nothing to do"}))

    job = stage.job(claim)
    assert (job.status, job.message, job.errors) == (Status.EXIT, "nothing to do", [])


def test_a_job_that_ended_has_freed_its_flow(stage):
    stage.supervise(stage.claim(), greet)

    second = stage.claim()

    assert stage.supervise(second, greet).status is Status.SUCCESS


def test_an_observer_hears_each_event_in_order(stage):
    heard = []

    stage.supervise(stage.claim(), greet, observer=heard.append)

    assert [type(event).__name__ for event in heard] == ["StepStarted", "StepEnded"]


# The result's size


@pytest.mark.parametrize(("size", "kept"), [(1000, True), (1001, False)])
def test_a_result_over_the_limit_is_dropped_and_the_status_is_kept(stage, size, kept):
    stage.with_tools(max_result_bytes=1000)
    claim = stage.claim()
    data = {"v": "x" * (size - len('{"v": ""}'))}

    stage.supervise(claim, lambda peer: peer.end(data=data))

    job = stage.job(claim)
    assert job.status is Status.SUCCESS
    if kept:
        assert (job.reason, job.message, job.result) == (None, None, data)
    else:
        assert (job.reason, job.result) == (Reason.LIMIT, None)
        assert job.message == "The result has 1001 bytes, over the limit of 1000 (MAX_RESULT_BYTES); it was not kept."


def test_a_failed_job_with_too_large_a_result_says_what_failed_and_why_there_is_none(stage, texts_of):
    stage.with_tools(max_result_bytes=10)
    claim = stage.claim()
    errors = [{"step": "fetch", "type": "rest", "error": "no answer"}]

    stage.supervise(claim, lambda peer: peer.end("failed", reason="step_error", errors=errors, data={"v": "x" * 10}))

    job = stage.job(claim)
    assert (job.status, job.message, job.result) == (Status.FAILED, "no answer", None)
    assert job.errors[:1] == errors
    assert texts_of(job)[1:] == ["The result has 19 bytes, over the limit of 10 (MAX_RESULT_BYTES); it was not kept."]


def test_what_a_killed_job_left_is_held_to_the_limit_too(stage):
    stage.with_tools(max_result_bytes=1000)
    claim = stage.claim()

    def script(peer):
        peer.start_step()
        peer.end_step(result_key="v", output=json.dumps("x" * 1000))
        peer.die(-9)

    stage.supervise(claim, script)

    job = stage.job(claim)
    assert (job.status, job.reason, job.result) == (Status.FAILED, Reason.LIMIT, None)
    assert "killed by SIGKILL" in job.message


# The worker's way back


def test_a_worker_that_a_job_left_clean_is_given_back(stage):
    stage.supervise(stage.claim(), greet)

    assert stage.workers.given == stage.workers.taken
    assert not stage.only_worker.discarded


def test_a_worker_that_says_it_is_not_reusable_is_thrown_away(stage):
    stage.supervise(stage.claim(), lambda peer: peer.end(reusable=False))

    assert stage.workers.given == []
    assert stage.only_worker.discarded


def test_a_worker_that_was_stopped_is_thrown_away_however_well_it_ended(stage):
    def script(peer):
        stage.supervision.stop(Reason.CANCELLED)
        peer.await_stop()
        peer.end("failed", reason="stopped", reusable=True)

    stage.supervise(stage.claim(), script)

    assert stage.workers.given == []
    assert stage.only_worker.discarded


# Secrets


def test_a_worker_gets_the_secret_it_asks_for(stage):
    stage.secrets_file.write_text(SECRETS)
    answers = []

    def script(peer):
        answers.append(peer.ask("secret", name="peer"))
        peer.end()

    stage.supervise(stage.claim(), script)

    assert answers == [{"secret": {"type": "credential", "username": "ada", "password": PASSWORD}}]


def test_a_secret_that_is_not_there_is_an_answer_and_no_end(stage):
    stage.secrets_file.write_text(SECRETS)
    answers = []

    def script(peer):
        answers.append(peer.ask("secret", name="nope"))
        peer.end()

    outcome = stage.supervise(stage.claim(), script)

    assert answers == [{"error": "secret 'nope' is not in secrets.yml (it has: peer)"}]
    assert outcome.status is Status.SUCCESS


def test_no_secret_is_in_anything_that_is_kept_or_heard(stage):
    stage.secrets_file.write_text(SECRETS)
    claim = stage.claim()
    heard = []

    def script(peer):
        peer.start_step(1, "call")
        peer.log(f"sent {PASSWORD}")
        peer.end_step(1, status=StepStatus.IGNORED, error=f"401 for {PASSWORD}", result_key="v", output=f'"{PASSWORD}"')
        errors = [{"step": "call", "type": "rest", "error": f"401 for {PASSWORD}"}]
        peer.end("failed", reason="step_error", message=f"said {PASSWORD}", errors=errors, data={PASSWORD: [PASSWORD]})

    outcome = stage.supervise(claim, script, observer=heard.append)

    job, (step,) = stage.job(claim), stage.steps(claim)
    assert PASSWORD not in repr((outcome, job, step, stage.lines(claim), heard))
    assert (job.message, job.errors[0]["error"], job.result) == ("said ***", "401 for ***", {"***": ["***"]})
    assert (step.error, step.output, stage.lines(claim)) == ("401 for ***", "***", ["sent ***"])
    assert [event.message for event in heard if isinstance(event, LogLine)] == ["sent ***"]


def test_a_finally_step_gets_the_data_itself_and_the_row_what_is_masked(stage):
    stage.secrets_file.write_text(SECRETS)
    claim = stage.claim(has_finally=True)
    seen = []

    def dies(peer):
        peer.start_step()
        peer.end_step(result_key="v", output=json.dumps({"sent": PASSWORD}))
        peer.die(-9)

    def tidies(peer):
        seen.append(peer.data["v"])
        peer.end(errors=peer.message["errors"], data=peer.data)

    stage.supervise(claim, dies, tidies)

    assert seen == [{"sent": PASSWORD}]
    assert stage.job(claim).result["v"] == {"sent": "***"}


# What is not the job's fault


def test_a_worker_that_cannot_be_had_fails_the_job_with_the_reason_why(stage):
    claim = stage.claim()

    stage.supervise(claim, Unavailable("No process for a job could be started."))

    job = stage.job(claim)
    assert (job.status, job.reason, job.message) == (
        Status.FAILED,
        Reason.PROCESS_DIED,
        "No process for a job could be started.",
    )


def test_a_document_that_is_not_in_the_database_fails_the_job_and_names_it(stage):
    from dataclasses import replace

    claim: Claim = replace(stage.claim(), revision="r2")

    stage.supervise(claim)

    assert "no document of revision 'r2'" in stage.job(claim).message
    assert stage.workers.taken == []


def test_a_fault_of_ours_still_closes_the_row(stage, caplog):
    claim = stage.claim()

    def broken(_event):
        raise RuntimeError("a fault of ours")

    outcome = stage.supervise(claim, greet, observer=broken)

    job = stage.job(claim)
    assert outcome.status is Status.FAILED
    assert (job.state, job.status, job.reason) == (State.FINISHED, Status.FAILED, Reason.PROCESS_DIED)
    assert job.message == "The job could not be seen through; the service's log says why."
    assert stage.only_worker.discarded
    assert "a fault of ours" in caplog.text


def test_events_that_the_database_will_not_take_are_given_up_so_that_the_job_can_be_closed(stage):
    claim = stage.claim()
    stage.watched.failures["finish"] = [ValueError("cannot be stored")]

    stage.supervise(claim, greet)

    first, second = stage.watched.called("finish")
    assert [type(event).__name__ for event in first.arguments[4]] == ["StepStarted", "StepEnded"]
    assert second.arguments[4] == []
    assert stage.job(claim).state is State.FINISHED


@pytest.mark.parametrize("head", [{"kind": "StepStarted"}, {"no": "kind"}, {"kind": "result"}])
def test_a_message_that_makes_no_sense_fails_its_own_job_only(stage, head):
    claim = stage.claim()

    stage.supervise(claim, lambda peer: peer.channel.send((head, b"")))

    assert stage.job(claim).status is Status.FAILED
    assert stage.only_worker.discarded
