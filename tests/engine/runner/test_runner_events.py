"""What a run tells its host, in which order, and what must be on disk before a step acts."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from engine.models.job import LogLine, StepEnded, StepStarted, StepStatus


def brief(told):
    match told:
        case StepStarted():
            return f"start {told.name}"
        case StepEnded():
            return f"end {told.number}"
        case LogLine():
            return f"log {told.message}"
    return told


def test_every_step_is_told_of_before_it_begins_and_after_it_ends(run):
    ran = run("steps: [{name: a, type: set_fact, set_fact: {value: 1}}, {name: b, type: debug, debug: {data_key: a}}]")

    noon = datetime(2024, 5, 23, 12, 0, tzinfo=UTC)
    assert ran.host.told == [
        StepStarted(1, "a", "set_fact", noon),
        StepEnded(1, StepStatus.SUCCESS, noon, result_key="a", output="1"),
        StepStarted(2, "b", "debug", noon),
        LogLine(noon, "info", "1", "b"),
        StepEnded(2, StepStatus.SUCCESS, noon),
    ]


def test_an_output_is_compact_json_text_with_the_key_it_was_stored_under(run):
    value = {"é": [1, None, True], "b": "x\n"}

    ran = run([{"name": "a", "type": "set_fact", "result_key": "kept", "set_fact": {"value": value}}])

    ended = ran.step("a").ended
    assert ended.result_key == "kept"
    assert ended.output == json.dumps(value, separators=(",", ":"))


def test_the_beginnings_of_top_level_steps_are_urgent_and_those_of_sub_flows_are_not(run):
    ran = run(
        "steps: [{name: a, type: flow, flow: {path: sub.yml}}, {name: b, type: debug, debug: {}, when: 'no'}]",
        flows={"sub.yml": "steps: [{name: inner, type: debug, debug: {}}]"},
    )

    assert [event.name for event in ran.host.urgent if isinstance(event, StepStarted)] == ["a", "b"]


def test_warnings_are_urgent_and_other_lines_are_not(run):
    rest = {"uri": "https://127.0.0.1:9/", "verify": False, "timeout_seconds": 1}

    ran = run(
        [
            {"name": "say", "type": "debug", "debug": {}},
            {"name": "call", "type": "rest", "ignore_errors": ".*", "rest": rest},
        ]
    )

    assert [line.level for line in ran.host.logged] == ["info", "warning"]
    assert [event.level for event in ran.host.urgent if isinstance(event, LogLine)] == ["warning"]
    assert ran.host.logged[1].step == "call"


def test_the_beginning_of_a_step_that_acts_is_on_disk_before_it_acts(run):
    ran = run(
        """
        steps:
          - {name: a, type: set_fact, set_fact: {value: 1}}
          - {name: read, type: file, ignore_errors: ".*", file: {path: out.json}}
          - {name: write, type: file, file: {path: out.json, mode: write, data_key: a}}
        """
    )

    assert [brief(told) for told in ran.host.told] == [
        "start a",
        "end 1",
        "start read",
        "end 2",
        "start write",
        "sync",
        "end 3",
    ]


def test_a_step_that_acts_inside_a_sub_flow_or_a_switch_is_on_disk_too(run):
    write = "{name: write, type: file, file: {path: out.json, mode: write, data_key: __job_id__}}"

    ran = run(
        f"""
        steps:
          - {{name: sub, type: flow, flow: {{path: sub.yml}}}}
          - {{name: sw, type: switch, switch: {{data_key: __job_id__, cases: [{{when: ".*", step: {write}}}]}}}}
        """,
        flows={"sub.yml": f"steps: [{write}]"},
    )

    told = [brief(told) for told in ran.host.told]
    assert told[:3] == ["start sub", "start write", "sync"]
    assert told[told.index("start sw") + 1] == "sync"


def test_a_step_that_acts_waits_for_the_disk_as_long_as_it_knows_of_no_step_even_if_it_is_not_recorded(run):
    flow = "steps: [{name: sub, type: flow, flow: {path: sub.yml}}]"
    write = "{name: %s, type: file, file: {path: out.json, mode: write, data_key: __job_id__}}"

    ran = run(flow, flows={"sub.yml": f"steps: [{write % 'one'}, {write % 'two'}]"}, max_recorded_steps=0)

    assert [brief(told) for told in ran.host.told] == ["start sub", "sync", "end 1"]


def test_a_skipped_step_waits_for_no_disk(run):
    ran = run("steps: [{name: w, type: file, when: 'no', file: {path: o.json, mode: write, data_key: .}}]")

    assert [brief(told) for told in ran.host.told] == ["start w", "end 1"]


def test_the_beginning_of_the_finally_step_is_on_disk_before_it_runs(run):
    ran = run(
        "finally_step: b\nsteps: [{name: a, type: debug, debug: {}}, {name: b, type: set_fact, set_fact: {value: 1}}]"
    )

    assert [brief(told) for told in ran.host.told][-3:] == ["start b", "sync", "end 2"]


def test_a_secret_is_asked_for_by_name_after_the_beginning_is_on_disk(run, host):
    host.secrets = {"key": {"type": "token", "token": "t-o-k-e-n"}}
    rest = {"uri": "http://127.0.0.1:9/", "timeout_seconds": 1, "authentication": {"type": "token", "secret": "key"}}

    ran = run([{"name": "call", "type": "rest", "rest": rest}], host=host)

    assert [brief(told) for told in host.told] == ["start call", "sync", "secret key", "end 1"]
    assert b"t-o-k-e-n" not in ran.end.data_json
    assert "t-o-k-e-n" not in ran.error


def test_a_failed_step_is_told_of_with_its_error_before_the_finally_step_begins(run):
    ran = run(
        "finally_step: b\n"
        "steps: [{name: a, type: set_fact, set_fact: {value: '{{ no }}'}}, {name: b, type: debug, debug: {}}]"
    )

    assert [brief(told) for told in ran.host.told][:3] == ["start a", "end 1", "start b"]
    assert ran.step("a").ended.error == ran.error


def test_numbers_count_step_runs_from_the_one_that_the_message_names(run):
    ran = run(
        "steps: [{name: a, type: debug, debug: {}}, {name: b, type: debug, debug: {}, when: 'no'}, "
        "{name: c, type: debug, debug: {}}]",
        members={"first_number": 5},
    )

    assert [step.started.number for step in ran.steps] == [5, 6, 7]


def test_the_result_is_compact_json_of_the_data(run):
    ran = run("steps: [{name: a, type: set_fact, set_fact: {value: [1, 2]}}]", {"foo": 1})

    assert ran.end.data_json == json.dumps(ran.data, separators=(",", ":")).encode()
