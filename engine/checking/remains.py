"""What is left of a step that has problems: so much of it that its expressions and its ways can be checked as well."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from dataclasses import replace
from itertools import islice
from typing import Any

from engine.checking.options import Place, holds, step_findings
from engine.checking.patterns import patterns_of
from engine.models.flow import StepSpec
from engine.models.job import Json

ROUNDS = 6
"""So often is a step read again: what is inside of something wrong is found only when that is mended."""
MAX_PATTERNS = 100
"""So many patterns cost nothing when they are read again: Python keeps the last 512."""
NOWHERE = "."
"""A text that names neither a file nor a step, and compiles."""
STAND_INS: tuple[Json, ...] = (NOWHERE, {"type": "debug"})
"""What stands for a key that is missing: a text, or a step that does nothing."""


def remains_of(number: int, step: dict[str, Json]) -> StepSpec | None:
    """The step without what is wrong in it; without its options where nothing else helps. None when that fails too.

    It is not to be run. A key that it lacked may hold a stand-in.
    """
    name = step.get("name")
    whole = {**step, "name": name if isinstance(name, str) and name else str(number + 1)}
    whole.pop("ignore_errors", None)  # Nothing in it is looked at again.
    is_cheap = len(list(islice(patterns_of(whole), MAX_PATTERNS + 1))) <= MAX_PATTERNS
    return (_mended(whole) if is_cheap else None) or _mended(without_options(whole))


def without_options(step: dict[str, Json]) -> dict[str, Json]:
    """A step of another type that has the same common keys."""
    from engine.steps import CommonKeys

    return {**{key: step[key] for key in CommonKeys.model_fields if key in step}, "type": "debug"}


def is_stand_in(text: str) -> bool:
    """Whether nobody may have written this path or name of a step."""
    return text == NOWHERE


def _mended(step: dict[str, Json]) -> StepSpec | None:
    from pydantic import ValidationError

    from engine.steps import step_reader

    step = deepcopy(step)
    tried: Counter[Place] = Counter()
    for _ in range(ROUNDS):
        try:
            return step_reader().validate_python(step).spec()
        except (RecursionError, OverflowError):
            return None
        except ValidationError as error:
            findings = step_findings(error, step)
            if [(each.place, each.code) for each in findings] == [((step.get("type"),), "wrong_value")]:
                return _unjudged(step)
            for finding in findings:
                if finding.place == ("type",) or (finding.place == (step.get("type"),) and len(findings) == 1):
                    return None
                _mend(step, finding.place, is_missing=finding.code == "missing_key", tried=tried)
    return None


def _mend(step: Any, place: Place, *, is_missing: bool, tried: Counter[Place]) -> None:
    """Put something in the place, or take away what is there, and what holds it where that does not do."""
    if (is_missing or tried[place]) and tried[place] < len(STAND_INS):
        if (holder := _holder(step, place)) is not None:
            holder[place[-1]] = deepcopy(STAND_INS[tried[place]])
        tried[place] += 1
        return
    while len(place) > 1 and (isinstance(place[-1], int) or tried[place]):
        place = place[:-1]  # A list is taken away whole: its items would get other places.
    if (holder := _holder(step, place)) is not None:
        holder.pop(place[-1], None)


def _unjudged(step: Any) -> StepSpec:
    """The step whose options are right each by itself, and do not go together."""
    from engine.steps import step_reader, step_types

    common = step_reader().validate_python(without_options(step)).spec()
    return replace(common, type=step["type"], options=step_types()[step["type"]].model_construct(**step[step["type"]]))


def _holder(step: Any, place: Place) -> Any:
    """The object that has the place; None when what was mended before has taken it away."""
    for part in place[:-1]:
        if not holds(step, part):
            return None
        step = step[part]
    return step if isinstance(step, dict) else None
