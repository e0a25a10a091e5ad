"""A job's row while it is held: events in groups, a lease that is renewed, a busy database, a row that is lost."""

from __future__ import annotations

from datetime import timedelta

import pytest

from engine.errors import DatabaseBusy, DatabaseDown
from engine.models.job import Outcome, Reason, State, Status, StepStatus

BUSY = DatabaseBusy("The database is busy.")
ALWAYS = 1000


def ends(peer):
    peer.end()


# Events


def test_events_are_written_together_after_twenty_milliseconds(stage):
    claim = stage.claim()

    def script(peer):
        peer.log("one", "two")
        peer.pass_by(0.019)
        peer.log("three")
        peer.settle()
        assert stage.watched.called("record") == []
        peer.pass_by(0.002)
        assert stage.lines(claim) == ["one", "two", "three"]
        peer.end()

    stage.supervise(claim, script)

    assert len(stage.watched.called("record")) == 1


def test_each_group_begins_with_its_first_event(stage):
    def script(peer):
        for _ in range(3):
            peer.log("first")
            peer.pass_by(0.011)
            peer.log("second")
            peer.pass_by(0.011)
        peer.end()

    stage.supervise(stage.claim(), script)

    assert [len(call.arguments[3]) for call in stage.watched.called("record")] == [2, 2, 2]


def test_the_last_events_are_written_with_the_result(stage):
    claim = stage.claim()

    def script(peer):
        peer.log("one")
        peer.pass_by(0.021)
        peer.log("two")
        peer.end()

    stage.supervise(claim, script)

    (finish,) = stage.watched.called("finish")
    assert len(stage.watched.called("record")) == 1
    assert [event.message for event in finish.arguments[4]] == ["two"]
    assert stage.lines(claim) == ["one", "two"]


def test_a_step_that_acts_on_the_world_is_on_disk_before_the_answer_to_its_sync(stage):
    claim = stage.claim()

    def script(peer):
        peer.start_step(1, "pay")
        peer.ask("sync")
        assert [(step.name, step.status) for step in stage.steps(claim)] == [("pay", StepStatus.RUNNING)]
        peer.end()

    stage.supervise(claim, script)


def test_a_sync_waits_for_a_busy_database(stage):
    claim = stage.claim()
    stage.watched.failures["record"] = [BUSY, BUSY]

    def script(peer):
        peer.start_step(1, "pay")
        peer.ask("sync")
        assert len(stage.steps(claim)) == 1
        peer.end()

    outcome = stage.supervise(claim, script)

    assert outcome.status is Status.SUCCESS
    assert [call.at for call in stage.watched.called("record")] == [0.0, 1.0, 2.0]


def test_events_are_kept_while_the_database_is_busy_and_tried_again_each_second(stage):
    claim = stage.claim()
    stage.watched.failures["record"] = [BUSY]

    def script(peer):
        peer.log("one")
        peer.pass_by(0.021)
        peer.log("two")
        peer.pass_by(0.5)
        assert len(stage.watched.called("record")) == 1
        peer.pass_by(0.6)
        assert stage.lines(claim) == ["one", "two"]
        peer.end()

    stage.supervise(claim, script)

    assert len(stage.watched.called("record")) == 2


def test_lines_whose_commit_was_answered_with_an_error_are_not_there_twice(stage):
    claim = stage.claim()
    stage.watched.late_failures["record"] = [BUSY]

    def script(peer):
        peer.log("one", "two")
        peer.pass_by(0.021)
        peer.pass_by(1)
        peer.log("three")
        peer.end()

    stage.supervise(claim, script)

    assert stage.lines(claim) == ["one", "two", "three"]


@pytest.mark.parametrize("seconds", [1, 0], ids=["with the next group", "with the result"])
def test_a_step_whose_beginning_was_in_a_doubtful_commit_is_ended(stage, seconds):
    claim = stage.claim()
    stage.watched.late_failures["record"] = [BUSY]

    def script(peer):
        peer.start_step(1, "fetch")
        peer.pass_by(0.021)
        assert [step.status for step in stage.steps(claim)] == [StepStatus.RUNNING]
        peer.end_step(1, result_key="fetch", output='{"n": 1}')
        peer.pass_by(seconds)
        peer.end()

    stage.supervise(claim, script)

    (step,) = stage.steps(claim)
    assert len(stage.watched.called("record")) == 1 + seconds
    assert (step.status, step.result_key, step.output) == (StepStatus.SUCCESS, "fetch", {"n": 1})


# The end


def test_a_finish_that_the_database_refuses_is_tried_again(stage):
    claim = stage.claim()
    stage.watched.failures["finish"] = [BUSY, DatabaseDown("gone"), BUSY]

    outcome = stage.supervise(claim, ends)

    job = stage.job(claim)
    assert outcome.status is Status.SUCCESS
    assert (job.state, job.status) == (State.FINISHED, Status.SUCCESS)
    assert job.end_time == stage.clock.start + timedelta(seconds=3)


def test_a_finish_that_was_written_and_answered_with_an_error_is_a_finish(stage, texts_of):
    claim = stage.claim()
    stage.watched.late_failures["finish"] = [BUSY]
    errors = [{"step": "fetch", "type": "rest", "error": "no answer"}]

    outcome = stage.supervise(claim, lambda peer: peer.end("failed", reason="step_error", errors=errors))

    job = stage.job(claim)
    assert (outcome.status, outcome.reason, texts_of(outcome)) == (Status.FAILED, "step_error", ["no answer"])
    assert (job.status, job.reason, texts_of(job)) == (Status.FAILED, "step_error", ["no answer"])


