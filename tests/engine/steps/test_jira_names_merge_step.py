from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from engine.errors import StepFailed

ANSWER: dict[str, Any] = {
    "names": {
        "summary": "Summary",
        "customfield_10016": "Story Points",
        "customfield_10021": "Story points",
        "customfield_10030": "Team-Name v.2",
        "customfield_10040": "Summary",
        "customfield_10050": "Never used",
    },
    "issues": [
        {
            "id": "1",
            "key": "A-1",
            "fields": {
                "summary": "s",
                "labels": [],
                "assignee": None,
                "customfield_10016": 3,
                "customfield_10021": 5,
                "customfield_10030": "t",
                "customfield_10040": "c",
                "customfield_99999": "no name",
            },
        },
        {
            "id": "2",
            "key": "A-2",
            "fields": {"summary": "s2", "customfield_10016": None, "customfield_10021": 8, "n": 0},
        },
    ],
}


def merge(fake_run: Any, read_step: Any, answer: Any, **options: Any) -> Any:
    return read_step("jira_names_merge", data_key="raw", **options).options.run(fake_run({"raw": answer}))


def test_custom_fields_get_their_names_and_empty_ones_go(fake_run: Any, read_step: Any) -> None:
    first = merge(fake_run, read_step, ANSWER)[0]

    assert first["key"] == "A-1"
    assert first["fields"] == {
        "summary": "s",
        "story_points": 3,
        "story_points_10021": 5,
        "team_name_v_2": "t",
        "summary_10040": "c",
        "customfield_99999": "no name",
    }


def test_a_field_has_the_same_name_in_every_issue(fake_run: Any, read_step: Any) -> None:
    second = merge(fake_run, read_step, ANSWER)[1]

    assert second["fields"] == {"summary": "s2", "story_points_10021": 8, "n": 0}


def test_the_source_is_not_changed(fake_run: Any, read_step: Any) -> None:
    answer = deepcopy(ANSWER)

    merge(fake_run, read_step, answer)

    assert answer == ANSWER


def test_the_list_may_have_another_key(fake_run: Any, read_step: Any) -> None:
    answer = {"names": {}, "values": [{"id": "1"}]}

    assert merge(fake_run, read_step, answer, list_key="values") == [{"id": "1"}]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"issues": []}, "expand=names"),
        ({"names": {}, "total": 0}, r"no list of issues at 'issues' \(it has: names, total\)"),
        ({"names": {}, "issues": ["A-1"]}, "no list of issues"),
        ([], "must lead to Jira's whole answer"),
    ],
)
def test_an_answer_that_lacks_something_is_an_error(fake_run: Any, read_step: Any, answer: Any, message: str) -> None:
    with pytest.raises(StepFailed, match=message):
        merge(fake_run, read_step, answer)
