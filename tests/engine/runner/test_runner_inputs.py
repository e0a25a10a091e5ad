"""What a sub-flow is given is held to what it declares."""

from __future__ import annotations

import pytest

SUB = (
    "inputs: [{name: host, enum: [web, db]}, {name: size, type: integer, default: 3}]\n"
    "steps: [{name: seen, type: jq, jq: {expression: '[.host, .size]', data_key: __input__}}]\n"
)
SECRET = "inputs: [{name: word, secret: true}]\nsteps: [{name: only, type: debug, debug: {}}]\n"
CALL = "{name: call, type: flow, flow: {path: sub.yml}}"
CALL_WITH_KEY = "{name: call, type: flow, flow: {path: sub.yml, data_key: ticket}}"
LOOP = "{name: loop, type: flow_loop, flow_loop: {path: sub.yml, data_key: items, max_workers: 1}}"


def test_it_gets_its_defaults(run):
    ran = run(f"steps: [{CALL_WITH_KEY}]", {"ticket": {"host": "web"}}, flows={"sub.yml": SUB})

    assert ran.data["call"]["seen"] == ["web", 3]


def test_a_call_that_does_not_fit_fails_its_step_and_names_everything(run):
    ran = run(f"steps: [{CALL_WITH_KEY}]", {"ticket": {"hots": 1, "size": "5"}}, flows={"sub.yml": SUB})

    assert ran.error == (
        "step 'call': The inputs of sub.yml cannot be used: `hots` is not an input (did you mean 'host'?); "
        "`host` is required; `size` must be a whole number, not text."
    )
    assert [step.name for step in ran.steps] == ["call"]


def test_a_call_without_data_key_gives_those_of_its_names_that_are_declared(run):
    ran = run(f"steps: [{CALL}]", {"host": "db", "other": 1}, flows={"sub.yml": SUB})

    assert ran.data["call"]["seen"] == ["db", 3]


def test_an_item_that_does_not_fit_fails_and_the_others_run(run):
    ran = run(f"steps: [{LOOP}]", {"items": [{"host": "web"}, {"host": "x"}, {"host": "db"}]}, flows={"sub.yml": SUB})

    assert [item.get("seen") for item in ran.data["loop"]] == [["web", 3], None, ["db", 3]]
    assert ran.end.errors[0]["error"].startswith(
        "step 'loop': 1 of 3 items failed; the first: item 2: The inputs of sub.yml cannot be used: `host` must be one"
    )
    assert ran.data["loop"][1]["errors"][0]["step"] == "sub.yml"


def test_a_sub_flow_without_inputs_gets_what_it_always_got(run):
    sub = "steps: [{name: seen, type: jq, jq: {expression: '.', data_key: __input__}}]"

    ran = run(f"steps: [{CALL_WITH_KEY}]", {"ticket": [1, 2]}, flows={"sub.yml": sub})

    assert ran.data["call"]["seen"] == [1, 2]


def test_its_secrets_are_hidden_before_it_begins_and_each_once(run):
    items = [{"word": "hunter2"}, {"word": "hunter2"}, {"word": "hunter3"}]

    ran = run(f"steps: [{LOOP}]", {"items": items}, flows={"sub.yml": SECRET})

    told = [each if isinstance(each, str) else getattr(each, "name", "") for each in ran.host.told]
    assert [each for each in told if each in ("only", "hide hunter2", "hide hunter3")] == [
        "hide hunter2", "only", "only", "hide hunter3", "only",
    ]  # fmt: skip


@pytest.mark.parametrize("word", ["abc", "****"])
def test_a_secret_that_cannot_be_hidden_is_not_taken(run, word):
    ran = run(f"steps: [{CALL}]", {"word": word}, flows={"sub.yml": SECRET})

    assert "`word` is too short for a secret" in ran.error
