"""The values of a flow's inputs: all of them checked at once, defaults filled in, secrets apart."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from engine.errors import InputsInvalid
from engine.models.inputs import Input, Kind, word_for
from engine.models.job import Json

MASK = "***"
"""What stands in the place of a secret's value."""


@dataclass(frozen=True, slots=True)
class InputValues:
    """What a flow is given: `shown` has masks in the place of `secrets`."""

    shown: Json
    secrets: dict[str, str] | None = None

    @property
    def whole(self) -> Json:
        """All of it, as the flow sees it."""
        return with_secrets(self.shown, self.secrets)


def read_inputs(flow: str, inputs: Sequence[Input], data: Json) -> InputValues:
    """The values with their defaults; InputsInvalid names every one that is wrong. Without inputs any JSON will do."""
    if not inputs:
        return InputValues(data)
    given = {} if data is None else data
    if not isinstance(given, dict):
        text = f"must be an object, because {flow} declares its inputs, and it is {word_for(given)}"
        raise InputsInvalid(flow, [("data", text)])
    if problems := _problems(inputs, given):
        raise InputsInvalid(flow, problems)
    values = {each.name: _value(each, given) for each in inputs if each.name in given or each.has_default}
    secrets = {each.name: values[each.name] for each in inputs if each.is_secret and each.name in values}
    return InputValues({**values, **dict.fromkeys(secrets, MASK)}, secrets or None)


def refuse_secrets(flow: str, inputs: Sequence[Input], data: Json) -> None:
    """InputsInvalid when a secret is among the data that is to be kept, or would have to be."""
    given = data if isinstance(data, dict) else {}
    way = "put it into secrets.yml or Vault, and let the flow read it from there"
    problems = [
        (each.name, f"is a secret, and a schedule would keep its value for as long as it is there: {way}")
        for each in inputs
        if each.is_secret and (each.name in given or each.is_required)
    ]
    if problems:
        raise InputsInvalid(flow, problems)


def with_secrets(shown: Json, secrets: dict[str, str] | None) -> Json:
    """The data of a job as its flow sees it."""
    return {**shown, **secrets} if secrets and isinstance(shown, dict) else shown


def _problems(inputs: Sequence[Input], given: dict[str, Any]) -> list[tuple[str, str]]:
    known = {each.name: each for each in inputs}
    problems = [(name[:100], _unknown(name, known)) for name in given if name not in known]
    for name, each in known.items():
        if name in given:
            problems += ((name, fault) for fault in each.faults(given[name]))
        elif each.is_required:
            problems.append((name, "is required"))
    return problems


def _unknown(name: str, known: dict[str, Input]) -> str:
    near = get_close_matches(name[:100], known, 1)
    return f"is not an input (did you mean {near[0]!r}?)" if near else f"is not an input (known: {', '.join(known)})"


def _value(input: Input, given: dict[str, Any]) -> Any:
    # A default is copied: the flow that has it is kept, and run again.
    value = given[input.name] if input.name in given else deepcopy(input.default)
    return int(value) if input.kind is Kind.INTEGER and isinstance(value, float) else value
