"""What a flow's steps see: `_data`, the launch's input under it, and the run's own names."""

from __future__ import annotations

import json
import re

import pytest

from engine.runner import FlowEnd

DEEP = "reduce range(3000) as $i (0; [.])"


def test_data_begins_with_what_the_run_knows(run):
    ran = run("steps: [{name: nothing, type: debug, debug: {}}]", {"foo": "bar"})

    assert ran.data == {
        "__input__": {"foo": "bar"},
        "__job_id__": "job-1",
        "__flow_path__": "main.yml",
        "__timestamp__": "20240523120000",
        "__loop_index__": None,
        "__errors__": [],
    }
    assert ran.status == "success"


def test_a_value_goes_under_the_result_key_and_else_under_the_steps_name(run):
    ran = run(
        """
        steps:
          - {name: named, type: set_fact, result_key: kept, set_fact: {value: 1}}
          - {name: un named, type: set_fact, set_fact: {value: 2}}
        """
    )

    assert ran.stored == {"kept": 1, "un named": 2}


def test_a_later_step_sees_what_an_earlier_one_stored(run):
    ran = run(
        """
        steps:
          - {name: n, type: set_fact, set_fact: {value: 20}}
          - {name: m, type: set_fact, set_fact: {value: "{{ n + 1 }}"}}
          - {name: o, type: jq, jq: {expression: .m * 2}}
        """
    )

    assert ran.stored == {"n": 20, "m": 21, "o": 42}


@pytest.mark.parametrize(
    "step",
    [
        'type: set_fact, set_fact: {value: "{{ foo }}"}',
        'type: jinja, jinja: {template: "{{ foo }}"}',
        "type: jq, jq: {expression: .foo}",
        "type: jq, jq: {expression: ., data_key: foo}",
        "type: jinja, jinja: {template: '{{ data }}', data_key: foo}",
    ],
)
def test_the_keys_of_the_input_are_names_too(run, step):
    ran = run(f"steps: [{{name: seen, {step}}}]", {"foo": "bar"})

    assert ran.stored == {"seen": "bar"}


def test_what_a_step_stored_wins_over_the_input(run):
    ran = run(
        """
        steps:
          - {name: foo, type: set_fact, set_fact: {value: mine}}
          - {name: jinja, type: set_fact, set_fact: {value: "{{ foo }} of {{ __input__.foo }}"}}
          - {name: jq, type: jq, jq: {expression: .foo}}
          - {name: key, type: jq, jq: {expression: ., data_key: foo}}
        """,
        {"foo": "given"},
    )

    assert (ran.data["jinja"], ran.data["jq"], ran.data["key"]) == ("mine of given", "mine", "mine")


@pytest.mark.parametrize("input", [["foo"], "foo", 7, None])
def test_an_input_that_is_no_object_is_seen_whole_and_lends_no_names(run, input):
    ran = run("steps: [{name: seen, type: jq, jq: {expression: .__input__}}]", input)
    missing = run("steps: [{name: seen, type: set_fact, set_fact: {value: '{{ foo }}'}}]", input)

    assert ran.data["seen"] == input
    assert "'foo' is not defined" in missing.error


@pytest.mark.parametrize(
    ("data_key", "value"),
    [
        ("tickets.items.1.id", 8),
        ("tickets.items.0", {"id": 7}),
        ("a.b", "exact"),
        ("a.c", "dotted"),
        ("from_input.deep", "down"),
        ("__input__.from_input", {"deep": "down"}),
        ("tickets.items", [{"id": 7}, {"id": 8}]),
    ],
)
def test_a_data_key_is_exact_or_a_dotted_path(run, data_key, value):
    ran = run(
        f"""
        steps:
          - {{name: tickets, type: set_fact, set_fact: {{value: {{items: [{{id: 7}}, {{id: 8}}]}}}}}}
          - {{name: a, type: set_fact, set_fact: {{value: {{b: dotted, c: dotted}}}}}}
          - {{name: a.b, type: set_fact, set_fact: {{value: exact}}}}
          - {{name: found, type: jq, jq: {{expression: ., data_key: {data_key}}}}}
        """,
        {"from_input": {"deep": "down"}},
    )

    assert ran.data["found"] == value


