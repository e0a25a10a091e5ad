"""Faults of what flows hold, by their numbers: each costs its own job at most, and says what it is."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from flows import fact, step
from services import flow
from vault_server import TOKEN as VAULT_TOKEN


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    return {"LOG_LEVEL": "DEBUG", "HASHICORP_VAULT_TOKEN": VAULT_TOKEN, "JOB_MEMORY_MB": "128", "MAX_STEP_RUNS": "2000"}


def yaml_flow(*steps: str, **keys: str) -> str:
    head = "".join(f"{key}: {value}\n" for key, value in {"name": "f", **keys}.items())
    return f"{head}steps:\n" + "".join(f"  - {step}\n" for step in steps)


VALUE = "{name: v, type: set_fact, set_fact: {value: 1}}"
BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


# YAML


@pytest.mark.parametrize("place", ["document", "file", "jinja"])
def test_row_65_a_yaml_bomb_is_refused_wherever_it_is_read(data, run, refuse, place):
    if place == "document":
        assert "alias" in refuse(BOMB + yaml_flow(VALUE))["error"]
        return
    if place == "file":
        (data / "input" / "bomb.yml").write_text(BOMB)
        job = run(step("file", path="input/bomb.yml"))
    else:
        job = run(step("jinja", template=BOMB, parse="yaml"))
    assert job["reason"] == "step_error"
    assert "alias" in job["errors"][0]["error"]


def test_row_65_a_document_over_a_megabyte_is_refused(refuse):
    refused = refuse(yaml_flow(VALUE, description="x" * 1_000_001))

    assert "more than the limit of 1000000" in refused["error"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"name: a\nname: b\nsteps:\n  - {VALUE}\n", 2),
        ("name: a\nsteps:\n  - name: v\n    type: set_fact\n    type: sleep\n    set_fact: {value: 1}\n", 5),
        (yaml_flow("{name: v, type: set_fact, set_fact: {value: !!python/object/apply:os.system ['id']}}"), 3),
        (yaml_flow("{name: v, type: set_fact, set_fact: {value: !own x}}"), 3),
        (yaml_flow("{name: v, type: set_fact, set_fact: {value: .nan}}"), 3),
        (yaml_flow("{name: v, type: set_fact, set_fact: {value: .inf}}"), 3),
        (yaml_flow("{name: v, type: set_fact, set_fact: {value: {[1]: 2}}}"), 3),
        (yaml_flow("{name: v, type: set_fact, set_fact: {value: *nowhere}}"), 3),
        (f"name: a\nsteps:\n\t- {VALUE}\n", 3),
        ("name: a\nsteps:\n  - {name: v, type: set_fact\n", 3),
        ("name: a\nsteps: [" + "[" * 60 + "]" * 60 + "]\n", 2),
        (f"name: a\n---\nname: b\nsteps:\n  - {VALUE}\n", 2),
        (yaml_flow("{name: v, type: rest, rest: {url: 'http://x'}}"), 3),
        (yaml_flow("{name: v, type: rest}"), 3),
        (yaml_flow("{name: v, type: nothing, nothing: {}}"), 3),
        (yaml_flow("{name: v, type: set_fact, sleep: {seconds: 1}}"), 3),
        (yaml_flow(VALUE, VALUE), 4),
        (yaml_flow(VALUE, finally_step="nowhere"), 2),
        (yaml_flow("{name: v, type: goto, goto: {step_name: nowhere}}"), 3),
        (yaml_flow("{name: v, type: sleep, sleep: {seconds: -1}}"), 3),
        (yaml_flow("{name: v, type: sleep, sleep: {seconds: 1}, ignore_errors: ['(']}"), 3),
        (yaml_flow("{name: v, type: jinja, jinja: {template: '{% if %}'}}"), 3),
        (yaml_flow("{name: v, type: jq, jq: {expression: '.a |'}}"), 3),
        (yaml_flow("{name: v, type: set_fact, set_fact: {value: 1}, when: 'a b'}"), 3),
    ],
)
def test_row_66_what_cannot_be_read_is_refused_with_its_line(refuse, text, line):
    refused = refuse(text)

    assert refused["code"] == "document_invalid"
    assert line in [problem["line"] for problem in refused["details"]], refused


WORDS: dict[str, Any] = {
    "no": "no",
    "on": "on",
    "Off": "Off",
    "y": "y",
    "true": True,
    "2024-05-23": "2024-05-23",
    "2024-05-23 10:00:00": "2024-05-23 10:00:00",
    "0o17": 15,
    "017": 17,
    "0x1f": 31,
    "1_000": "1_000",
    "12:30:45": "12:30:45",
    "1e3": 1000.0,
    "~": None,
    "=": "=",
    "<<": "<<",
    "123456789012345678901234567890": 123456789012345678901234567890,
}


@pytest.mark.parametrize("place", ["document", "file", "jinja"])
def test_row_66_only_json_is_read_and_words_stay_words(service, data, run, place):
    text = "".join(f"v{number}: {word}\n" for number, word in enumerate(WORDS))
    if place == "document":
        listed = text.strip().replace("\n", ", ")
        path = flow(data, "words.yml", yaml_flow(f"{{name: it, type: set_fact, set_fact: {{value: {{{listed}}}}}}}"))
        job = service.run(path)
    elif place == "file":
        (data / "input" / "words.yml").write_text(text)
        job = run(step("file", path="input/words.yml"))
    else:
        job = run(step("jinja", template=text, parse="yaml"))

    assert job["status"] == "success", job["errors"]
    assert list(job["result"]["it"].values()) == list(WORDS.values())


# Flows that call flows


def calls(data: Any, *names: str) -> str:
    """Flows of which each calls the next; the first one's path."""
    for name, below in pairwise(names):
        flow(data, name, yaml_flow(f"{{name: call, type: flow, flow: {{path: {below}}}}}"))
    return names[0]


