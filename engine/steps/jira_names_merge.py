"""The step `jira_names_merge`."""

from __future__ import annotations

import re
from typing import Any

from pydantic import Field

from engine.errors import StepFailed
from engine.models.flow import Run
from engine.models.job import Json
from engine.steps import Step

CUSTOM_FIELD = re.compile(r"customfield_(\d+)")


class JiraNamesMerge(Step, type="jira_names_merge"):
    """Gives the custom fields of Jira issues their names. The request must say `expand=names`.

    The value is the list of the issues, each a copy whose fields lose null and empty lists, and whose `customfield_N`
    become the field's name in lower case, with `_` for dots, dashes and spaces. A name that another field has gets the
    id as a suffix.
    """

    data_key: str = Field(description="A key or dotted path of Jira's answer, with its `names` and its list of issues.")
    list_key: str = Field("issues", min_length=1, description="The key of the list of issues in that answer.")

    def run(self, run: Run) -> Json:
        answer = run.lookup(self.data_key)
        names, issues = self._parts(answer)
        renamed = _new_names(names, issues)
        return [_merged(issue, renamed) for issue in issues]

    def _parts(self, answer: Json) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        if not isinstance(answer, dict):
            raise StepFailed(f"data_key {self.data_key!r} must lead to Jira's whole answer, which is an object")
        names, issues = answer.get("names"), answer.get(self.list_key)
        if not isinstance(names, dict):
            raise StepFailed(
                f"the answer at {self.data_key!r} has no `names`: the request to Jira must say expand=names"
            )
        if not isinstance(issues, list) or not all(isinstance(issue, dict) for issue in issues):
            keys = ", ".join(answer)
            raise StepFailed(
                f"the answer at {self.data_key!r} has no list of issues at {self.list_key!r} (it has: {keys})"
            )
        return names, issues


def _new_names(names: dict[str, Any], issues: list[dict[str, Any]]) -> dict[str, str]:
    """Each custom field's new name, the same in every issue, whichever fields an issue has values for."""
    keys = {key: None for issue in issues for key in _fields(issue)}
    taken = {key for key in keys if not CUSTOM_FIELD.fullmatch(key)}
    renamed: dict[str, str] = {}
    for key in (key for key in names if key in keys):
        if match := CUSTOM_FIELD.fullmatch(key):
            name = re.sub(r"[.\- ]", "_", str(names[key])).lower()
            name = f"{name}_{match[1]}" if name in taken else name
            renamed[key] = key if name in taken else name
            taken.add(renamed[key])
    return renamed


def _merged(issue: dict[str, Any], renamed: dict[str, str]) -> dict[str, Any]:
    if "fields" not in issue:
        return dict(issue)
    kept = {key: value for key, value in _fields(issue).items() if value is not None and value != []}
    return {**issue, "fields": {renamed.get(key, key): value for key, value in kept.items()}}


def _fields(issue: dict[str, Any]) -> dict[str, Any]:
    fields = issue.get("fields")
    return fields if isinstance(fields, dict) else {}
