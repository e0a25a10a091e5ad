"""What a job did is on disk, in order and once."""

from __future__ import annotations

import pytest

from engine.errors import JobNotFound
from engine.models.job import LogLine, Outcome, Reason, State, Status, StepStatus
from engine.store.recording import fold


def test_a_step_that_begins_and_ends_in_one_batch_is_one_row(bench):
    batch = fold("j", [bench.began(1), bench.ended(1, output="1"), bench.ended(2), bench.began(3)])

    assert [(row["number"], row["status"]) for row in batch.begun] == [(1, "success"), (3, "running")]
    assert [row["step"] for row in batch.ended] == [2]


def test_steps_are_kept_with_all_they_say(bench, jobs):
    claim = bench.start()
    started = bench.now
    bench.record(claim, bench.began(1), bench.began(2, parent="step 1", is_finally=True, type="rest"))
    bench.later(2)
    bench.record(claim, bench.ended(2, status=StepStatus.FAILED, error="no\0 \udc80 ü"))
    bench.record(claim, bench.ended(1, result_key="r", output='{"é": "\\ud800", "b": "\udc80"}'))

    first, second = jobs.get_with_steps(claim.id)[1]

    assert (first.number, first.name, first.type, first.status) == (1, "step 1", "jq", StepStatus.SUCCESS)
    assert (first.result_key, first.output, first.error) == ("r", {"é": "\ud800", "b": "\udc80"}, None)
    assert (first.start_time, first.end_time, first.parent, first.is_finally) == (started, bench.now, None, False)
    assert (second.status, second.error) == (StepStatus.FAILED, "no� � ü")
    assert (second.parent, second.is_finally, second.output) == ("step 1", True, None)


def test_outputs_are_those_of_the_flow_itself_in_the_order_of_its_steps(bench, jobs):
    claim = bench.start()
    bench.record(claim, bench.began(1), bench.ended(1, result_key="a", output="null"))
    bench.record(claim, bench.began(2), bench.began(3, parent="step 2"))
    bench.record(claim, bench.ended(3, result_key="inner", output="3"), bench.ended(2, result_key="b", output="[2]"))
    bench.record(claim, bench.began(4), bench.ended(4, status=StepStatus.SKIPPED), bench.began(5))
    bench.record(claim, bench.began(6), bench.ended(6, status=StepStatus.IGNORED, result_key="a", output='{"x":1}'))

    assert jobs.step_outputs(claim.id) == [("a", None), ("b", [2]), ("a", {"x": 1})]
    assert jobs.last_numbers(claim.id) == (6, 0)


def test_log_lines_are_numbered_on(bench, jobs):
    claim = bench.start()
    lines = [LogLine(bench.now, "info", f"line {n}", step="s" if n % 2 else None) for n in range(1, 6)]
    bench.record(claim, *lines[:2])
    bench.record(claim, *lines[2:])

    assert jobs.last_numbers(claim.id) == (0, 5)
    assert jobs.logs(claim.id, 0, 2) == (lines[:2], 2)
    assert jobs.logs(claim.id, 2, 2) == (lines[2:4], 4)
    assert jobs.logs(claim.id, 4, 2) == (lines[4:], 5)


def test_the_log_of_a_running_job_may_go_on_and_that_of_a_finished_one_ends(bench, jobs):
    claim = bench.start()
    assert jobs.logs(claim.id, 0, 10) == ([], 0)

    line = LogLine(bench.now, "info", "bye")
    bench.finish(claim, None, line)

    assert jobs.logs(claim.id, 0, 10) == ([line], None)
    assert jobs.logs(claim.id, 0, 1) == ([line], 1)
    assert jobs.logs(claim.id, 1, 1) == ([], None)
    with pytest.raises(JobNotFound):
        jobs.logs("nobody", 0, 10)


