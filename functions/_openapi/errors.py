"""Which errors an operation can answer: its own, and those that any of its kind can."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from engine.errors import (
    DatabaseBusy,
    DatabaseDown,
    DatabaseRefused,
    Draining,
    Forbidden,
    OctoflowError,
    RequestInvalid,
    StorageDown,
    StorageFull,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from functions._engine import NotReady
from functions._http import Operation, status_of_leaf
from functions._openapi.parameters import names_in_path

Object = dict[str, Any]

LATER = (
    NotReady,
    Draining,
    DatabaseBusy,
    DatabaseDown,
    DatabaseRefused,
    StorageDown,
    StorageFull,
    Unavailable,
)
"""What whoever asks the engine may be told."""

HEADERS = {
    401: {"WWW-Authenticate": {"description": "`Bearer`.", "schema": {"type": "string"}}},
    503: {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "string", "pattern": "^[0-9]+$"}}},
}


class Errors:
    """The errors of all operations together: those that several share stand once, among the components."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        counted = Counter(tuple(codes) for each in operations for codes in _codes(each).values())
        self._names: dict[tuple[str, ...], str] = {}
        for codes in (codes for codes, count in counted.items() if count > 1):
            taken = sum(name.startswith(codes[0]) for name in self._names.values())
            self._names[codes] = f"{codes[0]}_{taken + 1}" if taken else codes[0]
        self.components: Object = {}

    def of(self, operation: Operation) -> Object:
        """Each status that means an error, with the words that `code` can be."""
        answers: Object = {}
        for status, codes in sorted(_codes(operation).items()):
            answer, name = _answer(status, codes), self._names.get(tuple(codes))
            if name is not None:
                self.components[name] = answer
                answer = {"$ref": f"#/components/responses/{name}"}
            answers[str(status)] = answer
        return answers


def leaves_of(operation: Operation) -> Iterator[type[OctoflowError]]:
    """The errors that the operation can raise, or that are raised before it is asked."""
    yield from operation.errors
    if operation.role is not None:
        yield from (RequestInvalid, Unauthenticated, Forbidden)
    if operation.body_model is not None:
        yield TooLarge
    if operation.may_know is not None:
        yield Unauthenticated
    if operation.takes_engine or operation.may_know is not None:
        yield from LATER


def _codes(operation: Operation) -> dict[int, dict[str, str]]:
    by_status: dict[int, dict[str, str]] = {}
    for leaf in leaves_of(operation):
        by_status.setdefault(status_of_leaf(leaf), {})[leaf.code] = " ".join((leaf.__doc__ or "").split())
    if names_in_path(operation.path):
        by_status.setdefault(404, {})["not_found"] = "There is nothing at this path."
    by_status[500] = {"internal": "A fault of ours; the service log has it under the number in the sentence."}
    return by_status


def _answer(status: int, codes: dict[str, str]) -> Object:
    narrowed = {"properties": {"code": {"enum": list(codes)}}}
    examples = {code: {"value": {"error": meaning, "code": code}} for code, meaning in codes.items()}
    schema = {"allOf": [{"$ref": "#/components/schemas/Error"}, narrowed]}
    answer: Object = {
        "description": "\n".join(f"- `{code}`: {meaning}" for code, meaning in codes.items()),
        "content": {"application/json": {"schema": schema, "examples": examples}},
    }
    if status in HEADERS:
        answer["headers"] = HEADERS[status]
    return answer
