"""The examples of the first description of the flow language, and what all types have in common."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from engine.steps import step_reader, step_types

EXAMPLES = """
- {name: sleep before processing, type: sleep, sleep: {seconds: 5}}
- {name: exit early, type: exit, result_key: exit_info, exit: {message: No data.}, when: ["tickets | length == 0"]}
- name: fetch open tickets
  type: rest
  result_key: tickets
  rest:
    uri: https://dev.service-now.com/api/now/table/ticket
    query: {status: open, limit: 10}
    authentication: {type: basic, secret: snow_credential}
  jq_expression: '.result | map(select(.priority == "high"))'
- name: create ticket
  type: rest
  rest:
    uri: https://dev.service-now.com/api/now/table/ticket
    method: POST
    headers: {Content-Type: application/json}
    body: |
      {"short_description": "{{ issue_summary }}"}
- {name: post data, type: rest, rest: {uri: "https://x/{{ id }}", method: post, data_key: ticket_data}}
- {name: render summary, type: jinja, jinja: {path: templates/summary.j2, data_key: tickets}, result_key: summary}
- {name: filter tickets, type: jq, jq: {expression: '.tickets[] | select(.priority == "high")'}}
- {name: process ticket, type: flow, result_key: ticket_result, flow: {path: process_ticket.yml, data_key: ticket}}
- {name: process tickets, type: flow_loop, flow_loop: {path: process_ticket.yml, data_key: tickets_list}}
- name: merge custom fields
  type: jira_names_merge
  jira_names_merge: {data_key: tickets_raw, list_key: issues}
  jq_expression: "[.[] | {id:.id, key:.key, self:.self}]"
- {name: debug ticket data, type: debug, debug: {data_key: ticket_data}}
- {name: debug all, type: debug}
- {name: read input file, type: file, file: {path: input/data.json, mode: read, type: json}}
- {name: write, type: file, file: {path: "output/{{ __timestamp__ }}.yml", mode: write, type: yaml, data_key: "."}}
- {name: fact, type: set_fact, set_fact: {value: {count: "{{ tickets | length }}"}}}
- {name: again, type: goto, goto: {step_name: fact}, when: "count < 3"}
- name: by priority
  type: switch
  switch:
    data_key: priority
    cases: [{when: "P[12]", step: {type: exit, exit: {message: urgent}}}]
    default: {type: sleep, sleep: {seconds: 0}}
"""


@pytest.mark.parametrize("example", yaml.safe_load(EXAMPLES), ids=lambda example: example["name"])
def test_the_examples_are_valid(example: dict[str, Any]) -> None:
    spec = step_reader().validate_python(example).spec()

    assert spec.type == example["type"]


def test_every_type_has_an_example() -> None:
    assert {example["type"] for example in yaml.safe_load(EXAMPLES)} == set(step_types())


def test_only_what_reaches_outside_acts() -> None:
    specs = [step_reader().validate_python(example).spec() for example in yaml.safe_load(EXAMPLES)]

    assert {spec.name for spec in specs if spec.options.acts} == {
        "fetch open tickets",
        "create ticket",
        "post data",
        "write",
    }


@pytest.mark.parametrize("kind", list(step_types()))
def test_every_option_is_described(kind: str) -> None:
    schema = step_types()[kind].model_json_schema()

    assert schema["description"]
    assert [name for name, option in schema["properties"].items() if not option.get("description")] == []


@pytest.mark.parametrize("example", yaml.safe_load(EXAMPLES), ids=lambda example: example["name"])
def test_an_unknown_option_is_refused(example: dict[str, Any]) -> None:
    wrong = {**example, example["type"]: {**example.get(example["type"], {}), "typo": 1}}

    with pytest.raises(ValidationError, match="typo"):
        step_reader().validate_python(wrong)
