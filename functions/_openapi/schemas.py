"""JSON Schemas of what goes in and out, from the types that the operations name."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, get_args, get_origin, get_type_hints

from pydantic import BaseModel, TypeAdapter

from engine.models import answers
from functions._answers import Accepted, Done, Found, Page, Redirect
from functions._http import Operation

Object = dict[str, Any]

PLACE = "#/components/schemas/{model}"
REDIRECT = 308


class Schemas:
    """The schemas of all operations together, each type once."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        """`components` are the named ones."""
        operations = list(operations)
        shown = {kind for each in operations for _, kind in returned(each) if kind not in (Page, Redirect)}
        taken = {each.body_model for each in operations if each.body_model is not None}
        made, definitions = TypeAdapter.json_schemas(
            [
                *((kind, "serialization", TypeAdapter(kind)) for kind in [*_by_name(shown), answers.Error]),
                *((model, "validation", TypeAdapter(model)) for model in _by_name(taken)),
            ],
            ref_template=PLACE,
        )
        self._answers: dict[Any, Object] = {
            kind: _plain(schema) for (kind, mode), schema in made.items() if mode == "serialization"
        }
        self._bodies: dict[Any, Object] = {
            kind: _plain(schema) for (kind, mode), schema in made.items() if mode == "validation"
        }
        self.components: Object = {name: _plain(schema) for name, schema in definitions["$defs"].items()}
        _inherit_descriptions(self.components)

    def answer(self, kind: Any) -> Object:
        """The schema of an answer."""
        return self._answers[kind]

    def body(self, model: type[BaseModel]) -> Object:
        """The schema of a body."""
        return self._bodies[model]


def returned(operation: Operation) -> list[tuple[int, Any]]:
    """What the operation returns, each with its status: a type of engine.models.answers, Page or Redirect."""
    function = operation.function
    alone: Any = SimpleNamespace(__annotations__={"return": function.__annotations__["return"]})
    hint = get_type_hints(alone, function.__globals__, {"answers": answers})["return"]
    found: list[tuple[int, Any]] = []
    for part in get_args(hint) if get_origin(hint) not in (None, Done, Accepted, Found) else (hint,):
        origin = get_origin(part)
        if origin in (Done, Accepted, Found):
            found.append((origin.status, get_args(part)[0]))
        else:
            found.append((REDIRECT if part is Redirect else operation.status, part))
    return found


def is_tagged(operation: Operation) -> bool:
    """Whether its answer has an ETag though it is no page."""
    return str(operation.function.__annotations__["return"]).startswith("Found[")


def _by_name(types: Iterable[Any]) -> list[Any]:
    return sorted(types, key=lambda each: str(each.__name__))


def _plain(schema: Any) -> Any:
    """The schema without titles that repeat its name, and with `X or null` written short."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {name: _plain(item) for name, item in schema.items() if name != "title" or not isinstance(item, str)}
    match plain.get("anyOf"):
        case [{"type": str(kind), **rest}, {"type": "null"}] if "enum" not in rest and "const" not in rest:
            del plain["anyOf"]
            plain = {"type": [kind, "null"], **rest, **plain}
    return plain


def _inherit_descriptions(components: Object) -> None:
    """pydantic reads the docstrings of a type's own members only, not of those that it has from another."""
    for name, schema in components.items():
        for base in getattr(getattr(answers, name, None), "__orig_bases__", ()):
            known = components.get(base.__name__, {}).get("properties", {})
            for field, about in known.items():
                if "description" in about:
                    schema["properties"][field].setdefault("description", about["description"])
