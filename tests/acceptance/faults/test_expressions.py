"""Faults of expressions, by their numbers: each costs its own job at most, and says what it is."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from flows import fact, step
from services import Service, flow
from vault_server import TOKEN as VAULT_TOKEN


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    return {"LOG_LEVEL": "DEBUG", "HASHICORP_VAULT_TOKEN": VAULT_TOKEN, "JOB_MEMORY_MB": "128", "MAX_STEP_RUNS": "2000"}


# jq


EVIL = {
    "def f: f; f": {"timeout"},
    "last(range(infinite))": {"timeout"},
    "def f: 1+f; f": {"limit"},
    "def f: [f]; f": {"limit"},
    "[repeat(1)]": {"limit", "timeout"},
    "[range(1e9)]": {"limit", "timeout"},
    "reduce range(1e7) as $i ([]; . + [$i])": {"limit", "timeout"},
    "repeat(1)": {"limit", "step_error", "timeout"},
    '"x" * 2000000000': {"refused"},
    '. as $d | "x" * 2000000000': {"refused", "limit"},
    '(tostring | length) * 1e6 | "x" * .': {"limit", "step_error"},
    '("a" * 40 + "b") | test("(a+)+$")': {"timeout", "step_error", "limit"},
}


@pytest.fixture(scope="module")
def evil(service: Service) -> dict[str, dict[str, Any]]:
    """How each evil program ended, all of them begun together, and one that does no harm."""
    programs = {**dict.fromkeys(EVIL), "1": None}
    ended: dict[str, dict[str, Any]] = {}
    asked = {}
    for number, program in enumerate(programs):
        document = {"name": "evil", "steps": [step("jq", expression=program)]}
        path = flow(service.data, f"evil-{number}.yml", json.dumps(document))
        # On a busy machine it takes a while until memory has run out; only what may end in time has little of it.
        timeout_seconds = 2 if "timeout" in EVIL.get(program, ()) else 30
        answer = service.post("/api/jobs", {"path": path, "timeout_seconds": timeout_seconds}).json()
        if "job_id" in answer:
            asked[program] = answer["job_id"]
        else:
            ended[program] = {"reason": "refused", "errors": [answer]}
    return ended | {program: service.finished(id, 60) for program, id in asked.items()}


@pytest.mark.parametrize("program", EVIL)
def test_row_71_a_jq_that_does_not_end_or_eats_memory_costs_its_own_job_only(evil, program):
    job = evil[program]

    assert job["reason"] in EVIL[program], job
    (error,) = job["errors"]
    assert any(word in error["error"] for word in ("memory", "timed out", "SIGABRT", "limit", "more than")), error


def test_row_71_others_are_served_meanwhile(evil):
    assert evil["1"]["result"]["it"] == 1


@pytest.mark.parametrize("place", ["step", "jq_expression", "when nothing"])
@pytest.mark.parametrize("expression", ["$ENV", "$ENV.API_TOKEN", "env", "env.API_TOKEN", "$ENV.PATH"])
def test_row_72_jq_sees_no_environment(service, data, expression, place):
    if place == "jq_expression":
        body = {"name": "v", "type": "set_fact", "set_fact": {"value": {}}, "jq_expression": expression}
    else:
        program = expression if place == "step" else f"if . == 5 then {expression} else 1 end"
        body = step("jq", expression=program)
    path = flow(data, "env.yml", json.dumps({"name": "env", "steps": [body]}))

    answer = service.post("/api/jobs", {"path": path})

    assert answer.status_code == 400
    assert "env" in answer.json()["error"].lower()


@pytest.mark.parametrize(
    "expression",
    [
        'import "secrets" as $d {search: "./"}; $d',
        'include "x" {search: "/etc"}; .',
        'import "a" as a; a::b',
        "input",
        "[inputs]",
        "input_filename",
        "get_search_list",
        '"m" | modulemeta',
        "halt",
        '"x" | halt_error',
        "$__prog_args",
        "input_line_number",
        "debug",
        "stderr",
    ],
)
def test_row_73_jq_reads_no_file_and_ends_no_process(service, data, expression):
    path = flow(data, "reach.yml", json.dumps({"name": "reach", "steps": [step("jq", expression=expression)]}))

    answer = service.post("/api/jobs", {"path": path})

    if answer.status_code == 202:  # `debug`, `stderr`, `input_line_number` do no harm.
        job = service.finished(answer.json()["job_id"])
        assert expression in ("debug", "stderr", "input_line_number"), job
    else:
        assert answer.status_code == 400


# Jinja


@pytest.mark.parametrize(
    "attack",
    [
        "cycler.__init__.__globals__.os",
        "''.__class__.__mro__[1].__subclasses__()",
        "'' | attr('__class__')",
        "self.__init__.__globals__",
        "'{0.__class__.__mro__}'.format(1)",
        "lipsum.__globals__['os'].environ",
        "[].append(1)",
        "now()",
        "env",
    ],
)
def test_row_74_no_expression_leaves_the_sandbox_wherever_it_stands(data, run, attack):
    text = f"{{{{ {attack} }}}}"
    (data / "templates" / "attack.j2").write_text(text)
    places = [
        step("jinja", "template", template=text),
        step("jinja", "file", path="attack.j2"),
        step("set_fact", "value", value={"deep": [text]}),
        step("set_fact", "when", value=1, when=attack),
        step("rest", "uri", uri=f"http://127.0.0.1/{text}"),
        step("exit", "message", message=text),
    ]

    job = run(*({**place, "ignore_errors": [".*"]} for place in places))

    assert [each["status"] for each in job["steps"]] == ["ignored"] * len(places), job
    assert os.environ["PATH"] not in json.dumps(job)


@pytest.mark.parametrize(
    "template",
    [
        "{{ ('a' * 2000000000) | length }}",
        "{{ (9 ** (9 ** 7)) | string }}",
        "{{ (2 ** 100000) ** 100000 }}",
        "{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{{ range(100000000) | list | length }}",
        "{{ 'a' | center(1000000000) }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ 'x' | replace('', 'y' * 100000) | replace('y', 'z' * 100000) }}",
        "{% set ns = namespace(s='a') %}{% for i in range(40) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "{{ ([[1] * 1000] * 1000) * 1000 }}",
        "{{ ['a' * 1000] * 1000000 }}",
        "{{ 'a,' * 100000 | length }}",
    ],
)
def test_row_75_a_template_that_grows_without_end_is_stopped(run, template):
    job = run(step("jinja", template=template), timeout_seconds=2)

    assert job["status"] == "failed" or len(json.dumps(job["result"])) < 1_000_000, job
    assert job["duration_seconds"] < 6
    assert run(fact("v", 1))["status"] == "success"


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (step("rest", uri="http://127.0.0.1/{{ nope }}"), "nope"),
        (step("rest", uri="http://127.0.0.1/", query={"q": "{{ nope }}"}), "nope"),
        (step("rest", uri="http://127.0.0.1/", headers={"X-A": "{{ nope }}"}), "nope"),
        (step("rest", uri="http://127.0.0.1/", method="POST", body={"a": ["{{ nope }}"]}), "nope"),
        (step("rest", uri="http://127.0.0.1/{{ __input__.nope }}"), "nope"),
        (step("rest", uri="http://127.0.0.1/", data_key="nope"), "nope"),
        (step("file", path="{{ nope }}.yml"), "nope"),
        (step("file", path="out.json", mode="write", data_key="nope"), "nope"),
        (step("jinja", template="{{ nope }}"), "nope"),
        (step("jinja", template="{% for x in nope %}{% endfor %}"), "nope"),
        (step("jq", expression=".", data_key="nope"), "nope"),
        (step("set_fact", value={"deep": [{"er": "{{ nope }}"}]}), "nope"),
        (step("set_fact", value=1, when="nope"), "nope"),
        (step("exit", message="{{ nope }}"), "nope"),
        (step("sleep", seconds="{{ nope }}"), "nope"),
        (step("goto", step_name="{{ nope }}"), "nope"),
        (step("goto", step_name="{{ 'no' ~ 'pe' }}"), "nope"),
        (step("debug", data_key="nope"), "nope"),
        (step("switch", data_key="nope", cases=[{"when": "x", "step": fact("x", 1)}]), "nope"),
    ],
)
def test_row_76_a_name_that_is_not_there_is_an_error_that_names_it(run, body, name):
    job = run(body, data={"given": 1})

    assert (job["status"], job["reason"]) == ("failed", "step_error"), job
    assert name in job["errors"][0]["error"]
