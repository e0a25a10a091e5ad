"""The shape of a flow as JSON Schema, for editors: made of the step types, and never stricter than the checker.

It keeps to what Draft 7 knows, which every editor understands. A step is a `type`, and for each type there is an `if`
with that type's own keys in its `then`: so an editor completes the options of just this step, and what it says of a
mistake is about this step and not about all the others it could have been.
"""

from __future__ import annotations

from typing import Any

from engine.models.input_schema import schema_of_declarations
from engine.steps import STEP_HERE, CommonKeys, step_models

Schema = dict[str, Any]

DIALECT = "http://json-schema.org/draft-07/schema#"
PLACE = "#/definitions/{model}"


def flow_schema() -> Schema:
    """The schema of a flow document."""
    steps = {name: _of_model(model) for name, model in step_models().items()}
    definitions = {name: inner for schema in steps.values() for name, inner in schema.pop("definitions", {}).items()}
    definitions |= {f"step_{name}": schema for name, schema in steps.items()}
    common = _of_model(CommonKeys)["properties"] | {
        "type": {"enum": list(steps), "description": "The step's type, and the key of its options."}
    }
    any_step: Schema = {
        "type": "object",
        "properties": common,
        "allOf": [_when_of_type(name) for name in steps],
    }
    return {
        "$schema": DIALECT,
        "title": "An Octoflow flow",
        "type": "object",
        "required": ["steps"],
        "additionalProperties": False,
        "properties": _of_flow(),
        "definitions": {
            "step": {"required": ["name", "type"], **any_step},
            "step_inside": {"required": ["type"], **any_step},
            **definitions,
        },
    }


def _of_flow() -> Schema:
    return {
        "name": {
            "type": "string",
            "minLength": 1,
            "description": "What the flow is called; its file's name if absent.",
        },
        "description": {"type": ["string", "null"], "description": "For readers: lists of documents show it."},
        "inputs": schema_of_declarations(),
        "max_concurrent": {
            "anyOf": [{"type": "integer", "minimum": 1, "maximum": 1000}, {"const": "unlimited"}],
            "default": 1,
            "description": "How many jobs of it may run at the same time, or `unlimited`.",
        },
        "steps": {
            "type": "array",
            "minItems": 1,
            "items": {"$ref": PLACE.format(model="step")},
            "description": "Run from the first to the last, but for `goto` and errors.",
        },
        "finally_step": {
            "type": ["string", "null"],
            "description": "The name of the step that is run at the end, however the flow ended.",
        },
        "cron": {
            "description": "When the flow is run: five fields such as `0 6 * * mon-fri`, or a word such as `@hourly`. "
            "By itself it schedules nothing: `autostart` in config.yml and `/api/flows/add` take it where they "
            "are given no times."
        },
        "every_seconds": {
            "description": "How many seconds there are from one run to the next: taken as `cron` is, in place of it."
        },
    }


def _when_of_type(name: str) -> Schema:
    return {
        "if": {"required": ["type"], "properties": {"type": {"const": name}}},
        "then": {"$ref": PLACE.format(model=f"step_{name}")},
    }


def _of_model(model: Any) -> Schema:
    made: Schema = _plain(model.model_json_schema(ref_template=PLACE))
    made["definitions"] = made.pop("$defs", {})
    made["required"] = [name for name in made["required"] if name != "name"]
    return made


def _plain(schema: Any) -> Any:
    """The schema as editors take it: no titles that repeat a name, and a step where the options hold one."""
    if isinstance(schema, list):
        return [_plain(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("format") == STEP_HERE:
        also = {name: schema[name] for name in ("description",) if name in schema}
        return {"allOf": [{"$ref": PLACE.format(model="step_inside")}], **also}
    # `title` and `format` are names that an option may have, and then they lead to a schema.
    dropped = {"title": str, "format": str}
    return {name: _plain(each) for name, each in schema.items() if not isinstance(each, dropped.get(name, ()))}