def test_a_finish_that_was_not_written_is_none_when_another_has_closed_the_job(stage):
    claim = stage.claim()
    stage.begin(claim)
    finish = stage.watched.finish

    def overtaken(*arguments, **options):
        if stage.job(claim).state is not State.FINISHED:
            stage.lose(claim)
            raise BUSY
        return finish(*arguments, **options)

    stage.watched.finish = overtaken

    assert stage.supervise(claim, ends) is None
    assert stage.job(claim).reason == Reason.WORKER_LOST


def test_a_finish_is_given_up_when_the_lease_has_ended(stage, caplog):
    claim = stage.claim()
    stage.watched.failures["finish"] = [BUSY] * ALWAYS

    outcome = stage.supervise(claim, ends)

    assert outcome is None
    assert stage.job(claim).state is State.RUNNING
    assert 30 < stage.clock.passed <= 32
    assert "the lease was lost" in caplog.text


def test_a_finish_is_tried_for_as_long_as_the_last_renewal_allows(stage):
    stage.watched.failures["finish"] = [BUSY] * ALWAYS

    def script(peer):
        peer.pass_by(10)
        peer.pass_by(10)
        peer.end()

    stage.supervise(stage.claim(), script)

    assert 50 < stage.clock.passed <= 52


def test_documents_that_a_busy_database_does_not_give_are_asked_for_again(stage, monkeypatch):
    bundle, failures = stage.tools.documents.bundle, [BUSY, BUSY]

    def busy_at_first(revision):
        if failures:
            raise failures.pop()
        return bundle(revision)

    monkeypatch.setattr(stage.tools.documents, "bundle", busy_at_first)

    assert stage.supervise(stage.claim(), ends).status is Status.SUCCESS


# The lease


def test_the_lease_is_renewed_each_ten_seconds_for_thirty(stage):
    def script(peer):
        for _ in range(4):
            peer.pass_by(9.9)
            peer.pass_by(0.2)
        peer.end()

    stage.supervise(stage.claim(), script)

    renewals = stage.watched.called("renew")
    assert [round(call.at) for call in renewals] == [10, 20, 30, 40]
    assert [call.arguments[3] - stage.clock.start for call in renewals] == [
        timedelta(seconds=30 + call.at) for call in renewals
    ]


def test_a_renewal_that_failed_is_tried_again_each_second(stage):
    stage.watched.failures["renew"] = [BUSY, BUSY]

    def script(peer):
        peer.pass_by(10)
        for _ in range(6):
            peer.pass_by(0.5)
        peer.end()

    outcome = stage.supervise(stage.claim(), script)

    assert outcome.status is Status.SUCCESS
    assert [call.at for call in stage.watched.called("renew")] == [10, 11, 12]


def test_a_lease_that_cannot_be_renewed_before_it_ends_is_lost(stage):
    claim = stage.claim()
    stage.watched.failures["renew"] = [BUSY] * ALWAYS

    def script(peer):
        peer.pass_by(10)
        peer.pass_by(20)
        assert not peer.worker.discarded
        peer.clock.pass_by(1)
        peer.poke()
        peer.channel.receive()

    outcome = stage.supervise(claim, script)

    assert outcome is None
    assert stage.only_worker.discarded
    assert stage.watched.called("finish") == []


def test_a_worker_is_let_go_of_when_another_owner_has_taken_its_job(stage):
    claim = stage.claim(has_finally=True)
    stage.begin(claim)

    def script(peer):
        peer.start_step(2, "mine")
        peer.settle()
        stage.lose(claim)
        taken = stage.adopt()
        assert taken.epoch > claim.epoch
        peer.clock.pass_by(10)
        peer.poke()
        peer.channel.receive()

    outcome = stage.supervise(claim, script)

    assert outcome is None
    assert stage.only_worker.discarded
    assert stage.workers.given == []
    assert [step.name for step in stage.steps(claim)] == ["first"]
    assert stage.job(claim).state is State.STOPPING


@pytest.mark.parametrize("verb", ["record", "renew", "finish"])
def test_whatever_is_written_first_after_a_loss_tells_of_it(stage, verb):
    claim = stage.claim()

    def script(peer):
        peer.settle()
        stage.lose(claim)
        closed.append(stage.job(claim))
        match verb:
            case "record":
                peer.log("too late")
                peer.ask("sync")
            case "renew":
                peer.clock.pass_by(10)
                peer.poke()
                peer.channel.receive()
            case "finish":
                peer.end(data={"too": "late"})

    closed = []
    outcome = stage.supervise(claim, script)

    assert outcome is None
    assert stage.watched.calls[-1].verb == verb
    assert [stage.job(claim)] == closed
    assert stage.lines(claim) == []


def test_a_job_that_was_deleted_under_its_supervisor_is_let_go_of(stage):
    claim = stage.claim()
    stage.begin(claim)

    def script(peer):
        stage.lose(claim)
        stage.jobs.delete(claim.id)
        peer.log("too late")
        peer.ask("sync")

    assert stage.supervise(claim, script) is None
    assert stage.only_worker.discarded


def test_an_outcome_is_what_the_row_says(stage):
    claim = stage.claim()

    outcome = stage.supervise(claim, lambda peer: peer.end("exit", message="enough", data={"a": 1}))

    assert outcome == Outcome(Status.EXIT, None, "enough", [], '{"a": 1}')