def test_a_dot_is_the_whole_of_data(run):
    ran = run(
        """
        steps:
          - {name: one, type: set_fact, set_fact: {value: 1}}
          - {name: keys, type: jq, jq: {expression: keys_unsorted, data_key: .}}
        """,
        {"foo": "bar"},
    )

    assert ran.data["keys"] == [
        "__input__", "__job_id__", "__flow_path__", "__timestamp__", "__loop_index__", "__errors__", "one",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("data_key", "there"),
    [
        ("tickes", r"\(there are: __input__, .*, tickets, foo\)"),
        ("", r"\(there are: .*, tickets, foo\)"),
        ("tickets.1", "'tickets' is a list of 1"),
        ("tickets.x", "'tickets' is a list of 1"),
        ("tickets.-1", "'tickets' is a list of 1"),
        ("tickets.0.name", "'tickets.0' is an object with id"),
        ("tickets.0.id.deeper", "'tickets.0.id' is 7"),
        ("foo.bar", "'foo' is a text"),
    ],
)
def test_a_data_key_that_is_not_there_is_an_error_that_names_what_is(run, data_key, there):
    ran = run(
        f"""
        steps:
          - {{name: tickets, type: set_fact, set_fact: {{value: [{{id: 7}}]}}}}
          - {{name: look, type: jq, jq: {{expression: ., data_key: {json.dumps(data_key)}}}}}
        """,
        {"foo": "bar"},
    )

    assert ran.status == "failed"
    assert re.fullmatch(f"step 'look': data_key {data_key!r} is not there:? {there}", ran.error)


def test_a_jq_expression_is_applied_before_the_value_is_stored(run):
    ran = run("steps: [{name: v, type: set_fact, set_fact: {value: {a: 1}}, jq_expression: .a + 1}]")

    assert ran.stored == {"v": 2}


@pytest.mark.parametrize(("expression", "value"), [(".[0]", 1), ("empty", None), (".[]", [1, 2]), (".[:1]", [1])])
def test_a_jq_expression_gives_one_value_none_or_a_list_of_several(run, expression, value):
    ran = run(f"steps: [{{name: v, type: set_fact, set_fact: {{value: [1, 2]}}, jq_expression: '{expression}'}}]")

    assert ran.stored == {"v": value}


def test_a_jq_expression_that_fails_is_the_steps_error_and_nothing_is_stored(run):
    ran = run("steps: [{name: v, type: set_fact, set_fact: {value: [1]}, jq_expression: .a}]")

    assert ran.error.startswith("step 'v': ")
    assert ran.stored == {}


def test_a_step_without_a_value_stores_nothing_whatever_its_jq_expression_says(run):
    ran = run("steps: [{name: v, type: sleep, sleep: {seconds: 0}, jq_expression: '1'}]")

    assert (ran.status, ran.stored) == ("success", {})
    assert ran.step("v").ended.output is None


def test_null_is_a_value(run):
    ran = run("steps: [{name: v, type: set_fact, set_fact: {value: null}}]")

    assert ran.stored == {"v": None}
    assert ran.step("v").ended.output == "null"


def test_dates_and_keys_of_yaml_files_become_json(run, data_path):
    (data_path / "in.yml").write_text("day: 2024-05-23\n1: one\n")

    ran = run("steps: [{name: v, type: file, file: {path: in.yml}}]")

    assert ran.stored == {"v": {"day": "2024-05-23", "1": "one"}}


@pytest.mark.parametrize("text", [".nan", ".inf", "-.inf"])
def test_nan_and_infinity_are_refused(run, data_path, text):
    (data_path / "in.yml").write_text(f"n: {text}\n")

    ran = run("steps: [{name: v, type: file, file: {path: in.yml}}]")

    assert ran.status == "failed"
    assert "in.yml" in ran.error


def test_a_value_that_json_text_cannot_hold_is_the_steps_error(run):
    ran = run(f"steps: [{{name: v, type: jq, jq: {{expression: '{DEEP}'}}}}, {{name: next, type: debug, debug: {{}}}}]")

    assert ran.status == "failed"
    assert "nested too deeply" in ran.error or "not JSON" in ran.error
    assert ran.course == [("v", "failed")]


