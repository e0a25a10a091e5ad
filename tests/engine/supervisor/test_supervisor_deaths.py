"""A worker that dies, a `finally_step` in a fresh one, a job that was lost: what is run, and what never again."""

from __future__ import annotations

import json

import pytest

from engine.errors import DatabaseBusy, Unavailable
from engine.models.job import Reason, State, Status, StepStatus
from engine.supervisor.causes import cause_of_death, stop_sentence

BUSY = DatabaseBusy("The database is busy.")
SIGKILL, SIGABRT, SIGXCPU = -9, -6, -24
ABORTED = "was killed by SIGABRT, as jq does when memory runs out; a job may take 256 MiB (JOB_MEMORY_MB)"


def dies_at_once(peer):
    peer.die(SIGKILL)


def dies_in_a_step(peer, exit_status=SIGKILL):
    peer.start_step(1, "first")
    peer.end_step(1, result_key="first", output='{"n":  41}')
    peer.start_step(2, "second")
    peer.die(exit_status)


def tidies(peer):
    number = peer.message["first_number"]
    peer.start_step(number, "tidy", is_finally=True)
    peer.end_step(number)
    peer.end(errors=peer.message["errors"], data={**peer.data, "tidied": True})


# Before the first word


@pytest.mark.parametrize("deaths", [1, 2])
def test_a_worker_that_dies_before_its_first_word_is_replaced(stage, deaths):
    outcome = stage.supervise(stage.claim(), *[dies_at_once] * deaths, lambda peer: peer.end(data={"v": 1}))

    assert outcome.status is Status.SUCCESS
    assert [worker.discarded for worker in stage.workers.taken] == [True] * deaths + [False]


def test_three_workers_that_die_before_their_first_word_are_enough(stage, texts_of):
    claim = stage.claim()

    stage.supervise(claim, *[dies_at_once] * 4)

    job = stage.job(claim)
    assert len(stage.workers.taken) == 3
    assert (job.status, job.reason) == (Status.FAILED, Reason.PROCESS_DIED)
    assert texts_of(job) == ["the job's process was killed by SIGKILL"]


def test_a_worker_that_was_dead_before_it_was_asked_is_replaced(stage):
    taken = stage.workers.take

    def first_is_dead():
        worker = taken()
        if len(stage.workers.taken) == 1:
            worker.peer.channel.close()
        return worker

    stage.workers.take = first_is_dead

    outcome = stage.supervise(stage.claim(), lambda peer: None, lambda peer: peer.end())

    assert outcome.status is Status.SUCCESS
    assert len(stage.workers.taken) == 2


def test_a_worker_that_dies_later_is_not_replaced(stage):
    claim = stage.claim()

    def script(peer):
        peer.log("I began")
        peer.die(SIGKILL)

    stage.supervise(claim, script, lambda peer: peer.end())

    assert len(stage.workers.taken) == 1
    assert stage.job(claim).status is Status.FAILED
    assert stage.lines(claim) == ["I began"]


def test_a_job_that_is_stopped_before_its_worker_said_a_word_is_stopped(stage):
    claim = stage.claim()

    def script(peer):
        stage.supervision.stop(Reason.CANCELLED)
        peer.await_stop()
        peer.die(-15)

    def another(peer):
        peer.await_stop()
        peer.end("failed", reason="stopped")

    outcome = stage.supervise(claim, script, another)

    assert outcome.status is Status.CANCELLED


# The cause


