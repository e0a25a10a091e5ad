"""The schema for editors: it completes what there is, and refuses nothing that the checker accepts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from any_documents import DOCUMENTS
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from engine.checking import check_flow
from engine.checking.schema import flow_schema
from engine.models.problem import Problem
from engine.reading import read_yaml
from engine.steps import CommonKeys, step_types

SAMPLES = sorted((Path(__file__).resolve().parents[3] / "data" / "flows").glob("*.yml"))
SCHEMA = flow_schema()
VALIDATOR = Draft7Validator(SCHEMA)


def refusals(value: Any) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(value)]


def problems(value: Any) -> list[Problem]:
    found = check_flow("f.yml", yaml.safe_dump(value))[1]
    return [problem for problem in found if problem.severity == "error"]


def flow(**options: Any) -> dict[str, Any]:
    """A flow of one step."""
    return {"steps": [{"name": "it", **options}]}


def test_it_is_a_schema_of_the_draft_that_every_editor_knows() -> None:
    Draft7Validator.check_schema(SCHEMA)

    assert set(_values(SCHEMA, "$ref")) <= {f"#/definitions/{name}" for name in SCHEMA["definitions"]}
    assert not {"$defs", "prefixItems", "unevaluatedProperties", "discriminator", "dependentRequired"} & _keys(SCHEMA)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_every_sample_flow_passes(path: Path) -> None:
    assert refusals(read_yaml(path.read_text())) == []


@pytest.mark.parametrize("kind", step_types())
def test_each_step_type_is_offered_with_its_own_options_and_no_others(kind: str) -> None:
    options = step_types()[kind]
    step = SCHEMA["definitions"][f"step_{kind}"]
    own = (
        SCHEMA["definitions"][step["properties"][kind]["$ref"].rpartition("/")[2]]
        if "$ref" in step["properties"][kind]
        else step["properties"][kind]
    )

    assert kind in SCHEMA["definitions"]["step"]["properties"]["type"]["enum"]
    assert set(step["properties"]) == {*CommonKeys.model_fields, kind}
    assert set(own["properties"]) == set(options.model_fields)
    assert all(each.get("description") for each in own["properties"].values())
    assert step["additionalProperties"] is own["additionalProperties"] is False
    assert refusals(flow(type=kind, **{kind: {"zzz": 1}}))


ACCEPTED = [
    flow(type="debug"),
    flow(type="debug", when="{{ a }}"),
    flow(type="debug", when=[True, "{{ a }}", None, 1.5]),
    flow(type="debug", when=False),
    flow(type="debug", ignore_errors="timeout", jq_expression=None, result_key=None),
    flow(type="debug", ignore_errors=["a", "b.*"]),
    flow(type="rest", rest={"uri": "http://x", "method": "get"}),
    flow(type="rest", rest={"uri": "http://x", "method": "Patch", "headers": '{"a": 1}', "body": [1]}),
    flow(type="rest", rest={"uri": "http://x", "query": {"a": [1, None]}, "authentication": None}),
    flow(type="sleep", sleep={"seconds": 1}),
    flow(type="sleep", sleep={"seconds": 1.5}),
    flow(type="set_fact", set_fact={"value": None}),
    flow(type="switch", switch={"data_key": "x", "cases": [{"when": 200, "step": {"type": "debug"}}]}),
    flow(
        type="switch", switch={"data_key": "x", "cases": [{"when": {"a": 1}, "step": {"name": "n", "type": "debug"}}]}
    ),
    flow(
        type="switch",
        switch={"data_key": "x", "cases": [{"when": "a", "step": {"type": "debug"}}], "default": {"type": "debug"}},
    ),
    flow(type="debug") | {"name": "n", "description": None, "inputs": None, "finally_step": None},
    flow(type="debug") | {"max_concurrent": "unlimited", "finally_step": "it", "cron": 5, "every_seconds": "x"},
    flow(type="debug") | {"max_concurrent": 1000, "inputs": [{"name": "a", "type": "string", "enum": ["x"]}]},
]


@pytest.mark.parametrize("value", ACCEPTED, ids=str)
def test_what_the_checker_accepts_passes(value: dict[str, Any]) -> None:
    assert problems(value) == []
    assert refusals(value) == []


REFUSED = [
    None,
    [],
    {},
    {"steps": []},
    {"step": [], **flow(type="debug")},
    {"name": "", **flow(type="debug")},
    {"name": 1, **flow(type="debug")},
    {"max_concurrent": 0, **flow(type="debug")},
    {"max_concurrent": "many", **flow(type="debug")},
    {"inputs": [{"type": "string"}], **flow(type="debug")},
    {"steps": [{"type": "debug"}]},
    {"steps": [{"name": "a"}]},
    flow(type="debugg"),
    flow(type="debug", rest={}),
    flow(type="sleep"),
    flow(type="sleep", sleep={}),
    flow(type="sleep", sleep={"seconds": [1]}),
    flow(type="flow_loop", flow_loop={"path": "a.yml", "data_key": "x", "max_workers": 0}),
    flow(type="flow_loop", flow_loop={"path": "a.yml", "data_key": "x", "max_workers": "8"}),
    flow(type="file", file={"path": "x", "mode": "delete"}),
    flow(type="rest", rest={"uri": ""}),
    flow(type="switch", switch={"data_key": "x", "cases": []}),
    flow(
        type="switch", switch={"data_key": "x", "cases": [{"when": "a", "step": {"type": "sleep", "sleep": {"s": 1}}}]}
    ),
]


@pytest.mark.parametrize("value", REFUSED, ids=str)
def test_what_is_wrong_by_itself_is_refused_by_both(value: Any) -> None:
    assert refusals(value)
    assert problems(value)


@settings(max_examples=400, deadline=None)
@given(DOCUMENTS | st.sampled_from(ACCEPTED).flatmap(lambda value: st.builds(_with, st.just(value), DOCUMENTS)))
def test_no_document_is_refused_that_the_checker_accepts(value: Any) -> None:
    if refusals(value):
        assert problems(value)


def _with(value: dict[str, Any], change: Any) -> dict[str, Any]:
    """The flow with the keys of something else in its step, and in the flow itself."""
    if not isinstance(change, dict):
        return value
    (step,) = value["steps"]
    return {**value, "steps": [{**step, **{key: each for key, each in change.items() if key != "steps"}}]}


def _values(schema: Any, key: str) -> list[Any]:
    if isinstance(schema, list):
        return [value for each in schema for value in _values(each, key)]
    if not isinstance(schema, dict):
        return []
    return [*([schema[key]] if isinstance(schema.get(key), str) else []), *_values(list(schema.values()), key)]


def _keys(schema: Any) -> set[str]:
    if isinstance(schema, list):
        return {key for each in schema for key in _keys(each)}
    return {*schema, *_keys(list(schema.values()))} if isinstance(schema, dict) else set()