def test_the_same_timestamp_is_seen_everywhere(run):
    ran = run(
        """
        steps:
          - {name: here, type: set_fact, set_fact: {value: "{{ __timestamp__ }}"}}
          - {name: sub, type: flow, flow: {path: sub.yml}}
          - {name: items, type: set_fact, set_fact: {value: [1, 2]}}
          - {name: loop, type: flow_loop, flow_loop: {path: sub.yml, data_key: items}}
        """,
        flows={"sub.yml": "steps: [{name: there, type: set_fact, set_fact: {value: '{{ __timestamp__ }}'}}]"},
    )

    seen = [ran.data["here"], ran.data["sub"]["there"], *(item["there"] for item in ran.data["loop"])]
    assert seen == ["20240523120000"] * 4


def test_the_job_id_and_the_path_of_the_flow_are_seen_in_a_sub_flow(run):
    ran = run(
        "steps: [{name: sub, type: flow, flow: {path: sub.yml}}]",
        flows={"sub.yml": "steps: [{name: who, type: jq, jq: {expression: '[.__job_id__, .__flow_path__]'}}]"},
    )

    assert ran.data["sub"]["who"] == ["job-1", "sub.yml"]


def test_the_loop_index_counts_from_one_and_is_null_elsewhere(run):
    ran = run(
        """
        steps:
          - {name: here, type: set_fact, set_fact: {value: "{{ __loop_index__ }}"}}
          - {name: sub, type: flow, flow: {path: sub.yml}}
          - {name: loop, type: flow_loop, flow_loop: {path: sub.yml, data_key: __input__}}
        """,
        ["a", "b", "c"],
        flows={"sub.yml": "steps: [{name: index, type: jq, jq: {expression: .__loop_index__}}]"},
    )

    assert (ran.data["here"], ran.data["sub"]["index"]) == (None, None)
    assert [item["index"] for item in ran.data["loop"]] == [1, 2, 3]


def test_templates_are_those_of_the_launch_and_may_name_their_folder(run):
    ran = run(
        """
        steps:
          - {name: a, type: jinja, jinja: {path: templates/greet.j2}}
          - {name: b, type: jinja, jinja: {path: greet.j2, data_key: __input__}}
        """,
        {"name": "you"},
        templates={"greet.j2": "Hello {{ name }}"},
    )

    assert ran.stored == {"a": "Hello you", "b": "Hello you"}


def test_files_are_written_and_added_to_below_the_data_folder(run, data_path):
    ran = run(
        """
        steps:
          - {name: a, type: set_fact, set_fact: {value: [1, 2]}}
          - {name: write, type: file, file: {path: "out/{{ __timestamp__ }}.json", mode: write, data_key: a}}
          - {name: append, type: file, file: {path: log.json, mode: append, data_key: a}}
          - {name: outside, type: file, ignore_errors: ".", file: {path: ../out.json, mode: write, data_key: a}}
        """
    )

    assert json.loads((data_path / "out" / "20240523120000.json").read_text()) == [1, 2]
    assert (data_path / "log.json").read_text() == "1\n2\n"
    assert ran.data["append"] == {"path": "log.json", "bytes": 4}
    assert ran.course[-1] == ("outside", "ignored")
    assert not (data_path.parent / "out.json").exists()


def test_data_too_deep_for_a_file_is_the_steps_error(run):
    ran = run(
        "steps: [{name: sub, type: flow, flow: {path: sub.yml}}]",
        flows={
            "sub.yml": f"""
                steps:
                  - {{name: deep, type: jq, jq: {{expression: '{DEEP}'}}}}
                  - {{name: write, type: file, file: {{path: out.json, mode: write, data_key: deep}}}}
                """
        },
    )

    assert ran.step("write").ended.error == "step 'write': the data is nested too deeply"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"not": {"json"}}])
def test_a_result_that_cannot_be_written_fails_the_job_and_its_process_is_not_used_again(value):
    end = FlowEnd(errors=[{"error": "first"}]).with_data({"a": value}, unclean=False)

    assert (end.status, end.reason, end.data_json, end.unclean) == ("failed", "limit", b"{}", True)
    assert [entry["error"].split(":")[0] for entry in end.errors] == ["first", "The result could not be written"]
