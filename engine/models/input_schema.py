"""JSON Schema of inputs: of the values that a flow takes, and of the declarations in its document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.models.inputs import (
    LONGEST_MATCHED,
    LONGEST_SECRET,
    MAX_INPUTS,
    MAX_PATTERN,
    NAME,
    SHORTEST_SECRET,
    Input,
    Kind,
)

Schema = dict[str, Any]

HIDEABLE: list[Schema] = [{"pattern": r"\S[\s\S]{2,}\S"}, {"pattern": r"[^*\s]"}]


def schema_of_values(inputs: Sequence[Input]) -> Schema:
    """The object that a launch takes: what this accepts is accepted, and nothing else."""
    schema: Schema = {
        "type": "object",
        "properties": {each.name: schema_of(each) for each in inputs},
        "additionalProperties": False,
    }
    if required := [each.name for each in inputs if each.is_required]:
        schema["required"] = required
    return schema


def schema_of(input: Input) -> Schema:
    """One value."""
    schema: Schema = {"type": str(input.kind)}
    if input.description:
        schema["description"] = input.description
    if input.has_default:
        schema["default"] = input.default
    if input.enum:
        schema["enum"] = list(input.enum)
    if input.pattern is not None:
        schema |= {"pattern": input.pattern, "maxLength": LONGEST_MATCHED}
    if input.is_secret:
        schema |= {"format": "password", "writeOnly": True, "minLength": SHORTEST_SECRET, "allOf": HIDEABLE}
        schema["maxLength"] = LONGEST_SECRET
    return schema


def schema_of_declarations() -> Schema:
    """The value of `inputs` in a flow's document, for editors."""
    return {
        "type": ["array", "null"],
        "maxItems": MAX_INPUTS,
        "description": "What the flow is given. Launches are checked against it, and may give nothing else.",
        "items": {
            "type": "object",
            "required": ["name"],
            "additionalProperties": False,
            "properties": _properties(),
        },
    }


def _properties() -> Schema:
    return {
        "name": {"type": "string", "pattern": NAME, "description": "Its key in `__input__`."},
        "type": {"enum": [str(kind) for kind in Kind], "default": "string", "description": "What a value has to be."},
        "description": {"type": ["string", "null"], "description": "What it is for."},
        "default": {"description": "The value where a launch gives none."},
        "required": {
            "type": "boolean",
            "description": "Whether a launch must give it; by default, when there is no default.",
        },
        "enum": {"type": "array", "minItems": 1, "description": "The only values there are."},
        "pattern": {
            "type": "string",
            "maxLength": MAX_PATTERN,
            "description": "A regular expression that is found in the text; `^` and `$` hold it to all of it.",
        },
        "secret": {
            "type": "boolean",
            "default": False,
            "description": "Whether the value, a text, is masked everywhere and forgotten when the job has ended.",
        },
    }
