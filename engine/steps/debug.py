"""The step `debug`."""

from __future__ import annotations

import json
from typing import Literal

from pydantic import Field

from engine.models.flow import NOTHING, Nothing, Run
from engine.models.job import Json
from engine.steps import Step

LONGEST = 100_000
"""So many characters are logged; a log is for reading."""

UNFOLDED = 2**31 - 1
"""The widest line that libyaml takes."""


class Debug(Step, type="debug"):
    """Writes data to the job's log, with secrets masked. It has no value."""

    data_key: str = Field(".", description="The data to write: a key, a dotted path, or `.` for the whole of `_data`.")
    type: Literal["yaml", "json", "text"] = Field("yaml", description="How it is written.")

    def run(self, run: Run) -> Nothing:
        text = self._text(run.lookup(self.data_key))
        if len(text) > LONGEST:
            text = f"{text[:LONGEST]}... ({len(text) - LONGEST} more characters)"
        run.log("info", text)
        return NOTHING

    def _text(self, value: Json) -> str:
        match self.type:
            case "json":
                return json.dumps(value, ensure_ascii=False, indent=2)
            case "text":
                return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        return _yaml(value)


def _yaml(value: Json) -> str:
    import yaml

    class Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
        def ignore_aliases(self, data: object) -> bool:
            return True

    # A line that is folded, or begun anew after a \\, would hold half of a secret that masking knows whole.
    text: str = yaml.dump(value, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=UNFOLDED)
    return text.rstrip("\n").removesuffix("\n...")