def test_a_batch_that_is_written_again_is_there_once(bench, jobs):
    claim = bench.start()
    events = [bench.began(1), LogLine(bench.now, "info", "hello"), bench.ended(1, output="1"), bench.began(2)]

    assert bench.record(claim, *events, first_line=1)
    assert bench.record(claim, *events, first_line=1)

    assert [step.number for step in jobs.get_with_steps(claim.id)[1]] == [1, 2]
    assert len(jobs.logs(claim.id, 0, 10)[0]) == 1


def test_a_beginning_that_may_be_there_already_does_not_hide_the_end(bench, jobs):
    claim = bench.start()
    begun = bench.began(1)
    bench.record(claim, begun, first_line=1)

    key = (claim.id, claim.owner, claim.epoch)
    grown = [begun, bench.ended(1, result_key="r", output="1"), bench.began(2), bench.ended(2)]
    assert jobs.record(*key, grown, first_line=1, again=True)

    first, second = jobs.get_with_steps(claim.id)[1]
    assert (first.status, first.result_key, first.output) == (StepStatus.SUCCESS, "r", 1)
    assert second.status is StepStatus.SUCCESS


def test_a_doubtful_beginning_is_ended_by_the_finish(bench, jobs):
    claim = bench.start()
    begun = bench.began(1)
    bench.record(claim, begun, first_line=1)

    grown = [begun, bench.ended(1, output="1")]
    key = (claim.id, claim.owner, claim.epoch)
    assert jobs.finish(*key, Outcome(Status.SUCCESS), grown, bench.now, first_line=1, again=True).is_ours

    (step,) = jobs.get_with_steps(claim.id)[1]
    assert (step.status, step.output) == (StepStatus.SUCCESS, 1)


def test_events_are_taken_from_a_job_that_is_stopping(bench, jobs):
    claim = bench.start()
    jobs.cancel(claim.id, bench.now)

    assert bench.record(claim, bench.began(1, is_finally=True))
    assert len(jobs.get_with_steps(claim.id)[1]) == 1


def test_an_empty_batch_still_tells_whether_the_job_is_ours(bench):
    claim = bench.start()
    assert bench.record(claim)

    bench.finish(claim)

    assert not bench.record(claim)


def test_a_finish_writes_the_last_events_and_the_end_together(bench, jobs):
    claim = bench.start()
    bench.record(claim, bench.began(1))
    bench.later(3)
    errors = [{"step": "step 2", "type": "jq", "error": "no"}]
    outcome = Outcome(Status.FAILED, Reason.STEP_ERROR, "step 2 failed", errors, '{"a":"ü"}')

    assert bench.finish(claim, outcome, bench.ended(1), bench.began(2))

    job = jobs.get(claim.id)
    assert (job.state, job.status, job.reason, job.message) == ("finished", "failed", "step_error", "step 2 failed")
    assert (job.errors, job.result, job.end_time) == (errors, {"a": "ü"}, bench.now)
    assert [step.status for step in jobs.get_with_steps(claim.id)[1]] == [StepStatus.SUCCESS, StepStatus.STOPPED]
    assert all(step.end_time == bench.now for step in jobs.get_with_steps(claim.id)[1])


def test_a_late_finish_is_refused_and_writes_nothing(bench, jobs):
    claim = bench.start(slots=1)
    jobs.sweep(bench.later(31), [])
    swept = jobs.get(claim.id)

    assert not bench.finish(claim, Outcome(Status.SUCCESS), bench.began(1))

    assert jobs.get(claim.id) == swept
    assert jobs.get_with_steps(claim.id)[1] == []


def test_a_stopping_job_ends_as_its_owner_says(bench, jobs):
    claim = bench.start()
    jobs.cancel(claim.id, bench.now)

    assert bench.finish(claim, Outcome(Status.CANCELLED, Reason.CANCELLED))
    assert jobs.get(claim.id).state is State.FINISHED
    assert jobs.stopping("owner-1") == []


def test_a_result_of_ten_megabytes_comes_back_whole(bench, jobs):
    claim = bench.start()

    bench.finish(claim, Outcome(Status.SUCCESS, result='"' + "x" * 10_000_000 + '"'))

    assert len(jobs.get(claim.id).result) == 10_000_000