@pytest.mark.parametrize(
    ("exit_status", "how", "reason"),
    [
        (None, "was lost", Reason.PROCESS_DIED),
        (1, "ended with code 1; the service's log has its last words", Reason.PROCESS_DIED),
        (SIGKILL, "was killed by SIGKILL", Reason.PROCESS_DIED),
        (SIGABRT, ABORTED, Reason.LIMIT),
        (SIGXCPU, "was killed by SIGXCPU: it used more processor time than its timeout allows", Reason.LIMIT),
        (-50, "was killed by signal 50", Reason.PROCESS_DIED),
    ],
)
def test_a_death_has_a_cause_and_the_job_a_reason(stage, texts_of, exit_status, how, reason):
    claim = stage.claim()

    stage.supervise(claim, lambda peer: dies_in_a_step(peer, exit_status))

    job = stage.job(claim)
    assert cause_of_death(exit_status, 256 << 20) == (how, reason)
    assert (job.status, job.reason) == (Status.FAILED, reason)
    assert texts_of(job) == [f"step 'second': the job's process {how}"]
    assert (job.errors[0]["step"], job.errors[0]["type"]) == ("second", "jq")
    assert job.message == texts_of(job)[0]


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_to_stop_makes_a_sentence(reason):
    assert stop_sentence(reason, 5).endswith(".")
    assert "None" not in stop_sentence(reason, None)


def test_the_step_that_a_worker_died_in_is_stopped_and_its_data_kept(stage):
    claim = stage.claim(data={"who": "Ada"})

    stage.supervise(claim, dies_in_a_step)

    job = stage.job(claim)
    assert [(step.name, step.status) for step in stage.steps(claim)] == [
        ("first", StepStatus.SUCCESS),
        ("second", StepStatus.STOPPED),
    ]
    assert job.result == {
        "__input__": {"who": "Ada"},
        "__job_id__": claim.id,
        "__flow_path__": "f.yml",
        "__timestamp__": "20260315120000",
        "__loop_index__": None,
        "first": {"n": 41},
        "__errors__": job.errors,
    }


def test_a_death_inside_a_sub_flow_is_told_of_the_step_that_called_it(stage, texts_of):
    claim = stage.claim()

    def script(peer):
        peer.start_step(1, "call")
        peer.start_step(2, "inner", parent="call")
        peer.die(SIGKILL)

    stage.supervise(claim, script)

    assert texts_of(stage.job(claim)) == ["step 'call': the job's process was killed by SIGKILL"]


# The finally_step in a fresh worker


def test_a_finally_step_runs_in_a_fresh_worker_over_what_the_finished_steps_left(stage, texts_of):
    claim = stage.claim(has_finally=True, data={"who": "Ada"})
    seen = []

    def script(peer):
        seen.append((peer.message, peer.data))
        tidies(peer)

    stage.supervise(claim, dies_in_a_step, script)

    ((message, data),) = seen
    job = stage.job(claim)
    assert message["finally_only"]
    assert message["first_number"] == 3
    assert message["timeout_seconds"] == stage.tools.grace_seconds
    assert message["errors"] == data["__errors__"] == job.errors
    assert (data["first"], data["__input__"]) == ({"n": 41}, {"who": "Ada"})
    assert (job.status, job.reason, job.result["tidied"]) == (Status.FAILED, Reason.PROCESS_DIED, True)
    assert texts_of(job) == ["step 'second': the job's process was killed by SIGKILL"]
    assert [(step.name, step.is_finally) for step in stage.steps(claim)] == [
        ("first", False),
        ("second", False),
        ("tidy", True),
    ]


def test_a_worker_that_had_to_be_killed_leaves_its_finally_step_to_another(stage):
    claim = stage.claim(has_finally=True, timeout=5)

    def spins(peer):
        peer.start_step(1, "spin")
        peer.pass_by(5)
        peer.clock.pass_by(2.1)
        peer.poke()
        peer.channel.receive()

    stage.supervise(claim, spins, tidies)

    job = stage.job(claim)
    assert (job.status, job.reason, job.result["tidied"]) == (Status.FAILED, Reason.TIMEOUT, True)


@pytest.mark.parametrize(
    ("exit_status", "how"),
    [(SIGKILL, "was killed by SIGKILL"), (SIGABRT, ABORTED)],
)
def test_a_finally_step_that_began_is_not_run_again_and_leaves_its_sentence(stage, exit_status, how):
    claim = stage.claim(has_finally=True)

    def script(peer):
        peer.start_step(1, "work")
        peer.end_step(1)
        peer.start_step(2, "tidy", is_finally=True)
        peer.die(exit_status)

    stage.supervise(claim, script, tidies)

    job = stage.job(claim)
    assert len(stage.workers.taken) == 1
    assert [step.name for step in stage.steps(claim)] == ["work", "tidy"]
    assert job.status is Status.FAILED
    assert job.errors == [{"step": "tidy", "type": "jq", "error": f"the finally_step's process {how}"}]