@pytest.mark.parametrize(
    "names", [["a.yml", "a.yml"], ["a.yml", "b.yml", "a.yml"], ["a.yml", "b.yml", "c.yml", "a.yml"]]
)
def test_row_67_a_flow_that_calls_itself_is_refused_with_the_chain(service, data, names):
    answer = service.post("/api/jobs", {"path": calls(data, *names)})

    assert answer.status_code == 400
    assert " > ".join(names) in answer.json()["error"]


@pytest.mark.parametrize("depth", [12, 50])
def test_row_67_flows_nested_too_deeply_are_refused_with_the_chain(service, data, depth):
    names = [f"deep-{depth}-{number}.yml" for number in range(depth)]
    flow(data, names[-1], yaml_flow(VALUE))

    answer = service.post("/api/jobs", {"path": calls(data, *names)})

    assert answer.status_code == 400
    assert "flow depth over 10: " in answer.json()["error"]
    assert " > ".join(names[:11]) in answer.json()["error"]


def test_row_67_ten_flows_one_in_the_other_are_allowed(service, data):
    names = [f"ten-{number}.yml" for number in range(10)]
    flow(data, names[-1], yaml_flow(VALUE))

    assert service.run(calls(data, *names))["status"] == "success"


# Loops


@pytest.mark.parametrize("target", ["it", "__start__"])
def test_row_68_a_goto_loop_ends_at_the_limit_and_starves_nobody(service, data, run, target):
    loop = flow(data, f"loop-{target}.yml", json.dumps({"name": "loop", "steps": [step("goto", step_name=target)]}))
    job_id = service.launch(loop)

    other = run(fact("v", 1))
    job = service.finished(job_id)

    assert other["status"] == "success"
    assert (job["status"], job["reason"]) == ("failed", "limit")
    assert job["errors"][0]["error"] == "The job ran 2000 steps, which is the limit (MAX_STEP_RUNS)."


def test_row_68_two_steps_that_lead_to_each_other_by_their_errors_end_as_well(run):
    job = run(
        fact("v", 1),
        step("jq", "a", expression="error", data_key="v", on_error_goto="b"),
        step("jq", "b", expression="error", data_key="v", on_error_goto="a"),
    )

    assert (job["status"], job["reason"]) == ("failed", "limit")


@pytest.mark.parametrize(
    ("expression", "reason", "words"),
    [
        ("[range(1000000)]", "limit", "A loop over 1000000 items is over the limit of 10000 (MAX_LOOP_ITEMS)."),
        ("{a: 1}", "step_error", "list"),
        ('"text"', "step_error", "list"),
        ("7", "step_error", "list"),
        ("null", "step_error", "list"),
    ],
)
def test_row_69_a_loop_over_too_much_or_no_list_is_an_error(data, run, expression, reason, words):
    flow(data, "item.yml", yaml_flow(VALUE))

    job = run(step("jq", "items", expression=expression), step("flow_loop", "loop", path="item.yml", data_key="items"))

    assert (job["status"], job["reason"]) == ("failed", reason)
    assert words in job["errors"][0]["error"]


def test_row_69_eight_items_at_a_time_are_the_most_unless_a_step_says_otherwise(data, other, run):
    import threading

    from peers import send

    inside, most, lock = 0, 0, threading.Lock()

    def answer(handler: Any) -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        other.over.wait(0.05)
        with lock:
            inside -= 1
        send(handler, 200, {})

    other.answer = answer
    flow(data, "call.yml", json.dumps({"name": "c", "steps": [step("rest", uri=other.url)]}))

    job = run(fact("items", list(range(32))), step("flow_loop", "loop", path="call.yml", data_key="items"))

    assert job["status"] == "success", job["errors"]
    assert 2 <= most <= 8


@pytest.mark.parametrize("ignored", [False, True])
def test_row_70_one_item_that_fails_fails_the_step_and_keeps_every_items_result_in_order(data, run, ignored):
    expression = 'if .__input__ == 3 then error("no three") else .__input__ * 10 end'
    flow(data, "third.yml", json.dumps({"name": "t", "steps": [step("jq", "ten", expression=expression)]}))
    keys = {"ignore_errors": ["failed"]} if ignored else {}

    job = run(
        fact("items", [1, 2, 3, 4]),
        step("flow_loop", "loop", path="third.yml", data_key="items", **keys),
        fact("after", "{{ __errors__ | length }}"),
    )

    assert job["status"] == ("success" if ignored else "failed")
    results = job["result"]["loop"]
    assert [result.get("ten", result.get("data", {}).get("ten")) for result in results][:2] == [10, 20]
    assert len(results) == 4
    assert "no three" in json.dumps(results[2]) + json.dumps(job["result"]["__errors__"])
    assert ("after" in job["result"]) == ignored
    assert any(entry["step"] == "loop[3] > ten" for entry in job["result"]["__errors__"])