def test_a_finally_step_whose_worker_dies_while_it_stops_leaves_its_sentence(stage):
    claim = stage.claim(has_finally=True)

    def script(peer):
        peer.start_step(1, "work")
        stage.supervision.stop(Reason.CANCELLED)
        peer.await_stop()
        peer.say_stopping()
        peer.start_step(2, "tidy", is_finally=True)
        peer.die(SIGKILL)

    stage.supervise(claim, script, tidies)

    job = stage.job(claim)
    assert job.status is Status.CANCELLED
    assert [(entry["step"], entry["error"]) for entry in job.errors] == [
        ("work", "The job was cancelled."),
        ("tidy", "the finally_step's process was killed by SIGKILL"),
    ]


def test_the_finally_step_of_a_sub_flow_is_not_the_jobs(stage):
    claim = stage.claim(has_finally=True)

    def script(peer):
        peer.start_step(1, "call")
        peer.start_step(2, "inner tidy", parent="call", is_finally=True)
        peer.die(SIGKILL)

    stage.supervise(claim, script, tidies)

    assert stage.job(claim).result["tidied"] is True


def test_a_finally_step_that_fails_adds_its_error(stage, texts_of):
    claim = stage.claim(has_finally=True)

    def fails(peer):
        errors = [*peer.message["errors"], {"step": "tidy", "type": "file", "error": "no room"}]
        peer.end("failed", reason="step_error", errors=errors, data=peer.data)

    stage.supervise(claim, dies_in_a_step, fails)

    job = stage.job(claim)
    assert texts_of(job) == ["step 'second': the job's process was killed by SIGKILL", "no room"]
    assert (job.status, job.reason) == (Status.FAILED, Reason.PROCESS_DIED)


def test_a_finally_step_whose_worker_dies_is_not_run_again_and_says_so(stage, texts_of):
    claim = stage.claim(has_finally=True)

    def dies_tidying(peer):
        peer.start_step(3, "tidy", is_finally=True)
        peer.die(SIGABRT)

    stage.supervise(claim, dies_in_a_step, dies_tidying, tidies)

    job = stage.job(claim)
    assert len(stage.workers.taken) == 2
    assert texts_of(job)[1] == f"the finally_step's process {ABORTED}"
    assert job.result["first"] == {"n": 41}


def test_a_finally_step_is_killed_at_the_end_of_its_grace(stage, texts_of):
    claim = stage.claim(has_finally=True)

    def hangs(peer):
        peer.start_step(3, "tidy", is_finally=True)
        peer.pass_by(9.9)
        assert peer.worker.kills == []
        peer.clock.pass_by(0.2)
        peer.poke()
        peer.channel.receive()

    stage.supervise(claim, dies_in_a_step, hangs)

    assert len(stage.workers.taken[1].kills) == 1
    assert stage.workers.taken[1].stops == []
    assert texts_of(stage.job(claim))[1] == "the finally_step was stopped: it may take 10 seconds (GRACE_SECONDS)"


def test_an_order_does_not_stop_a_finally_step(stage):
    claim = stage.claim(has_finally=True)

    def goes_on(peer):
        stage.supervision.stop(Reason.CANCELLED)
        peer.settle()
        assert peer.worker.stops == []
        tidies(peer)

    outcome = stage.supervise(claim, dies_in_a_step, goes_on)

    assert json.loads(outcome.result)["tidied"] is True


def test_a_finally_step_for_which_there_is_no_worker_is_an_error_of_the_job(stage, texts_of):
    claim = stage.claim(has_finally=True)

    stage.supervise(claim, dies_in_a_step, Unavailable("No process for a job could be started."))

    job = stage.job(claim)
    assert texts_of(job)[1] == "No process for a job could be started."
    assert (job.reason, job.result["first"]) == (Reason.PROCESS_DIED, {"n": 41})


# Lost jobs


def lost(stage, **options):
    """A job that was in its second step, with a log, when its service died; as its finder claims it."""
    claim = stage.claim(has_finally=True, **options)

    def script(peer):
        peer.log("before")
        peer.start_step(1, "first")
        peer.end_step(1, result_key="first", output="41")
        peer.start_step(2, "second")
        peer.ask("sync")
        stage.lose(claim)
        peer.log("too late")
        peer.ask("sync")

    assert stage.supervise(claim, script) is None
    stage.workers.taken.clear()
    return claim, stage.adopt()


def test_a_lost_job_gets_only_its_finally_step(stage, texts_of):
    claim, adopted = lost(stage, data={"who": "Ada"})
    seen = []

    def script(peer):
        seen.append((peer.message, peer.data))
        peer.log("tidied up")
        tidies(peer)

    stage.supervise(adopted, script)

    ((message, data),) = seen
    job = stage.job(claim)
    assert adopted.reason == Reason.WORKER_LOST
    assert (message["finally_only"], message["first_number"]) == (True, 3)
    assert (data["first"], data["__input__"], data["__timestamp__"]) == (41, {"who": "Ada"}, "20260315120000")
    assert message["errors"] == job.errors
    assert (job.state, job.status, job.reason) == (State.FINISHED, Status.FAILED, Reason.WORKER_LOST)
    assert texts_of(job) == ["The worker that ran this job was lost."]
    assert [(step.number, step.name, step.status) for step in stage.steps(claim)] == [
        (1, "first", StepStatus.SUCCESS),
        (2, "second", StepStatus.STOPPED),
        (3, "tidy", StepStatus.SUCCESS),
    ]
    assert stage.lines(claim) == ["before", "tidied up"]


def test_a_lost_job_that_was_being_cancelled_stays_cancelled(stage, texts_of):
    claim = stage.claim(has_finally=True)
    stage.jobs.cancel(claim.id, stage.clock.now())
    stage.lose(claim)

    stage.supervise(stage.adopt(), tidies)

    job = stage.job(claim)
    assert (job.status, job.reason) == (Status.CANCELLED, Reason.CANCELLED)
    assert texts_of(job) == ["The job was cancelled."]


@pytest.mark.parametrize("verb", ["last_numbers", "step_outputs", "get"])
def test_a_recovery_waits_for_a_busy_database(stage, verb):
    claim, adopted = lost(stage)
    stage.watched.failures[verb] = [BUSY, BUSY]

    stage.supervise(adopted, tidies)

    job = stage.job(claim)
    assert (job.reason, job.result["first"], job.result["tidied"]) == (Reason.WORKER_LOST, 41, True)


def test_a_recovery_that_cannot_read_its_row_leaves_it_to_the_next(stage):
    claim, adopted = lost(stage)
    stage.watched.failures["get"] = [BUSY] * 1000

    assert stage.supervise(adopted) is None
    stage.lose(claim)

    assert stage.adopt().reason == Reason.WORKER_LOST


def test_a_recovery_whose_worker_dies_closes_the_job_all_the_same(stage, texts_of):
    claim, adopted = lost(stage)

    stage.supervise(adopted, *[dies_at_once] * 3)

    job = stage.job(claim)
    assert (job.state, job.reason) == (State.FINISHED, Reason.WORKER_LOST)
    assert texts_of(job) == [
        "The worker that ran this job was lost.",
        "the finally_step's process was killed by SIGKILL",
    ]


def test_a_finally_step_that_dies_hides_no_earlier_error(stage):
    claim = stage.claim(has_finally=True)

    def script(peer):
        peer.start_step(1, "work")
        peer.end_step(1, status=StepStatus.FAILED, error="step 'work': no")
        peer.start_step(2, "tidy", is_finally=True)
        peer.die(SIGKILL)

    stage.supervise(claim, script, tidies)

    job = stage.job(claim)
    assert (job.reason, job.message) == (Reason.STEP_ERROR, "step 'work': no")
    assert [(entry["step"], entry["error"]) for entry in job.errors] == [
        ("work", "step 'work': no"),
        ("tidy", "the finally_step's process was killed by SIGKILL"),
    ]
